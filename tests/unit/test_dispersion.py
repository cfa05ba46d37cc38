"""Dispersion, the RF and its centring, on the toy ring and from plain numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import N_BPM, RF_HZ, ToyReferences, ToyRuns, toy_error
from toy_ring import SLIP, RingEngine, ring_machine, ring_profile

from acctwin import plans
from acctwin.analysis.dispersion import fit_dispersion
from acctwin.analysis.polynomial import fit_polynomial
from acctwin.analysis.rf import (
    corrector_momentum,
    momentum,
    project_on_dispersion,
    rf_step,
)
from acctwin.data.runs import Run
from acctwin.errors import (
    BeamLost,
    DataError,
    DeviceError,
    LimitError,
    PlanError,
    RestoreError,
)
from acctwin.plans.momentum import dispersion, rf, rf_centring
from acctwin.profiles.imperfections import BpmSpread, Imperfections

#: Of the toy [m]: its column of the RF is −1e-8 (1 + 0.1 i) m/Hz.
ETA = 0.5 * (1 + 0.1 * np.arange(N_BPM))


def connected(engine=None, **options):
    machine, sim = ring_machine(engine, **options)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def frequencies(run):
    """Collect where the RF is told to go, in the order of the messages."""
    found = []

    def keep(message):
        if message.command == "set" and message.obj.name == "rf":
            found.append(message.args[0])

    run.RE.msg_hook = keep
    return found


def stored(run):
    """Return the last run as a session would have stored it."""
    found = Run.from_documents(iter(run.documents))
    return replace(found, start={**found.start, "profile": "toy"})


def test_a_polynomial_is_found_with_its_errors():
    rng = np.random.default_rng(1)
    x = np.repeat(np.linspace(-4e-3, 4e-3, 5), 4)
    true = np.array([0.2, 3.0, -40.0])
    exact = np.polynomial.polynomial.polyval(x, true)
    found, sigma = fit_polynomial(x, exact[:, None], 2)
    assert found[:, 0] == pytest.approx(true)
    assert np.all(sigma < 1e-9 * np.array([[1.0], [1e3], [1e6]]))
    many = exact[:, None] + rng.normal(0.0, 1e-3, (len(x), 2000))
    found, sigma = fit_polynomial(x, many, 2)
    # 2000 fits: their spread is known to 1.6 %.
    assert found.std(axis=1) == pytest.approx(np.sqrt((sigma**2).mean(axis=1)), rel=0.1)


def test_a_polynomial_needs_places_and_says_when_it_has_no_error():
    with pytest.raises(DataError, match="order 2 needs readings at 3 places, found 2"):
        fit_polynomial(np.array([0.0, 1.0, 1.0]), np.ones((3, 1)), 2)
    _, sigma = fit_polynomial(np.array([0.0, 1.0]), np.ones((2, 1)), 1)
    assert np.isnan(sigma).all()


def test_the_signs_of_rf_and_momentum():
    # Above transition a higher frequency means a lower energy.
    assert momentum(np.array(100.0), 1e6, 0.1) == pytest.approx(-1e-3)
    assert rf_step(-1e-3, 1e6, 0.1) == pytest.approx(-100.0)
    left = 1e-3 + momentum(np.array(rf_step(1e-3, 1e6, 0.1)), 1e6, 0.1)
    assert left == pytest.approx(0.0)
    eta = np.array([0.5, 1.0, 2.0])
    assert project_on_dispersion(3e-4 * eta, eta) == pytest.approx(3e-4)
    kicks = np.array([1e-4, -1e-4, 2e-4])
    found = corrector_momentum(kicks, eta, compaction=0.01, circumference=100.0)
    assert found == pytest.approx(-3.5e-4)


def test_the_dispersion_is_the_toys_and_the_rf_is_back(run):
    machine, sim = connected()
    machine.mark_bad("T/B3")
    way = frequencies(run)
    found = run(plans.measure_dispersion(machine))
    assert found.eta_x == pytest.approx(np.delete(ETA, 3))
    assert found.eta_y == pytest.approx(np.zeros(N_BPM - 1), abs=1e-9)
    assert found.per_mhz_x == pytest.approx(np.delete(-10.0 * (ETA / 0.5), 3))
    assert np.isnan(found.second_x).all()
    assert found.slip_factor == SLIP
    assert np.array_equal(sim.setpoints, sim.layout.values)
    steps = np.abs(np.diff([RF_HZ, *way]))
    assert steps.max() == pytest.approx(machine.rf.delta / 4)
    assert max(way) - min(way) == pytest.approx(machine.rf.delta)
    again = dispersion.analyse(stored(run))
    for key in ("eta_x", "eta_y", "sigma_x"):
        assert np.array_equal(getattr(again, key), getattr(found, key))
    assert (again.names, again.uid) == (found.names, run.start["uid"])
    assert run.start["num_points"] == len(run.events()) == 6


def test_three_points_tell_a_curve_from_a_slope():
    offset = np.repeat([0.0, 1e4, 2e4], 2)
    delta = momentum(offset, RF_HZ, SLIP)
    x = np.outer(delta, [0.5, 1.0]) + np.outer(delta**2, [30.0, -20.0])
    options = {"rf_hz": RF_HZ, "slip_factor": SLIP}
    found = fit_dispersion(("a", "b"), np.arange(2.0), x, 0 * x, offset, **options)
    assert found.eta_x == pytest.approx([0.5, 1.0])
    assert found.second_x == pytest.approx([30.0, -20.0])


def test_noise_is_in_the_errors(run):
    noise = 1e-6
    profile = ring_profile(imperfections=Imperfections(bpms=BpmSpread(noise=noise)))
    machine, _ = connected(profile=profile, seed=1)
    found = run(plans.measure_dispersion(machine, readings=20, points=3))
    # σ = noise/√Σδ²; a third point at 0 adds nothing.
    expected = noise / np.sqrt(40 * 1e-3**2)
    assert np.median(found.sigma_x) == pytest.approx(expected, rel=0.2)
    assert np.abs(found.eta_x - ETA).max() < 5 * expected


def test_a_range_outside_the_limits_says_what_is_possible(run):
    machine, sim = connected()
    words = r"a range of 0.04 in momentum is 2e\+06 Hz .* 0.02 in momentum"
    with pytest.raises(LimitError, match=words):
        run(plans.measure_dispersion(machine, delta_hz=2e6))
    assert np.array_equal(sim.setpoints, sim.layout.values)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 1}, "at least 2 points, not 1"),
        ({"delta_hz": -5.0}, "range of a scan is a positive number, not -5.0"),
        ({"max_step_hz": 0.0}, "max_step_hz is a positive number, not 0.0"),
    ],
)
def test_nonsense_is_refused(run, options, words):
    machine, _ = connected()
    with pytest.raises(PlanError, match=words):
        run(plans.measure_dispersion(machine, **options))


@pytest.mark.parametrize("name", ["measure_dispersion", "center_rf", "set_rf"])
def test_a_machine_without_rf_is_refused_in_a_sentence(run, name):
    machine, _ = connected(profile=ring_profile(rf=None))
    args = [RF_HZ] if name == "set_rf" else []
    with pytest.raises(PlanError, match="toy has no rf"):
        run(getattr(plans, name)(machine, *args))


def test_a_lost_beam_names_the_momentum_and_the_rf_comes_back_in_steps(run):
    machine, sim = connected(RingEngine(toy_error(), aperture=2e-3))
    way = frequencies(run)
    words = r"no beam at a momentum of \+0.50% \(-250000 Hz\): no closed orbit: hit"
    with pytest.raises(BeamLost, match=words):
        run(plans.measure_dispersion(machine, delta_hz=5e5))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert np.abs(np.diff(way)).max() <= machine.rf.delta / 4 * (1 + 1e-9)
    assert run.stop["exit_status"] == "fail"


def test_set_rf_goes_in_steps_and_stays(run):
    machine, sim = connected()
    way = frequencies(run)
    result = run(plans.set_rf(machine, RF_HZ - 1e5, max_step_hz=3e4))
    assert result.steps == len(way) == 4
    assert way[-1] == result.after_hz == sim.setpoints[-1] == RF_HZ - 1e5
    assert rf.analyse(stored(run)) == result
    assert result.before_hz == RF_HZ
    with pytest.raises(LimitError, match="T/RF: wanted 600000000 Hz"):
        run(plans.set_rf(machine, 6e8))


def test_the_profile_may_say_how_far_the_rf_steps(run):
    plain = ring_profile()
    rf_defaults = replace(plain.defaults.rf, max_step_hz=5e4)
    profile = replace(plain, defaults=replace(plain.defaults, rf=rf_defaults))
    machine, _ = connected(profile=profile)
    assert run(plans.set_rf(machine, RF_HZ + 1e5)).steps == 2


def test_an_rf_that_does_not_come_back_is_listed(run, caplog, monkeypatch):
    machine, _ = connected()
    answers = iter([True] * 3)
    move = type(machine.rf).set

    def tired(rf_device, value):
        if not next(answers, False):
            raise DeviceError("the generator does not answer")
        return move(rf_device, value)

    monkeypatch.setattr(type(machine.rf), "set", tired)
    with pytest.raises(RestoreError) as caught:
        run(plans.measure_dispersion(machine))
    assert "could not be put back: rf: DeviceError" in str(caught.value)
    assert "this came after DeviceError: the generator does not answer" in str(
        caught.value
    )
    assert "rf did not come back in steps" in caplog.text


def test_the_rf_is_centred_from_the_orbit(run):
    machine, sim = connected(RingEngine(np.zeros(2 * N_BPM)))
    run(plans.set_rf(machine, RF_HZ + 2e5))
    found = run(plans.center_rf(machine, goal="zero"))
    assert found.delta == pytest.approx(-2e5 / RF_HZ / SLIP)
    assert found.after_hz == pytest.approx(RF_HZ, abs=1.0)
    assert found.change_hz == pytest.approx(-2e5, abs=1.0)
    assert found.iterations <= 2
    assert found.stopped == "what is left is within the noise"
    assert sim.setpoints[-1] == found.after_hz
    again = rf_centring.analyse(stored(run))
    assert np.array_equal(again.residual, found.residual)
    assert (again.after_hz, again.stopped) == (found.after_hz, found.stopped)
    half = run(plans.center_rf(machine, goal="zero", gain=0.5))
    assert half.iterations == 0


def test_what_correctors_do_to_the_orbit_is_not_taken_for_momentum(run):
    machine, _ = connected(RingEngine(np.zeros(2 * N_BPM)))
    run(plans.set_values(machine, "hcm", 2e-5))
    run(plans.set_rf(machine, RF_HZ + 2e5))
    found = run(plans.center_rf(machine, goal="zero"))
    assert abs(found.corrector_delta) > 1e-6
    assert found.delta == pytest.approx(-2e5 / RF_HZ / SLIP)
    assert found.after_hz == pytest.approx(RF_HZ, abs=1.0)
    # Four kicks at η = 0.5 (1 + 0.1 s), s = 1, 3, 5, 7 m, on 8 m.
    path = 2e-5 * 0.5 * (4 + 0.1 * 16)
    assert found.corrector_energy == pytest.approx(-path / (SLIP * 8.0))


def test_centring_uses_a_measured_dispersion_and_the_reference_orbit(run):
    machine, _ = connected()
    goal = run(plans.measure_orbit(machine))
    goal_run = stored(run)
    eta = run(plans.measure_dispersion(machine))
    machine.runs = ToyRuns(goal_run, stored(run))
    machine.references = ToyReferences()
    machine.references.add("orbit", goal.uid)
    run(plans.set_rf(machine, RF_HZ - 1e5))
    found = run(plans.center_rf(machine, dispersion=eta.uid))
    assert found.after_hz == pytest.approx(RF_HZ, abs=50.0)  # 1e-6 of momentum
    assert run.start["derived_from"] == [eta.uid, goal.uid]
    again = rf_centring.analyse(stored(run))
    assert again.delta == found.delta == pytest.approx(2e-3)


def test_centring_that_would_leave_the_limits_sets_nothing(run):
    machine, sim = connected()
    far = replace(run(plans.measure_orbit(machine)), uid="")
    far = replace(far, x=far.x + 0.05 * ETA)
    with pytest.raises(LimitError, match="T/RF: wanted"):
        run(plans.center_rf(machine, goal=far))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    with pytest.raises(PlanError, match="gain is above 0 and at most 1, not 2"):
        run(plans.center_rf(machine, gain=2))
    with pytest.raises(PlanError, match="at least 1 iteration"):
        run(plans.center_rf(machine, iterations=0))
