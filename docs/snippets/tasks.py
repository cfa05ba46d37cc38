"""What the how-to pages show, in one session."""

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [response]
response = session.run(
    plans.measure_orbit_response(
        machine,
        correctors=[machine.hcm, machine.vcm.select("C0[1-4]/*"), machine.rf],
        scale=2.0,  # twice the steps of the profile
        readings=2,  # averaged at each step
    )
)
print(response.matrix.shape, sorted(set(response.units)))
print("largest error of an entry:", response.sigma.max())
# [tune-response]
quadrupoles = [machine["QF"], machine["C01/QD"]]
tunes = session.run(
    plans.measure_response(machine, quadrupoles, [machine.tune], method="unipolar")
)
print(tunes.monitors, tunes.matrix[:, 0])
# [response-end]

# [preview]
response = session.run(plans.measure_orbit_response(machine))
preview = session.run(plans.correct_orbit(machine, response, preview=True))
print("predicted rms [m]:", preview.after.rms, "with", preview.kept, "singular values")
print("largest kick [rad]:", abs(preview.setpoints).max())
# [correct]
correction = session.run(
    plans.correct_orbit(machine, response.uid, cutoff=0.01, iterations=2)
)
for name, kick in zip(correction.actuators[:3], correction.setpoints, strict=False):
    print(name, kick)
# [goal]
goal = correction.after
session.run(plans.step(machine, "C05/HCM", 2e-5))
back = session.run(plans.correct_orbit(machine, response, goal=goal))
print(back.rms_x, back.rms_y)  # from the goal, after each iteration
# [correct-end]

# [bad]
machine.mark_bad("C03/BPM1", "C07/VCM")
orbit = session.run(plans.measure_orbit(machine))
print("C03/BPM1" in orbit.names, len(orbit.names), "of", len(machine.bpms))
machine.mark_good("C07/VCM")
print(machine.bpms.status.sum(), "good BPMs,", len(machine.vcm.good()), "good VCMs")
# [bad-end]

# [faults]
from acctwin.errors import DeviceError  # noqa: E402

session.simulation.stick("C03/PS-HCM")  # or trip; by the name of the supply
try:
    session.run(plans.step(machine, "C03/HCM", 2e-5))
except DeviceError as error:
    print(error)
session.simulation.repair("C03/PS-HCM")
# [faults-end]
session.close()
