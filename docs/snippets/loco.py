"""How-to: fit the model to the machine, and make the machine the design."""

from pathlib import Path

import acctwin
from acctwin import plans
from acctwin.workflows import loco

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [measure]
session.run(plans.correct_orbit(machine, goal="zero"))
measured = session.run(plans.measure_loco(machine, readings=2))
# [fit]
found = loco.fit(session, measured.uid)
print(found.summary())
print("C01/QF:", found.quadrupole_errors["C01/QF"])
print("gain of the first BPM in x:", found.gains.bpm[0, 0, 0])
# [apply]
preview = session.run(plans.apply_loco(machine, found, preview=True))
print("largest change:", abs(preview.changes).max())
applied = session.run(plans.apply_loco(machine, found))
again = loco.fit(session, session.run(plans.measure_loco(machine, readings=2)).uid)
print("beta beat after:", again.beta_beat.std(axis=0))
# [undo]
session.run(plans.restore_machine(machine, applied.uid))
# [model]
loco.load(session, found.model_version)  # session.model is the fitted machine now
print(session.model.tunes())
loco.load(session, None)  # and the design again
# [gains]
version = found.model_version
session.run(plans.promote_reference(machine, "gains", version))
session.run(plans.promote_reference(machine, "orbit_response", version))
orbit = session.run(plans.measure_orbit(machine, calibrated=True))
session.run(plans.correct_orbit(machine))  # with the fitted model
# [compare]
from acctwin.workflows.compare import compare  # noqa: E402

difference = compare(session, found.model_version)  # with the design
print(difference.summary())
print("largest beta beat:", abs(difference.beta_beat_everywhere).max(axis=0))
# [plot]
from acctwin.plots.figure import new_figure, save  # noqa: E402
from acctwin.plots.loco import draw_loco  # noqa: E402

figure, axes = new_figure(4)
draw_loco(axes, found)
save(figure, Path("loco.png"))
# [end]
session.close()
