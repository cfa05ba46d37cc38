"""Beta functions from tune changes and from phases, and the plan that measures them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy_ring import BETA, LENGTH, RingEngine, ring_machine, ring_profile

from acctwin import plans
from acctwin.analysis.beta import BetaResult, beta_of_modulation
from acctwin.analysis.phase import Phases, beta_of_phases
from acctwin.data.runs import Run
from acctwin.errors import DataError, LimitError, PlanError
from acctwin.plans.optics import beta
from acctwin.plots.beta import draw_beat, draw_beta
from acctwin.plots.figure import new_figure
from acctwin.profiles.imperfections import Imperfections

FOCUS = 0.25


def machine_of(noise=1e-5, **changes):
    profile = ring_profile(imperfections=Imperfections(tune_noise=noise), **changes)
    machine, sim = ring_machine(RingEngine(np.zeros(16)), profile, seed=1)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def cell_tune(strength, cells=9, drift=2.0):
    """Return whole tunes and betas [m] at a thin quadrupole, of a ring of FODO cells.

    One focusing quadrupole of the ring has ``strength`` [1/m], the others 1/f.
    """

    def thin(k):
        return np.array([[1.0, 0.0], [-k, 1.0]])

    free = np.array([[1.0, drift], [0.0, 1.0]])
    found = []
    for sign in (1.0, -1.0):
        cell = free @ thin(-sign * FOCUS) @ free @ thin(sign * FOCUS)
        first = free @ thin(-sign * FOCUS) @ free @ thin(sign * strength)
        turn = np.linalg.matrix_power(cell, cells - 1) @ first
        per_cell = np.arccos(np.trace(cell) / 2) / (2 * np.pi)
        angle = np.arccos(np.trace(turn) / 2) / (2 * np.pi)
        near = cells * per_cell
        both = np.array([angle, -angle])
        both += np.round(near - both)
        tune = both[np.argmin(np.abs(both - near))]
        found.append((tune, turn[0, 1] / np.sin(2 * np.pi * tune)))
    return np.array(found).T


def test_the_beta_of_a_thin_quadrupole_is_exact_however_large_the_change():
    _, true = cell_tune(FOCUS)
    for change in (1e-4, 0.01, 0.1):
        low, high = (cell_tune(FOCUS + side * change / 2)[0] for side in (-1, 1))
        found, _ = beta_of_modulation(
            low[None],
            high[None],
            np.array([change]),
            np.zeros((1, 2)),
            np.zeros((1, 2)),
        )
        assert found[0] == pytest.approx(true, rel=1e-6)


def test_the_error_is_that_of_the_tunes():
    rng = np.random.default_rng(0)
    low, high = (cell_tune(FOCUS + side * 0.005)[0] for side in (-1, 1))
    sigma = np.full((4000, 2), 2e-5)
    beta_found, error = beta_of_modulation(
        low + rng.normal(0, sigma),
        high + rng.normal(0, sigma),
        np.full(4000, 0.01),
        sigma,
        sigma,
    )
    assert error.mean(axis=0) == pytest.approx(beta_found.std(axis=0), rel=0.05)


def test_phases_that_are_the_designs_give_its_beta_and_noise_its_error():
    rng = np.random.default_rng(1)
    phase = 2 * np.pi * 4.21 * np.linspace(0, 1, 40, endpoint=False)
    known, true = Phases(phase, 4.21), rng.uniform(3, 9, 40)
    found, error = beta_of_phases(known, np.zeros(40) + 1e-9, known, true)
    assert found == pytest.approx(true)
    assert (error < 1e-6).all()
    noisy = Phases(phase + rng.normal(0, 1e-3, 40), 4.21)
    found, error = beta_of_phases(noisy, np.full(40, 1e-3), known, true)
    assert 0.5 < np.sqrt(np.mean(((found - true) / error) ** 2)) < 1.5


def test_a_quadrupole_error_somewhere_else_is_seen_exactly():
    """Phases and betas change together behind a kick; the optics between does not."""
    phase, tune = 2 * np.pi * 4.21 * np.arange(60) / 60, 4.21
    design_beta = np.full(60, 5.0)
    # A thin kick in front of the first BPM; the phase advances within the ring follow
    # from the changed beta and alpha there.
    beta0, alpha0 = 5.4, 0.2
    ratio = beta0 / 5.0
    cos, sin = np.cos(phase), np.sin(phase)
    gamma0 = (1 + alpha0**2) / beta0
    true = ratio * 5.0 * cos**2 - 2 * 5.0 * alpha0 * sin * cos + 25.0 * gamma0 * sin**2
    advance = np.unwrap(np.arctan2(5.0 * sin, beta0 * cos - alpha0 * 5.0 * sin))
    seen, known = Phases(advance, tune), Phases(phase, tune)
    found, _ = beta_of_phases(seen, np.full(60, 1e-6), known, design_beta)
    inner = slice(3, -3)
    assert found[inner] == pytest.approx(true[inner], rel=1e-9)


def test_bpms_that_tell_nothing_have_no_beta():
    phase = np.pi * np.arange(8) + 0.0
    known = Phases(phase, 4.0)
    found, error = beta_of_phases(known, np.full(8, 1e-3), known, np.full(8, 5.0))
    assert np.isnan(found).all()
    assert np.isnan(error).all()
    with pytest.raises(DataError, match="2 BPMs found, wanted at least 3"):
        beta_of_phases(Phases(phase[:2], 4.0), np.ones(2), known, np.ones(2))


def test_the_beat_leaves_out_what_was_not_measured():
    ones = np.ones(2)
    result = BetaResult(
        ("a", "b"), ones, np.array([1.1, np.nan]), ones, ones, ones, ones, ones, "turns"
    )
    assert result.beat_x[0] == pytest.approx(0.1)
    assert result.rms_beat == pytest.approx((0.1, 0.0))


def test_modulation_finds_the_betas_and_restores(run):
    machine, sim = machine_of()
    result = run(plans.measure_beta(machine, readings=5))
    true = np.array([BETA[name[2:4]] for name in result.names])
    assert len(result.names) == 4
    found = np.column_stack([result.beta_x, result.beta_y])
    error = np.column_stack([result.sigma_x, result.sigma_y])
    # The toy's tunes are linear in the strength, a ring's are only nearly.
    assert np.abs(found - true).max() < 5 * error.max()
    assert found == pytest.approx(true, rel=0.02)
    assert np.array_equal(sim.setpoints, sim.layout.values)
    sides = np.array([event["data"]["step_integrated"] for event in run.events()])
    change = np.diff(sides.reshape(-1, 5)[:, 0])[::2] / LENGTH
    assert change == pytest.approx([0.005 * 4 * np.pi / (8 * LENGTH)] * 4)
    again = beta.analyse(Run.from_documents(iter(run.documents)))
    assert np.array_equal(again.beta_x, result.beta_x)
    assert again.names == result.names
    assert result.phase is None


def test_quadrupoles_are_chosen_and_bad_ones_left_out(run):
    machine, _ = machine_of()
    machine.mark_bad("T/QF1")
    result = run(
        plans.measure_beta(
            machine, quadrupoles=["QF", machine["T/QD0"]], readings=1, delta=0.02
        )
    )
    assert result.names == ("T/QF0", "T/QD0")
    assert np.isnan(result.sigma_x).all()
    with pytest.raises(LimitError, match="T/QF0"):
        run(plans.measure_beta(machine, quadrupoles=["QF"], delta=2.0))
    assert run.events() == []


def test_turns_give_beta_at_the_bpms(run):
    machine, sim = machine_of()
    machine.mark_bad("T/B6")
    result = run(plans.measure_beta(machine, method="turns"))
    assert "T/B6" not in result.names
    # The toy's phases are the design's; so are then its betas.
    assert result.beta_x == pytest.approx(np.full(7, 8.0), rel=0.02)
    assert result.phase.x == pytest.approx(result.phase.model_x, abs=0.01)
    assert result.phase.sigma_x[0] == 0.0
    assert not sim.turns.kick.any()
    again = beta.analyse(Run.from_documents(iter(run.documents)))
    assert np.array_equal(again.beta_y, result.beta_y)
    assert np.array_equal(again.phase.y, result.phase.y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "amplitude"}, "method is 'modulation' or 'turns'"),
        ({"method": "turns", "delta": 0.1}, "moves no quadrupoles"),
        ({"delta": -0.1}, "delta is a positive number"),
        ({"readings": 0}, "at least 1 reading"),
        ({"quadrupoles": []}, "no good quadrupole was named"),
        ({"quadrupoles": ["T/RF"]}, "is not a magnet"),
    ],
)
def test_nonsense_is_refused(run, options, words):
    machine, _ = machine_of()
    with pytest.raises(PlanError, match=words):
        run(plans.measure_beta(machine, **options))


def test_beta_is_drawn():
    ones = np.ones(3)
    result = BetaResult(
        ("a", "b", "c"), np.arange(3.0), 8 * ones, 2 * ones, ones, ones, 9 * ones, ones,
        "modulation",
    )  # fmt: skip
    _, axes = new_figure(2)
    draw_beta(axes[0], result)
    draw_beat(axes[1], replace(result, beta_x=9.9 * ones))
    assert "β" in axes[0].get_ylabel()
    assert axes[1].get_legend().get_texts()[0].get_text() == "x: rms 10 %"
