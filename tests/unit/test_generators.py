"""Optimisation with Xopt's generators, on a toy ring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import RequestAbort
from test_optimise import SKEWS, Fragile, skews, stop_at
from toy import ToyRuns, toy_error
from toy_ring import ring_machine

from acctwin import plans
from acctwin.analysis.optimisation import Output
from acctwin.data.runs import Run
from acctwin.errors import PlanError
from acctwin.plans import beam
from acctwin.plans.optimisation import problems
from acctwin.plans.optimisation.problem import Measured
from acctwin.plans.optimisation.rcds import prepare_scan

pytestmark = [
    pytest.mark.slow,  # PyTorch takes seconds to import, and warns of itself
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:A not p.d., added jitter"),
]


#: Bayesian suggestions that are quick, and good enough for two variables.
QUICK = {
    "n_monte_carlo_samples": 16,
    "numerical_optimizer": {"name": "LBFGS", "n_restarts": 2},
}


@pytest.fixture
def ring(run, monkeypatch):
    monkeypatch.setattr(beam, "LOOK_S", 0.01)
    engine = Fragile(toy_error())
    machine, sim = ring_machine(engine)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim, engine


def home(sim) -> None:
    sim.put(np.arange(len(sim.setpoints)), sim.layout.values)
    sim.changes.notify()


def squeeze(machine, aim=(0.05, -0.03), **changes):
    """Return a problem whose best point is known."""
    plain = problems.vertical_emittance(machine)

    def distance(event) -> float:
        return float(((event["skew_quadrupoles_strength"] - aim) ** 2).sum())

    objective = Measured(Output("distance", "1/m^4", 1e-6), distance)
    return replace(plain, name="squeeze", objectives=(objective,), **changes)


@pytest.mark.parametrize(
    ("generator", "evaluations", "within"),
    [("rcds", 40, 2e-3), ("neldermead", 60, 2e-3), ("bayesian", 20, 5e-3)],
)
def test_the_best_point_is_found(run, ring, generator, evaluations, within):
    machine, sim, _ = ring
    result = run(
        plans.optimise(
            machine, squeeze(machine), generator, evaluations=evaluations, seed=1
        )
    )
    assert result.evaluations == evaluations + 1
    assert skews(sim) == pytest.approx([0.05, -0.03], abs=within)


@pytest.mark.parametrize(
    ("generator", "evaluations"), [("rcds", 30), ("neldermead", 30), ("bayesian", 10)]
)
def test_stopped_and_resumed_the_history_is_the_same(run, ring, generator, evaluations):
    machine, sim, _ = ring
    words = {"evaluations": evaluations, "seed": 3}
    whole = run(plans.optimise(machine, "vertical_emittance", generator, **words))
    home(sim)
    plan = plans.optimise(machine, "vertical_emittance", generator, **words)
    run.RE(stop_at(plan, 2 * evaluations // 3, RequestAbort()))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    part = Run.from_documents(run.documents)
    machine.runs = ToyRuns(part)
    again = run(
        plans.optimise(
            machine, "vertical_emittance", evaluations=evaluations, resume=part.uid
        )
    )
    assert again.resumed == ("data" if generator == "bayesian" else "replay")
    assert again.candidates == pytest.approx(whole.candidates, abs=1e-9)
    assert again.values == pytest.approx(whole.values, rel=1e-6)


def test_what_is_not_reproduced_goes_on_from_the_best_and_says_so(run, ring):
    machine, _, _ = ring
    run.RE(
        stop_at(
            plans.optimise(machine, "vertical_emittance", "rcds", evaluations=30),
            12,
            RequestAbort(),
        )
    )
    for name, doc in run.documents:
        if name == "event" and doc["data"].get("optimise_evaluation") == 4:
            doc["data"]["optimise_candidate"] = np.array([0.011, 0.012])
    part = Run.from_documents(run.documents)
    machine.runs = ToyRuns(part)
    again = run(
        plans.optimise(machine, "vertical_emittance", evaluations=20, resume=part.uid)
    )
    assert again.resumed == "restart from best"
    assert again.evaluations == 21


def test_constraints_are_learnt(run, ring):
    machine, _, _ = ring

    def first(event) -> float:
        return float(event["skew_quadrupoles_strength"][0])

    bound = Measured(Output("first", "1/m^2", at_most=0.02), first)
    problem = squeeze(machine, constraints=(bound,))
    options = {"evaluations": 18, "seed": 2, "options": QUICK}
    result = run(plans.optimise(machine, problem, "bayesian", **options))
    assert result.candidates[result.best] == pytest.approx([0.02, -0.03], abs=0.01)
    assert result.bounded[result.best, 0] <= 0.02
    with pytest.raises(PlanError, match="knows no constraints and starts at"):
        outside = replace(bound, output=Output("first", "1/m^2", at_most=-0.01))
        run(plans.optimise(machine, squeeze(machine, constraints=(outside,)), "rcds"))


@pytest.mark.long
def test_several_objectives_have_a_front(run, ring):
    machine, sim, _ = ring
    one = squeeze(machine, aim=(0.05, 0.0)).objectives[0]
    two = squeeze(machine, aim=(-0.05, 0.0)).objectives[0]
    two = replace(two, output=replace(two.output, name="other"))
    problem = replace(squeeze(machine), objectives=(one, two))
    options = {"evaluations": 14, "seed": 1, "finish": "start", "options": QUICK}
    result = run(plans.optimise(machine, problem, "mobo", **options))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    front = result.candidates[result.pareto]
    assert result.best is None
    assert len(front) >= 4
    # The true front is the line between the two points.
    assert np.median(np.abs(front[:, 1])) < 0.02
    assert "on the Pareto front" in result.summary()


@pytest.mark.parametrize(("generator", "evaluations"), [("rcds", 40), ("bayesian", 16)])
def test_a_lost_beam_is_not_the_end(run, ring, generator, evaluations):
    machine, sim, engine = ring
    engine.most = 0.03
    problem = squeeze(machine, aim=(0.04, -0.03))
    result = run(
        plans.optimise(machine, problem, generator, evaluations=evaluations, seed=1)
    )
    assert result.is_failed.any()
    assert result.evaluations == evaluations + 1
    assert (result.candidates[~result.is_failed][:, 0] <= 0.03).all()
    assert skews(sim) == pytest.approx(result.candidates[result.best])
    assert result.values[result.best, 0] < 0.3 * result.values[0, 0]


def test_options_are_those_of_xopt(run, ring):
    machine, sim, _ = ring
    with pytest.raises(PlanError, match="Xopt does not make a rcds of"):
        run(plans.optimise(machine, "orbit", "rcds", options={"step": -1.0}))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    options = {"step": 0.2}
    result = run(
        plans.optimise(
            machine, "orbit", "rcds", options=options, directions=None, evaluations=2
        )
    )
    names = problems.orbit(machine).names
    moved = np.flatnonzero(result.candidates[1] - result.candidates[0])
    assert len(moved) == 1
    limits = machine[names[moved[0]]].limits
    step = abs(result.candidates[1] - result.candidates[0])[moved[0]]
    assert step == pytest.approx(0.2 * (limits[1] - limits[0]), rel=1e-6)


def test_modes_of_the_design_are_combinations(run, ring):
    machine, _, _ = ring
    problem = problems.vertical_emittance(machine, modes=2, coupling=0.02)
    assert problem.names == ("mode_1", "mode_2")
    assert problem.matrix.T @ problem.matrix == pytest.approx(np.eye(2))
    first, second = problem.variables
    assert 0 < first.reach <= second.reach
    result = run(plans.optimise(machine, problem, "rcds", evaluations=20))
    assert result.values[result.best, 0] < result.values[0, 0]
    for words, match in (({"modes": 3}, "1 to 2"), ({"coupling": 0.0}, "more than 0")):
        with pytest.raises(PlanError, match=match):
            problems.vertical_emittance(machine, **{"modes": 1, **words})
    assert list(problem.knobs.names) == SKEWS


def test_xopts_line_scan_measures_known_points_again_and_ours_does_not():
    from xopt.generators.sequential.rcds import LineScanStateMachine

    known = np.array([[-1.0, 40.0], [0.2, 0.5], [1.0, 60.0]])

    def scan():
        return LineScanStateMachine(np.zeros(1), 0.0, np.ones(1), -1.0, 1.0, 6, known)

    plain = scan()
    plain.propose()
    assert np.isfinite(plain.flist).sum() < 3, "Xopt has put it right: take its own"
    ours = scan()
    prepare_scan(ours)
    assert ours.alist == pytest.approx([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])
    assert ours.flist[[0, 3, 5]].tolist() == [40.0, 0.5, 60.0]
    assert np.isnan(ours.flist[[1, 2, 4]]).all()
