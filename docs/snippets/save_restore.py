"""What the pages on saving, restoring and golden references show."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [save]
saved = session.run(plans.save_machine(machine, "after the tune correction"))
print(saved.uid, len(saved.setpoints), "setpoints")
# [compare]
session.run(plans.step(machine, "C03/HCM", 2e-5))
session.run(plans.step(machine, "QF", 0.01))
found = session.run(plans.compare_machine(machine, saved.uid))
print(len(found.differences), "setpoints differ")
print(found.table())
# [plot]
from acctwin.plots.figure import new_figure, save  # noqa: E402
from acctwin.plots.machine_state import draw_differences  # noqa: E402

figure, axes = new_figure(2)
draw_differences(axes[0], found.differences)  # strengths, in tolerances
draw_differences(axes[1], found.supplies, scale="limits")  # currents, in % of the range
save(figure, Path("compare.png"))
# [restore]
preview = session.run(plans.restore_machine(machine, saved, preview=True))
print(preview.summary())
done = session.run(plans.restore_machine(machine, saved, ["hcm", "QF"], steps=5))
print(done.summary())
# [cycle]
loop = session.run(plans.cycle(machine, "QF", [0.1, -0.1], with_beam=True))
print(loop.units[0], loop.setpoints[:, 0])
# [cycle-end]

# [promote]
response = session.run(plans.measure_orbit_response(machine))
orbit = session.run(plans.measure_orbit(machine, readings=10))
for kind, uid in [
    ("orbit_response", response.uid),
    ("orbit", orbit.uid),
    ("machine", saved.uid),
]:
    session.run(plans.promote_reference(machine, kind, uid, "commissioning, week 12"))
# [use]
session.run(plans.step(machine, "C05/HCM", 2e-5))
correction = session.run(plans.correct_orbit(machine))  # golden response, golden orbit
print(correction.rms_x)  # from the golden orbit
session.run(plans.restore_machine(machine, "golden"))
flat = session.run(plans.correct_orbit(machine, "model", goal="zero", preview=True))
# [history]
for change in machine.references.history("orbit"):
    print(change.action, change.uid, change.operator, change.reason)
session.run(plans.roll_back_reference(machine, "orbit", "a BPM was broken then"))
print(machine.references.current("orbit"))  # None: there was none before
# [history-end]
session.close()
