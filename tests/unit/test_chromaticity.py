"""Chromaticity on the toy ring and from plain numbers: measured, set, refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import RF_HZ, ToyRuns, toy_error
from toy_ring import (
    CHROMATICITY,
    SLIP,
    TUNES,
    RingEngine,
    chromaticity_matrix,
    ring_machine,
    ring_profile,
)

from acctwin import plans
from acctwin.analysis.chromaticity import TuneBranch, fit_chromaticity, unfold
from acctwin.data.runs import Run
from acctwin.errors import BeamLost, DataError, LimitError, PlanError, UnknownName
from acctwin.plans.momentum import (
    chromaticity,
    chromaticity_correction,
    chromaticity_response,
)
from acctwin.profiles.imperfections import Imperfections

BOTH = ["SF", "SD"]
DELTA = np.linspace(-4e-3, 4e-3, 5)
FIT = {"rf_hz": RF_HZ, "slip_factor": SLIP}


def connected(engine=None, **options):
    machine, sim = ring_machine(engine, **options)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def stored(run):
    return Run.from_documents(iter(run.documents))


def monitor(whole, *, folded=False):
    """Return what a tune monitor shows of whole tunes."""
    shown = np.mod(whole, 1.0)
    return np.minimum(shown, 1.0 - shown) if folded else shown


def offsets(delta):
    """Return the RF's changes [Hz] for momenta."""
    return -delta * SLIP * RF_HZ


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("tune", [6.01, 6.25, 6.49, 6.505, 6.75, 6.99])
def test_tunes_are_followed_across_integers_and_half_integers(tune, folded):
    """Steps of 0.06 in tune, with curvature; the design is 0.03 or 0.003 off.

    A folded monitor does not tell on which side of a half-integer the middle is:
    there the design has to be on the same side.
    """
    base = np.array([tune, tune + 3.0])
    true = base + np.outer(DELTA, [30.0, -30.0]) + np.outer(DELTA**2, [300.0, 500.0])
    off = 0.003 if folded else 0.03
    branch = TuneBranch(base + off * np.array([1, -1]), np.array([25.0, -25.0]), folded)
    seen = monitor(true, folded=folded)
    if folded and tune in (6.49, 6.505):
        branch = replace(branch, tunes=base)
    assert unfold(seen, DELTA, branch) == pytest.approx(true)


def test_readings_at_one_place_may_lie_on_both_sides_of_an_integer():
    shown = np.array([[0.999, 0.2], [0.001, 0.2], [0.0, 0.2]])
    branch = TuneBranch(np.array([6.0, 3.2]), np.zeros(2))
    assert unfold(shown, np.zeros(3), branch)[:, 0] == pytest.approx([5.999, 6.001, 6])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_all_orders_are_found(order):
    wanted = np.array([[2.0, -50.0, 800.0], [-3.0, 20.0, -900.0]])[:, :order]
    powers = DELTA[:, None] ** np.arange(1, order + 1)
    tunes = TUNES[:2] + powers @ wanted.T
    branch = TuneBranch(TUNES[:2], np.zeros(2))
    found = fit_chromaticity(
        monitor(tunes), offsets(DELTA), branch=branch, order=order, **FIT
    )
    assert found.orders == pytest.approx(wanted)
    assert (found.xi_x, found.xi_y) == pytest.approx(tuple(wanted[:, 0]))
    assert found.tunes == pytest.approx(tunes)
    assert found.tune == pytest.approx(TUNES[:2])
    assert found.delta == pytest.approx(DELTA)


def test_a_reading_that_is_no_number_is_refused():
    fractions = np.full((5, 2), 0.2)
    fractions[2, 1] = np.nan
    branch = TuneBranch(TUNES[:2], np.zeros(2))
    with pytest.raises(DataError, match="a tune reading is not a number"):
        fit_chromaticity(fractions, offsets(DELTA), branch=branch, **FIT)


def test_the_chromaticity_is_the_toys_and_the_rf_is_back(run):
    machine, sim = connected()
    found = run(plans.measure_chromaticity(machine))
    assert found.xi == pytest.approx(CHROMATICITY)
    assert found.orders[:, 1] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert np.array_equal(sim.setpoints, sim.layout.values)
    again = chromaticity.analyse(stored(run))
    for key in ("orders", "sigma", "tunes", "delta", "tune"):
        assert np.array_equal(getattr(again, key), getattr(found, key))
    assert again.uid == found.uid == run.start["uid"]
    assert run.start["num_points"] == len(run.events()) == 15
    (event,) = run.events("result")
    assert event["data"]["chromaticity_orders"][0][0] == found.xi_x


def test_noise_is_in_the_errors(run):
    noise = 1e-4
    profile = ring_profile(imperfections=Imperfections(tune_noise=noise))
    machine, _ = connected(profile=profile, seed=1)
    found = run(plans.measure_chromaticity(machine, readings=20, order=1))
    expected = noise / np.sqrt(20 * np.sum(DELTA**2))
    assert found.sigma_x == pytest.approx(expected, rel=0.3)
    assert np.abs(found.xi - CHROMATICITY).max() < 5 * expected


def test_a_span_outside_the_limits_says_what_is_possible(run):
    machine, sim = connected()
    with pytest.raises(LimitError, match=r"range of 0.03 .* 0.02 in momentum"):
        run(plans.measure_chromaticity(machine, span=0.03))
    assert np.array_equal(sim.setpoints, sim.layout.values)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": 4}, "order is 1, 2 or 3, not 4"),
        ({"order": 3, "points": 3}, "order 3 needs 4 points, not 3"),
        ({"readings": 0}, "at least 1 reading is needed, not 0"),
        ({"span": 0.0}, "range of a scan is a positive number"),
    ],
)
def test_nonsense_is_refused(run, options, words):
    machine, _ = connected()
    with pytest.raises(PlanError, match=words):
        run(plans.measure_chromaticity(machine, **options))


def test_what_a_machine_lacks_is_refused_in_a_sentence(run, make_toy):
    machine, _ = connected(profile=ring_profile(rf=None))
    with pytest.raises(PlanError, match="has no rf: the momentum cannot be changed"):
        run(plans.measure_chromaticity(machine))
    toy = make_toy()
    words = "has no sextupoles: there is nothing to set the chromaticity with"
    with pytest.raises(PlanError, match=words):
        run(plans.set_chromaticity(toy.machine, 1.0, 1.0))
    with pytest.raises(PlanError, match="does not say which sextupoles set"):
        run(plans.set_chromaticity(connected()[0], 1.0, 1.0))


def test_a_lost_beam_names_the_momentum(run, monkeypatch):
    engine = RingEngine(toy_error())
    tunes = RingEngine.tunes

    def lost(self):
        if self.change("rf")[0] < -1e5:
            raise BeamLost("unstable optics")
        return tunes(self)

    monkeypatch.setattr(RingEngine, "tunes", lost)
    machine, sim = connected(engine)
    with pytest.raises(BeamLost, match=r"momentum of \+0.40% .*: unstable optics"):
        run(plans.measure_chromaticity(machine))
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_the_response_is_the_toys(run):
    machine, sim = connected()
    machine.mark_bad("T/SD0")
    found = run(plans.measure_chromaticity_response(machine, BOTH, points=3))
    wanted = np.column_stack([
        chromaticity_matrix(("T/SF0", "T/SF1")).sum(axis=1),
        chromaticity_matrix(("T/SD1",))[:, 0],
    ])
    assert found.matrix == pytest.approx(wanted)
    assert np.abs(found.matrix * found.deltas).max(axis=0) == pytest.approx(0.5)
    assert found.units == ("1/(1/m^3)", "1/(1/m^3)")
    assert found.actuators == ("SF", "SD")
    assert np.array_equal(sim.setpoints, sim.layout.values)
    again = chromaticity_response.analyse(stored(run))
    assert np.array_equal(again.matrix, found.matrix)
    assert np.array_equal(again.sigma, found.sigma)
    assert run.start["num_points"] == len(run.events())


def test_a_response_goes_down_where_there_is_no_room_up(run):
    machine, _ = connected()
    run(plans.set_values(machine, "SF", 35.0))
    found = run(plans.measure_chromaticity_response(machine, ["SF"], points=3))
    assert min(e["data"]["step_offset"] for e in run.events()) < 0.0
    wanted = chromaticity_matrix(("T/SF0", "T/SF1")).sum(axis=1)
    assert found.matrix[:, 0] == pytest.approx(wanted)
    with pytest.raises(LimitError, match="SF: no room for a step of .* either side"):
        run(plans.measure_chromaticity_response(machine, ["SF"], change=30.0))
    with pytest.raises(PlanError, match="change is a positive number, not 0"):
        run(plans.measure_chromaticity_response(machine, ["SF"], change=0))


def test_the_chromaticity_is_set_and_stays(run):
    machine, sim = connected()
    done = run(plans.set_chromaticity(machine, 2.0, -1.0, families=BOTH))
    assert done.reached
    assert done.stopped == chromaticity_correction.REACHED
    assert done.iterations == 1
    assert sim.engine.chromaticity() == pytest.approx([2.0, -1.0], abs=1e-3)
    assert done.before.xi == pytest.approx(CHROMATICITY)
    assert done.knobs == ("SF", "SD")
    magnets = [sim.layout.knobs.index(f"T/{k}{i}") for k in BOTH for i in (0, 1)]
    moved = (sim.setpoints - sim.layout.values)[magnets]
    assert moved == pytest.approx(np.repeat(done.steps, 2))
    again = chromaticity_correction.analyse(stored(run))
    assert np.array_equal(again.history, done.history)
    assert np.array_equal(again.steps, done.steps)
    assert (again.reached, again.stopped, again.knobs, again.units) == (
        done.reached,
        done.stopped,
        done.knobs,
        done.units,
    )
    nothing = run(plans.set_chromaticity(machine, 2.0, -1.0, families=BOTH))
    assert nothing.iterations == 0
    assert nothing.reached


def test_the_families_and_more_may_come_from_the_profile(run):
    plain = ring_profile()
    section = replace(
        plain.defaults.chromaticity, families=("SF", "SD"), points=3, tolerance=0.01
    )
    profile = replace(plain, defaults=replace(plain.defaults, chromaticity=section))
    machine, _ = connected(profile=profile)
    assert run(plans.set_chromaticity(machine, 1.5, 1.5)).reached
    assert run.start["plan_args"]["tolerance"] == 0.01
    assert run.start["plan_args"]["points"] == 3


def test_it_goes_as_far_as_the_limits_allow_and_names_the_limit(run):
    machine, sim = connected()
    done = run(plans.set_chromaticity(machine, 40.0, 2.0, families=BOTH))
    assert not done.reached
    assert "T/SF" in done.stopped or "T/SD" in done.stopped
    assert "there is room for" in done.stopped
    assert 1.0 < done.after.xi_x < 40.0
    assert done.after.xi_y == pytest.approx(2.0, abs=0.01)
    assert chromaticity_correction.analyse(stored(run)).stopped == done.stopped
    before = sim.setpoints.copy()
    with pytest.raises(LimitError, match=r"40, 2 is wanted; nothing was moved"):
        run(plans.set_chromaticity(machine, 40.0, 2.0, families=BOTH))
    assert np.array_equal(sim.setpoints, before)


def test_a_largest_step_is_kept(run):
    machine, _ = connected()
    done = run(plans.set_chromaticity(machine, 2.5, 2.0, families=BOTH, max_step=0.5))
    assert done.history[:, 0] == pytest.approx([1.0, 1.5, 2.0, 2.5], abs=1e-3)
    short = run(
        plans.set_chromaticity(
            machine, 1.0, 2.0, families=BOTH, max_step=0.5, iterations=1
        )
    )
    assert short.stopped == "all iterations were used"
    assert not short.reached


def test_a_response_may_be_measured_and_a_wrong_one_is_taken_back(run):
    machine, sim = connected()
    response = run(plans.measure_chromaticity_response(machine, BOTH, points=3))
    machine.runs = ToyRuns(stored(run))
    target = (2.0, 1.0)
    done = run(
        plans.set_chromaticity(machine, *target, families=BOTH, response=response.uid)
    )
    assert done.reached
    assert run.start["derived_from"] == [response.uid]
    before = sim.setpoints.copy()
    wrong = replace(response, matrix=-response.matrix)
    worse = run(
        plans.set_chromaticity(machine, 3.0, 1.0, families=BOTH, response=wrong)
    )
    assert worse.stopped == "the last iteration made it worse and was taken back"
    assert worse.iterations == 0
    assert sim.setpoints == pytest.approx(before)
    assert len(chromaticity_correction.analyse(stored(run)).history) == 1
    with pytest.raises(UnknownName, match="measured actuator"):
        run(
            plans.set_chromaticity(
                machine, 1, 1, families=["T/SF0", "SD"], response=response
            )
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"families": ["SF"]}, "SF cannot set both planes"),
        ({"families": ["T/SF0", "T/SF1"]}, "cannot set both planes"),
        ({"families": ["QF", "SD"]}, "T/QF0 is not a sextupole"),
        ({"families": BOTH, "iterations": 0}, "at least 1 iteration"),
        ({"families": BOTH, "tolerance": 0.0}, "tolerance is a positive number"),
        ({"families": BOTH, "max_step": -1.0}, "max_step is a positive number"),
    ],
)
def test_knobs_that_make_no_sense_are_refused(run, options, words):
    machine, sim = connected()
    with pytest.raises(PlanError, match=words):
        run(plans.set_chromaticity(machine, 1.5, 1.5, **options))
    assert np.array_equal(sim.setpoints, sim.layout.values)
