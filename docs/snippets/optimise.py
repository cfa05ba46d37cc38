"""How-to: optimise what is read with the knobs of the machine."""

from pathlib import Path

import acctwin
from acctwin import plans

session = acctwin.open_session("soleil", seed=2, catalog="temporary")
machine = session.machine

# [optimise]
from acctwin.plans.optimisation import problems  # noqa: E402

problem = problems.vertical_emittance(machine, modes=4, noise=1e-13)  # [m rad]
done = session.run(plans.optimise(machine, problem, "rcds", evaluations=30))
print(done.summary())
# [resume]
more = session.run(plans.optimise(machine, problem, evaluations=40, resume=done.uid))
print(more.resumed, more.evaluations)
# [own]
from acctwin.analysis.optimisation import Output  # noqa: E402
from acctwin.plans.knobs import correctors  # noqa: E402
from acctwin.plans.optimisation.problem import Measured, Problem, plain_variables  # noqa: E402

knobs = correctors(
    machine,
    "physics",
    lambda name: name in {"SR/SQ-001", "SR/SQ-002"},
    ["skew_quadrupoles"],
)


def ratio(readings):
    return readings["emittance_ey"] / readings["emittance_ex"]


own = Problem(
    "coupling",
    knobs,
    plain_variables(knobs, reach=1e5),
    (machine.emittance,),
    objectives=(Measured(Output("ratio", "1", noise=1e-5), ratio),),
    constraints=(
        Measured(Output("ex", "m rad", at_most=5e-9), lambda r: r["emittance_ex"]),
    ),
)
session.run(plans.optimise(machine, own, "random", evaluations=5, finish="start"))
# [plot]
from acctwin.plots.figure import new_figure, save  # noqa: E402
from acctwin.plots.optimise import draw_optimisation  # noqa: E402

figure, axes = new_figure(2)
draw_optimisation(axes, more)
save(figure, Path("optimise.png"))
# [undo]
session.run(plans.restore_machine(machine, done.uid, ["skew_quadrupoles"]))
# [end]
session.close()
