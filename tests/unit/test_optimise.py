"""The optimisation plan, with random search: nothing of it needs Xopt."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from bluesky.preprocessors import msg_mutator
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import RequestAbort
from toy import ToyRuns, toy_error
from toy_ring import RingEngine, ring_machine

from acctwin import plans
from acctwin.analysis.optimisation import Output
from acctwin.data.runs import Run
from acctwin.errors import BeamLost, LimitError, MissingExtra, PlanError, UnknownName
from acctwin.plans import beam
from acctwin.plans.optimisation import problems
from acctwin.plans.optimisation.optimise import analyse
from acctwin.plans.optimisation.problem import Measured, Variable

SKEWS = ["T/SQ0", "T/SQ1"]


class Fragile(RingEngine):
    """Loses the beam when the first skew quadrupole is beyond a value."""

    most = np.inf

    def orbit(self):
        if self.change("T/SQ0")[0] > self.most:
            raise BeamLost("the toy's beam is lost")
        return super().orbit()

    def equilibrium(self):
        self.orbit()
        return super().equilibrium()


@pytest.fixture
def ring(run, monkeypatch):
    monkeypatch.setattr(beam, "LOOK_S", 0.01)
    engine = Fragile(toy_error())
    machine, sim = ring_machine(engine)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim, engine


def skews(sim) -> np.ndarray:
    return sim.setpoints[[sim.layout.knobs.index(name) for name in SKEWS]]


def search(machine, problem="vertical_emittance", **options):
    words = {"evaluations": 12, "seed": 4, **options}
    return plans.optimise(machine, problem, "random", **words)


def stop_at(plan, number, error):
    """Hand on a plan's messages, and throw into it when an event is saved."""
    messages, answer, saved = iter(plan), None, 0
    while True:
        try:
            message = messages.send(answer)
            if message.command == "save":
                saved += 1
                if saved == number:
                    yield message
                    message = messages.throw(error)
        except StopIteration as end:
            return end.value
        answer = yield message


def test_every_evaluation_is_an_event_and_the_best_is_set(run, ring):
    machine, sim, _ = ring
    small = problems.vertical_emittance(machine, reach=0.03)
    result = run(search(machine, small, evaluations=30))
    assert result.evaluations == 31
    assert result.origins == ("start", *["generator"] * 29, "final")
    assert result.values[result.best, 0] < result.values[0, 0]
    assert skews(sim) == pytest.approx(result.candidates[result.best])
    events = [event["data"] for event in run.events()]
    assert len(events) == 31
    for event, candidate, value in zip(
        events, result.candidates, result.values, strict=True
    ):
        assert event["skew_quadrupoles_strength"] == pytest.approx(candidate)
        assert event["emittance_ey"] == event["optimise_output"][0] == value[0]
        assert event["optimise_is_feasible"] == 1
    assert run.start["num_points"] == 31
    words = run.start["optimisation"]
    assert (words["generator"], words["seed"]) == ("random", 4)
    assert words["variables"] == SKEWS
    (stored,) = run.events("result")
    assert stored["data"]["optimise_best_output"] == result.values[result.best]
    assert "random: 31 evaluations; ey" in result.summary()


def test_a_stored_run_gives_the_same_result(run, ring):
    machine, _, _ = ring
    result = run(search(machine))
    again = analyse(Run.from_documents(run.documents))
    assert np.array_equal(again.candidates, result.candidates)
    assert np.array_equal(again.values, result.values)
    assert (again.origins, again.uid) == (result.origins, result.uid)
    assert again.summary() == result.summary()


def test_finish_start_puts_the_start_back(run, ring):
    machine, sim, _ = ring
    result = run(search(machine, finish="start"))
    assert result.origins[-1] == "generator"
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_when_it_fails_the_start_is_back(run, ring):
    machine, sim, _ = ring
    with pytest.raises(RuntimeError, match="something else"):
        run(stop_at(search(machine), 5, RuntimeError("something else")))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert run.stop["exit_status"] == "fail"


def test_when_it_is_aborted_the_start_is_back(run, ring):
    machine, sim, _ = ring
    run.RE(stop_at(search(machine), 5, RequestAbort()))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert run.stop["exit_status"] == "abort"
    assert len(run.events()) == 5
    assert analyse(Run.from_documents(run.documents)).evaluations == 5


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(run, ring):
    machine, sim, _ = ring
    whole = run(search(machine))
    runs = []
    for stop in (5, 3):
        sim.put(np.arange(len(sim.setpoints)), sim.layout.values)
        sim.changes.notify()
        run.RE(
            stop_at(
                search(machine, resume=runs[-1].uid if runs else None),
                stop,
                RequestAbort(),
            )
        )
        runs.append(Run.from_documents(run.documents))
        machine.runs = ToyRuns(*runs)
    result = run(
        plans.optimise(
            machine, "vertical_emittance", evaluations=12, resume=runs[-1].uid
        )
    )
    assert len(run.events()) == 12 - 8 + 1
    assert np.array_equal(result.candidates, whole.candidates)
    assert np.array_equal(result.values, whole.values)
    assert result.resumed == "data"
    assert run.start["derived_from"] == [runs[-1].uid]
    last = Run.from_documents(run.documents)
    assert np.array_equal(analyse(last, runs).candidates, whole.candidates)


def test_what_cannot_be_resumed_is_said(run, ring):
    machine, _, _ = ring
    run(search(machine))
    done = Run.from_documents(run.documents)
    machine.runs = ToyRuns(done)
    with pytest.raises(PlanError, match="it goes on with that, not with rcds"):
        run(plans.optimise(machine, "vertical_emittance", "rcds", resume=done.uid))
    with pytest.raises(PlanError, match="it cannot go on"):
        run(plans.optimise(machine, "orbit", resume=done.uid))
    run(plans.measure_orbit(machine))
    other = Run.from_documents(run.documents)
    machine.runs = ToyRuns(other)
    with pytest.raises(PlanError, match="is no optimisation"):
        run(plans.optimise(machine, "orbit", resume=other.uid))


def test_beam_loss_is_a_failed_evaluation_and_not_the_end(run, ring, caplog):
    machine, sim, engine = ring
    engine.most = 0.05
    result = run(search(machine, evaluations=30))
    lost = result.candidates[:, 0] > 0.05
    assert 3 < lost.sum() < 25
    assert np.array_equal(result.is_failed, lost)
    assert result.evaluations == 31
    assert skews(sim) == pytest.approx(result.candidates[result.best])
    assert len(run.events()) == 31 - lost.sum()
    failed = [event["data"] for event in run.events("failed")]
    assert len(failed) == len(run.events("beam")) == lost.sum()
    for event in failed:
        number = event["optimise_evaluation"]
        assert lost[number]
        assert event["optimise_candidate"] == pytest.approx(result.candidates[number])
    assert "the toy's beam is lost" in caplog.text
    again = analyse(Run.from_documents(run.documents))
    assert np.array_equal(again.candidates, result.candidates)
    assert np.array_equal(again.values, result.values, equal_nan=True)


def test_a_beam_that_does_not_come_back_ends_it_with_the_start_restored(run, ring):
    machine, sim, engine = ring
    machine.defaults = replace(
        machine.defaults, beam=replace(machine.defaults.beam, wait_s=0.05)
    )

    def away(message):
        saved.extend([message] if message.command == "save" else [])
        if len(saved) == 2:
            engine.most = -np.inf
        return message

    saved: list[object] = []
    with pytest.raises(BeamLost, match="did not come back within"):
        run(msg_mutator(search(machine), away))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert run.stop["exit_status"] == "fail"


def test_a_start_without_a_value_is_refused(run, ring):
    machine, _, _ = ring
    plain = problems.vertical_emittance(machine)
    none = (Measured(Output("f", "m"), lambda _: np.nan),)
    with pytest.raises(PlanError, match="no value at the start"):
        run(search(machine, replace(plain, objectives=none)))


def test_combined_knobs_never_leave_the_limits(run, ring):
    machine, sim, _ = ring
    plain = problems.vertical_emittance(machine)
    sum_, difference = (
        Variable(name, "1/m^2", dict(zip(SKEWS, weights, strict=True)), is_change=True)
        for name, weights in (("sum", (1.0, 1.0)), ("difference", (1.0, -1.0)))
    )
    problem = replace(plain, variables=(sum_, difference))
    result = run(search(machine, problem, evaluations=30))
    wanted = result.candidates @ np.array([[1.0, 1.0], [1.0, -1.0]])
    outside = (np.abs(wanted) > 0.1).any(axis=1)
    assert outside.any()
    assert np.array_equal(result.is_failed, outside)
    for event in run.events():
        strengths = event["data"]["skew_quadrupoles_strength"]
        assert np.abs(strengths).max() <= 0.1
    assert not run.events("beam")
    assert skews(sim) == pytest.approx(wanted[result.best])


def test_the_best_keeps_the_constraints(run, ring):
    machine, _, _ = ring
    plain = problems.vertical_emittance(machine, reach=0.03)

    def first(event) -> float:
        return float(event["skew_quadrupoles_strength"][0])

    bound = Measured(Output("first", "1/m^2", at_most=0.0), first)
    result = run(search(machine, replace(plain, constraints=(bound,)), evaluations=40))
    assert np.array_equal(result.is_feasible, result.candidates[:, 0] <= 0.0)
    assert result.candidates[result.best, 0] <= 0.0
    free = np.argmin(result.values[:, 0])
    assert result.candidates[free, 0] > 0.0
    feasible = [event["data"]["optimise_is_feasible"] for event in run.events()]
    assert feasible == result.is_feasible.astype(int).tolist()


def test_nothing_moves_before_all_is_checked(run, ring):
    machine, sim, _ = ring
    cases = [
        ({"evaluations": 0}, PlanError, "at least 1 evaluation"),
        ({"finish": "worst"}, PlanError, "'best' or 'start'"),
        ({"initial": [[0.2, 0.0]]}, PlanError, "2 numbers within the limits"),
        ({"initial": [[0.0]]}, PlanError, "2 numbers within the limits"),
        ({"directions": [[1.0], [0.0]]}, PlanError, "directions are for rcds"),
        ({"options": {"a": object()}}, PlanError, "cannot be stored"),
    ]
    for options, error, words in cases:
        with pytest.raises(error, match=words):
            run(search(machine, **options))
    with pytest.raises(UnknownName, match="rcds"):
        run(plans.optimise(machine, "orbit", "rcd"))
    with pytest.raises(PlanError, match="several objectives"):
        run(plans.optimise(machine, "orbit", "mobo"))
    low = replace(problems.orbit(machine).variables[0], low=1e-4)
    tight = replace(problems.orbit(machine), variables=(low,))
    with pytest.raises(LimitError, match="starts at 0"):
        run(search(machine, tight))
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_initial_candidates_come_after_the_start(run, ring):
    machine, _, _ = ring
    first = [[0.01, 0.01], [0.02, -0.01]]
    result = run(search(machine, initial=first, evaluations=5, finish="start"))
    assert result.origins == ("start", "initial", "initial", "generator", "generator")
    assert result.candidates[1:3] == pytest.approx(np.array(first))


def test_without_xopt_it_says_what_to_install(run, ring, monkeypatch):
    machine, sim, _ = ring
    for name in ("xopt", "xopt.generators", "xopt.generators.sequential"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"pip install 'acctwin\[optimise\]'"):
        run(plans.optimise(machine, "vertical_emittance", evaluations=3))
    assert np.array_equal(sim.setpoints, sim.layout.values)
