"""What stands beside each MML command in the page "From MML to acctwin"."""

# [open]
import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")  # keeps no data
machine = session.machine
# [open-end]

# Get, set, step
kicks = session.get("hcm")
session.get("hcm", "readback")
session.set("hcm", kicks)
session.set("vcm", 0)
session.step("C05/VCM", 1e-5)
session.set(machine.hcm.select("C0[1-4]/*"), [1e-5, 2e-5, 0, 0])
currents = session.get("QF", units="hardware")
session.step("C01/QF", 0.5, units="hardware")
session.set("hcm", kicks, wait=False)

# LOCO and beam-based alignment
from acctwin.workflows import loco  # noqa: E402

offsets = session.run(plans.bba(machine, machine.bpms.names[:1]))
measured = session.run(plans.measure_loco(machine))
fitted = loco.fit(session, measured.uid)
applied = session.run(plans.apply_loco(machine, fitted))

# Monitors and RF
x, y = session.get("bpms")
orbit = session.run(plans.measure_orbit(machine, readings=4))
qx, qy, qs = session.get("tune")
frequency = session.get("rf")
session.set("rf", frequency + 50.0)
session.step("rf", -50.0)
current = session.get("dcct")

# What there is
print(len(machine.hcm.good().names), "correctors from", machine.hcm.names[0])
s = machine.bpms.s
good = machine.bpms.status
machine.mark_bad("C07/VCM")
machine.mark_good("C07/VCM")
low, high = machine.hcm.limits
step = machine["C01/QF"].info.delta
families = list(machine.families)
energy = session.profile.energy_ev

# Units
from acctwin.calibration.rigidity import rigidity  # noqa: E402
from acctwin.profiles.supplies import supply_map  # noqa: E402

calibration, b_rho = supply_map(session.profile), rigidity(energy)
strengths = calibration.strengths(session.get("supplies"), b_rho)
currents = calibration.currents(strengths, b_rho)

# Measurements
response = session.run(plans.measure_orbit_response(machine))
by_quadrupoles = session.run(plans.measure_tune_response(machine, ["QF", "QD"]))
betas = session.run(plans.measure_beta(machine, quadrupoles=["QF"]))
by_rf = session.run(plans.measure_response(machine, [machine.rf], [machine.bpms]))
noise = session.run(plans.monitor_orbit(machine, readings=10))
lifetime = session.run(plans.measure_lifetime(machine, max_s=60))
dispersion = session.run(plans.measure_dispersion(machine))
chromaticity = session.run(plans.measure_chromaticity(machine))
tunes = session.run(plans.measure_tune(machine))

# Corrections
result = session.run(plans.correct_orbit(machine, response))
session.run(plans.correct_orbit(machine, response, preview=True))
tuned = session.run(plans.set_tune(machine, 0.22, 0.31))
session.run(plans.step_tune(machine, 0.005, 0))
session.run(plans.set_chromaticity(machine, 1.0, 1.0))
centred = session.run(plans.center_rf(machine))
bump = session.run(plans.orbit_bump(machine, "y", "C06/BPM1", position=5e-4))
session.run(plans.restore_machine(machine, bump.uid, ["hcm", "vcm"]))

# The whole machine
state = session.run(plans.save_machine(machine, note="after the correction"))
print(session.run(plans.compare_machine(machine, state)).table())
session.run(plans.restore_machine(machine, state))
session.run(plans.cycle(machine, "SF", [1, 0], with_beam=True))

# What was measured, and references
run = session.store.run(-1)
from acctwin.plans.response import analyse  # noqa: E402

matrix = analyse(session.store.run(response.uid)).matrix
session.run(plans.promote_reference(machine, "orbit", orbit.uid))
golden = machine.references.current("orbit")
session.run(plans.roll_back_reference(machine, "orbit"))

# The model
model_tunes = session.model.tunes()
xi_x, xi_y = session.model.chromaticity()
optics = session.model.optics()
beta = session.model.optics(everywhere=True).beta
model_dispersion = session.model.dispersion()
alpha_c = session.model.equilibrium().momentum_compaction
model_response = machine.design.orbit_response(machine.bpms.names, machine.hcm.names)

# Modes
session.machine_to_model()
session.model_to_machine()
session.switch_to_physics()

# Plots
from pathlib import Path  # noqa: E402

from acctwin.plots.chromaticity import draw_chromaticity  # noqa: E402
from acctwin.plots.dispersion import draw_dispersion  # noqa: E402
from acctwin.plots.figure import new_figure, save  # noqa: E402
from acctwin.plots.orbit import draw_orbit  # noqa: E402
from acctwin.plots.response import draw_matrix  # noqa: E402
from acctwin.plots.tune import draw_tunes  # noqa: E402

figure, axes = new_figure(5)
draw_orbit(axes[0], orbit)
draw_tunes(axes[1], tuned)
draw_dispersion(axes[2], dispersion)
draw_chromaticity(axes[3], chromaticity)
draw_matrix(axes[4], response)
save(figure, Path("orbit.png"))
session.close()
