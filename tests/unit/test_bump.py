"""Local bumps: which correctors, which kicks, and what the plan makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy_ring import RingEngine, ring_machine

from acctwin import plans
from acctwin.analysis.bump import (
    BumpOptics,
    choose_correctors,
    normalised,
    phase_from,
    solve_bump,
)
from acctwin.data.runs import Run
from acctwin.errors import LimitError, PlanError, UnknownName
from acctwin.plans.orbits import bump

TUNE = 4.2


def optics_of(count=24, wanted=(1.0, np.nan), beta=4.0, room=1.0):
    """Return correctors around a ring, seen from a place between two of them."""
    phase = phase_from(
        2 * np.pi * TUNE * (np.arange(count) + 0.37) / count, np.pi * TUNE, TUNE
    )
    many = np.ones(count)
    return BumpOptics(phase, beta * many, room * many, np.array(wanted, dtype=float))


def test_phases_are_counted_from_the_place_both_ways():
    turn = 2 * np.pi * TUNE
    seen = phase_from(np.array([0.1, turn - 0.1, 1.0, 9.0]), 0.2, TUNE)
    assert seen == pytest.approx([-0.1, -0.3, 0.8, 8.8])


@pytest.mark.parametrize(("wanted", "count"), [((1.0, np.nan), 3), ((1.0, 0.5), 4)])
def test_the_correctors_stand_on_both_sides_and_make_the_bump(wanted, count):
    optics = optics_of(wanted=wanted)
    chosen = choose_correctors(optics, count)
    phase = optics.phase[chosen]
    assert len(chosen) == count
    assert (np.diff(phase) > 0.0).all()
    assert phase[0] < 0.0 < phase[-1]
    # It is short: less than half an oscillation on each side.
    assert np.ptp(phase) < 2 * np.pi


def test_two_correctors_make_no_bump_and_a_side_without_correctors_neither():
    assert not len(choose_correctors(optics_of(), 2))
    optics = optics_of()
    behind = optics.phase > 0.0
    one_side = BumpOptics(
        optics.phase[behind], optics.beta[behind], optics.room[behind], optics.wanted
    )
    assert not len(choose_correctors(one_side, 3))


def test_a_corrector_at_its_limit_is_passed_over():
    optics = optics_of()
    first = choose_correctors(optics, 3)
    room = optics.room.copy()
    room[first[0]] = 0.0
    assert first[0] not in choose_correctors(replace(optics, room=room), 3)


def test_kicks_are_exact_at_the_place_and_least_squares_outside():
    random = np.random.default_rng(4)
    outside, target = random.normal(size=(20, 5)), random.normal(size=(2, 5))
    residual, wanted = random.normal(size=20), np.array([1.0, -2.0])
    kicks = solve_bump(outside, target, wanted, residual)
    assert target @ kicks == pytest.approx(wanted, abs=1e-12)
    # At the constrained minimum the gradient is a sum of the constraints.
    gradient = outside.T @ (outside @ kicks + residual)
    rest = gradient - target.T @ np.linalg.lstsq(target.T, gradient, rcond=None)[0]
    assert rest == pytest.approx(np.zeros(5), abs=1e-10)


def test_normalised_coordinates_are_those_of_courant_and_snyder():
    assert normalised(2e-3, 1e-4, 4.0, 0.5) == pytest.approx([1e-3, 7e-4])
    assert np.isnan(normalised(2e-3, None, 4.0, 0.5)[1])
    assert np.isnan(normalised(None, 1e-4, 4.0, 0.5)[0])


@pytest.fixture
def ring(run):
    """A toy ring, and what simulates it."""
    machine, sim = ring_machine(RingEngine())
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


@pytest.mark.parametrize("plane", ["x", "y"])
def test_a_bump_moves_one_place_and_stays(run, ring, plane):
    machine, sim = ring
    result = run(plans.orbit_bump(machine, plane, "T/B3", position=1e-4))
    assert result.seen == pytest.approx(1e-4, rel=2e-3)
    assert result.leakage_max < 0.01
    assert "T/B3" in result.inside
    assert len(result.inside) < len(machine.bpms)
    where = [sim.layout.knobs.index(name) for name in result.correctors]
    assert sim.setpoints[where] == pytest.approx(result.setpoints)
    assert np.abs(result.setpoints).max() > 1e-6
    back = run(plans.orbit_bump(machine, plane, "T/B3", position=-1e-4))
    assert back.seen == pytest.approx(-1e-4, rel=2e-3)
    assert np.abs(sim.setpoints[where]).max() < 0.02 * np.abs(result.setpoints).max()


def test_position_and_angle_take_four_correctors(run, ring):
    machine, _ = ring
    asked = {"position": 5e-5, "angle": 1.5e-5, "both_planes": False}
    result = run(plans.orbit_bump(machine, "x", "T/B3", correctors=4, **asked))
    assert len(result.correctors) == 4
    with pytest.raises(PlanError, match="takes 4"):
        run(plans.orbit_bump(machine, "x", "T/B3", correctors=3, **asked))


def test_correctors_can_be_named(run, ring):
    machine, _ = ring
    names = ["T/C0-H", "T/C1-H", "T/C2-H"]
    result = run(
        plans.orbit_bump(
            machine, "x", "T/B3", position=1e-5, correctors=names, both_planes=False
        )
    )
    assert list(result.correctors) == names
    assert run.start["plan_args"]["correctors"] == names
    with pytest.raises(UnknownName, match="T/C0-V"):
        run(
            plans.orbit_bump(machine, "x", "T/B3", position=1e-5, correctors=["T/C0-V"])
        )


def test_a_preview_sets_nothing_and_says_what_it_would_do(run, ring):
    machine, sim = ring
    result = run(plans.orbit_bump(machine, "y", "T/B3", position=1e-4, preview=True))
    assert result.is_preview
    assert result.seen == pytest.approx(1e-4, rel=1e-6)
    assert result.iterations == 0
    assert np.array_equal(sim.setpoints, sim.layout.values)


@pytest.mark.parametrize("options", [{}, {"preview": True}, {"rf": True}])
def test_a_stored_run_gives_the_same_result(run, ring, options):
    machine, _ = ring
    result = run(plans.orbit_bump(machine, "x", "T/B3", position=1e-4, **options))
    again = bump.analyse(Run.from_documents(run.documents))
    assert np.array_equal(again.steps, result.steps)
    assert np.array_equal(again.after.x, result.after.x)
    for name in ("correctors", "inside", "iterations", "stopped", "seen", "uid"):
        assert getattr(again, name) == getattr(result, name)
    assert again.leakage == result.leakage
    assert ("rf" in result.correctors) is bool(options.get("rf"))


def test_what_makes_no_sense_is_refused_in_a_sentence(run, ring):
    machine, sim = ring
    with pytest.raises(PlanError, match="needs a position"):
        run(plans.orbit_bump(machine, "x", "T/B3"))
    with pytest.raises(PlanError, match="plane is 'x' or 'y'"):
        run(plans.orbit_bump(machine, "z", "T/B3", position=1e-4))
    with pytest.raises(LimitError, match="nothing was moved"):
        run(plans.orbit_bump(machine, "x", "T/B3", position=1.0))
    machine.mark_bad(*machine.hcm.names)
    with pytest.raises(PlanError, match="no good hcm"):
        run(plans.orbit_bump(machine, "x", "T/B3", position=1e-4))
    assert np.array_equal(sim.setpoints, sim.layout.values)
