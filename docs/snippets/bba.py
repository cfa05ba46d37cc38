"""How-to: find the offsets of BPMs with the beam."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("fodo", seed=1, catalog="temporary")
machine = session.machine

# [measure]
bpms = machine.bpms.names[:3]
found = session.run(plans.bba(machine, bpms))
for name, x, sigma in zip(found.bpms, found.offset_x, found.sigma_x, strict=True):
    print(f"{name}: x = ({1e6 * x:.1f} ± {1e6 * sigma:.1f}) µm")
# [more]
more = session.run(plans.bba(machine, machine.bpms.names[:4], resume=found.uid))
print(len(more.bpms), "BPMs in runs", more.uids)
many = session.run(plans.bba(machine, mode="parallel", plane="x"))
print(len(many.bpms), "BPMs in", many.settings, "settings of the machine")
# [use]
session.run(plans.promote_reference(machine, "bba", more.uid))
goal = more.as_goal()  # for correct_orbit(machine, goal=goal), when all BPMs are there
print(goal.names, goal.x)
# [plot]
from acctwin.plots.bba import draw_offsets  # noqa: E402
from acctwin.plots.figure import new_figure, save  # noqa: E402

figure, axes = new_figure(1)
draw_offsets(axes[0], more)
save(figure, Path("bba.png"))
# [end]
session.close()
