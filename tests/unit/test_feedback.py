"""Orbit feedback: it holds, limits its steps, waits for the beam, and stops cleanly."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import RequestAbort, RequestStop
from toy import N_COR, toy_error, toy_matrix
from toy_ring import RingEngine, ring_machine

from acctwin import plans
from acctwin.analysis.feedback import limit_step, plane_rms
from acctwin.data.runs import Run
from acctwin.errors import BeamLost, PlanError
from acctwin.plans.orbits import feedback

FAST = {"period_s": 0.0, "wait_s": 0.01, "give_up_s": 0.05}


def test_a_step_is_shortened_as_a_whole_and_limits_hold_single_knobs():
    step, now = np.array([4.0, -2.0, 1.0]), np.array([0.0, -0.9, 0.5])
    low, high, most = -np.ones(3), np.ones(3), np.array([1.0, 1.0, 1.0])
    made, is_at_limit = limit_step(step, now, low, high, most)
    assert made == pytest.approx([1.0, 0.0, 0.25])
    assert is_at_limit.tolist() == [False, True, False]
    small = np.array([0.1, 0.0, -0.2])
    made, is_at_limit = limit_step(small, now, low, high, most)
    assert made == pytest.approx(small)
    assert not is_at_limit.any()


def test_rms_is_taken_plane_by_plane():
    x, y = plane_rms(np.array([[3.0, 4.0, 0.0, 2.0], [0.0, 0.0, 1.0, 1.0]]))
    assert x == pytest.approx([np.sqrt(12.5), 0.0])
    assert y == pytest.approx([np.sqrt(2.0), 1.0])


@pytest.fixture
def ring(run):
    """A toy ring with an orbit, and what simulates it."""
    machine, sim = ring_machine(RingEngine(toy_error()))
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def throw_at(plan, number, error):
    """Hand on a plan's messages, and throw into it at one of its moves."""
    messages, answer, sets = iter(plan), None, 0
    while True:
        try:
            message = messages.send(answer)
            if message.command == "set":
                sets += 1
                if sets == number:
                    message = messages.throw(error)
        except StopIteration as end:
            return end.value
        answer = yield message


def test_it_brings_the_orbit_to_its_goal_and_leaves_the_correctors(run, ring):
    machine, sim = ring
    result = run(plans.orbit_feedback(machine, cycles=12, **FAST))
    assert result.cycles == 12
    assert result.rms_x[-1] < 0.02 * result.rms_x[0]
    # Half of the rest is corrected in each cycle, once no step is shortened.
    assert result.rms_y[-2] / result.rms_y[-3] == pytest.approx(0.5, abs=0.05)
    assert np.abs(sim.setpoints[: 2 * N_COR]).max() > 1e-5
    again = feedback.analyse(Run.from_documents(run.documents))
    assert again.rms_x == pytest.approx(result.rms_x)
    assert again.rms_y == pytest.approx(result.rms_y)
    assert (again.stopped, again.frozen, again.uid) == (result.stopped, (), result.uid)


def test_no_corrector_moves_further_than_it_may(run, ring):
    machine, _ = ring
    run(plans.orbit_feedback(machine, cycles=4, max_step=2e-6, **FAST))
    kicks = np.array([event["data"]["hcm_strength"] for event in run.events()])
    moved = np.abs(np.diff(kicks, axis=0))
    assert moved.max() == pytest.approx(2e-6, rel=1e-6)


def test_a_corrector_at_its_limit_is_said_once_and_the_others_go_on(run, caplog):
    kicks = np.zeros(9)
    kicks[0], kicks[5] = -1.5e-3, 2e-4
    machine, sim = ring_machine(RingEngine(toy_matrix() @ kicks))
    call_in_bluesky_event_loop(machine.connect())
    # Few knobs, so that the others do not try to help the one at its limit.
    machine.mark_bad("T/C1-H", "T/C2-H", "T/C3-H", "T/C0-V", "T/C2-V", "T/C3-V")
    result = run(plans.orbit_feedback(machine, cycles=20, max_step=5e-4, **FAST))
    assert result.frozen == ("T/C0-H",)
    assert [r.message for r in caplog.records if "limit" in r.message] == [
        "orbit_feedback: at a limit, and left where it is: T/C0-H"
    ]
    assert sim.setpoints[0] <= 1e-3
    assert sim.setpoints[5] == pytest.approx(-2e-4, rel=0.01)
    assert feedback.analyse(Run.from_documents(run.documents)).frozen == result.frozen


class Blinking(RingEngine):
    """Has no beam at some orbits."""

    dark = range(0)
    asked = 0

    def orbit(self):
        self.asked += 1
        if self.asked in self.dark:
            raise BeamLost("the toy was told to lose it")
        return super().orbit()


def test_it_holds_without_beam_and_goes_on_when_it_is_back(run, caplog):
    engine = Blinking(toy_error())
    machine, _ = ring_machine(engine)
    call_in_bluesky_event_loop(machine.connect())
    engine.dark = range(engine.asked + 3, engine.asked + 5)
    result = run(plans.orbit_feedback(machine, cycles=6, **FAST | {"give_up_s": 60.0}))
    assert (result.cycles, result.beam_losses) == (6, 1)
    assert result.rms_x[-1] < 0.2 * result.rms_x[0]
    lost, back = run.events("beam")
    assert lost["data"] == {"feedback_cycle": 2, "feedback_is_lost": 1}
    assert back["data"] == {"feedback_cycle": 2, "feedback_is_lost": 0}
    assert "told to lose it" in caplog.text
    assert "is back" in caplog.text


def test_without_beam_for_too_long_it_fails_and_puts_back(run):
    engine = Blinking(toy_error())
    machine, sim = ring_machine(engine)
    call_in_bluesky_event_loop(machine.connect())
    engine.dark = range(engine.asked + 3, 10**6)
    with pytest.raises(BeamLost, match="gives up"):
        run(plans.orbit_feedback(machine, cycles=6, **FAST))
    assert run.stop["exit_status"] == "fail"
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_too_little_current_counts_as_no_beam(run, ring):
    machine, sim = ring
    with pytest.raises(BeamLost, match="below 0.5 A"):
        run(plans.orbit_feedback(machine, cycles=2, min_current_a=0.5, **FAST))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    result = run(plans.orbit_feedback(machine, cycles=2, min_current_a=0.1, **FAST))
    assert result.cycles == 2
    again = feedback.analyse(Run.from_documents(run.documents))
    assert again.rms_x == pytest.approx(result.rms_x)


def test_stopped_it_leaves_the_correctors_and_says_what_it_did(run, ring):
    machine, sim = ring
    run.RE(throw_at(plans.orbit_feedback(machine, **FAST), 6, RequestStop()))
    assert np.abs(sim.setpoints[: 2 * N_COR]).max() > 1e-6
    assert run.stop["exit_status"] == "success"
    result = feedback.analyse(Run.from_documents(run.documents))
    assert result.cycles == 3
    assert result.stopped == "it was stopped"


def test_aborted_it_puts_the_correctors_back(run, ring):
    machine, sim = ring
    run.RE(throw_at(plans.orbit_feedback(machine, **FAST), 6, RequestAbort()))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert run.stop["exit_status"] == "abort"


@pytest.mark.parametrize(
    "options", [{"cycles": 0}, {"max_step": 0.0}, {"period_s": -1.0}, {"wait_s": 0.0}]
)
def test_what_makes_no_sense_is_refused(run, ring, options):
    machine, _ = ring
    with pytest.raises(PlanError, match=next(iter(options))):
        run(plans.orbit_feedback(machine, **FAST | options))


def test_it_follows_a_goal(run, ring):
    machine, _ = ring
    before = run(plans.measure_orbit(machine))
    result = run(plans.orbit_feedback(machine, goal=before, cycles=2, **FAST))
    assert result.rms_x.max() < 1e-9
