"""The lifetime from readings of the current, and the plan that takes them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy_ring import ring_machine, ring_profile

from acctwin import plans
from acctwin.analysis.lifetime import (
    RESOLUTION,
    add_reading,
    first_reading,
    fit_decay,
    lifetime_of,
)
from acctwin.data.runs import Run
from acctwin.errors import BeamLost, DeviceError, PlanError
from acctwin.plans import lifetime
from acctwin.profiles.imperfections import Imperfections
from acctwin.profiles.profile import Simulation

TAU, FULL, NOISE = 7200.0, 0.2, 1e-5


def readings(count, *, tau=TAU, noise=NOISE, seed=0, step=0.5):
    """Return times [s] and currents [A] of a beam that decays."""
    time = 1.7e9 + step * np.arange(count)
    true = FULL * np.exp(-(time - time[0]) / tau)
    return time, true + np.random.default_rng(seed).normal(0.0, noise, count)


def watched(time, current):
    """Return the decline that some readings make."""
    decline = first_reading(time[0], current[0])
    for one in zip(time[1:], current[1:], strict=True):
        decline = add_reading(decline, *one)
    return decline


def machine_of(seed=1, noise=NOISE, **times):
    """Return a toy ring whose beam decays, connected, and its simulated machine."""
    profile = ring_profile(
        imperfections=Imperfections(current_noise_a=noise),
        simulation=Simulation(**({"lifetime_s": TAU} | times)),
        beam_current_a=FULL,
    )
    machine, sim = ring_machine(profile=profile, seed=seed)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def test_an_exact_decay_is_found_exactly():
    decay = fit_decay(*readings(50, noise=0.0, step=100.0))
    assert 1.0 / decay.rate == pytest.approx(TAU, rel=1e-9)
    assert decay.noise == pytest.approx(RESOLUTION * FULL, rel=0.3)


def test_the_standard_error_is_that_of_many_fits():
    fits = [fit_decay(*readings(30, seed=seed)) for seed in range(400)]
    rates, sigmas = (np.array([getattr(f, k) for f in fits]) for k in ("rate", "sigma"))
    # 400 fits: their spread is known to 3.5 %, their mean to 5 % of it; four times.
    # The factor from Student's distribution is 1.018 at 28 degrees of freedom.
    assert rates.std() / np.sqrt(np.mean(np.square(sigmas))) == pytest.approx(
        1, rel=15e-2
    )
    assert abs(rates.mean() - 1 / TAU) < 0.2 * rates.std()


@pytest.mark.parametrize("tau", [60.0, 7200.0, 72000.0])
def test_it_ends_when_it_is_precise_and_is_right(run, tau):
    machine, _ = machine_of(lifetime_s=tau)
    result = run(plans.measure_lifetime(machine, precision=0.03))
    assert result.stopped == "precise"
    assert result.sigma < 0.03 * result.lifetime
    assert result.lifetime == pytest.approx(tau, abs=4 * result.sigma)
    assert result.lower_limit < result.lifetime
    assert result.noise == pytest.approx(NOISE, rel=0.8)
    # σ(1/τ) = (σ/I)·√(12/n)/T for n readings over T = n/2 s: solved for n.
    expected = (tau * NOISE / FULL * np.sqrt(48.0) / 0.03) ** (2 / 3)
    assert result.readings < 2.0 * max(expected, 10)


def test_stopping_as_soon_as_it_seems_precise_does_not_make_it_wrong():
    pulls = []
    for seed in range(60):
        time, current = readings(200, seed=seed)
        decline = first_reading(time[0], current[0])
        for one in zip(time[1:], current[1:], strict=True):
            decline = add_reading(decline, *one)
            decay = decline.decay
            if decay and decay.readings >= 10 and decay.relative_error < 0.05:
                break
        found = lifetime_of(decline, "precise")
        pulls.append((found.lifetime - TAU) / found.sigma)
    # Stopping at a small estimate makes the error look smaller than it is: by less
    # than a third. 60 pulls: their rms is known to 9 %.
    assert np.sqrt(np.mean(np.square(pulls))) < 1.6
    assert np.abs(pulls).max() < 5.0


def test_the_stored_run_gives_the_same(run):
    machine, _ = machine_of()
    result = run(plans.measure_lifetime(machine))
    again = lifetime.analyse(Run.from_documents(run.documents))
    assert again.uid == result.uid == run.start["uid"]
    for key in ("lifetime", "sigma", "lower_limit", "noise", "stopped", "first"):
        assert getattr(again, key) == getattr(result, key)
    assert np.array_equal(again.time, result.time)
    assert run.start["plan_args"]["precision"] == 0.02
    (event,) = run.events("result")
    assert 1.0 / event["data"]["lifetime_rate"] == result.lifetime


def test_an_injection_begins_the_fit_anew_and_is_said(run, caplog):
    # Falls from 200 mA to 199.5 mA in 18 s, when it is filled up again.
    machine, sim = machine_of(refill_a=0.1995)
    sim.clock.pass_over(12.0)
    options = {"precision": 0.05, "min_readings": 25}
    result = run(plans.measure_lifetime(machine, **options))
    assert result.injections == 1
    assert result.time[result.first] == pytest.approx(6.0, abs=0.6)
    assert result.stopped == "precise"
    assert result.lifetime == pytest.approx(TAU, abs=4 * result.sigma)
    assert "the current rose from 0.199" in caplog.text
    assert "the fit begins anew" in caplog.text


def test_a_rise_is_five_sigma():
    for size, wanted in ((3.0, 0), (12.0, 1)):
        time, current = readings(60)
        current[40:] += size * NOISE
        assert watched(time, current).injections == wanted
    assert watched(*readings(300)).injections == 0


def test_a_current_that_is_being_filled_has_no_lifetime():
    decline = watched(*readings(40, tau=-500.0))
    assert decline.injections > 3
    short = watched(*readings(5, tau=-50.0, noise=0.0))
    assert (short.injections, short.first) == (1, 3)
    with pytest.raises(PlanError, match="2 readings since the last of 1 injections"):
        lifetime_of(short, "time is over")


def test_a_beam_that_does_not_decay_gives_a_lower_limit(run, caplog):
    machine, _ = machine_of(lifetime_s=math.inf)
    result = run(plans.measure_lifetime(machine, max_s=60.0))
    assert result.stopped == "time is over"
    assert (result.lifetime, result.sigma) == (math.inf, math.inf)
    # σ(1/τ) = (σ/I)·√(12/n)/T; the limit is 1.64 of it, or up to 3.64 by chance.
    one = NOISE / FULL * np.sqrt(12.0 / 120.0) / 60.0
    assert 1 / (4.5 * one) < result.lower_limit < 1 / (1.2 * one)
    assert "the lifetime is longer than" in caplog.text
    assert np.isfinite(run.events("result")[0]["data"]["lifetime_lower_limit"])


def test_without_noise_a_limit_is_that_of_the_resolution(run):
    machine, _ = machine_of(lifetime_s=math.inf, seed=None)
    result = run(plans.measure_lifetime(machine, max_s=60.0))
    assert 1e8 < result.lower_limit < 1e10
    assert result.injections == 0


def test_a_lost_beam_ends_it(run):
    machine, sim = machine_of()
    sim.engine.aperture = 0.0
    with pytest.raises(BeamLost, match="there is no beam to measure"):
        run(plans.measure_lifetime(machine))
    time, current = readings(20)
    current[12] = 0.0
    with pytest.raises(BeamLost, match=r"fell from 0\.199\d* A to 0 A within 0\.5 s"):
        watched(time, current)
    assert run.stop["exit_status"] == "fail"


def test_a_monitor_that_stands_still_is_an_error(run):
    machine, _ = machine_of(current_update_s=0.0)
    with pytest.raises(DeviceError, match="is not newer than the one before"):
        run(plans.measure_lifetime(machine))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": 0.0}, "precision 0 and"),
        ({"max_s": math.inf}, "max_s inf found"),
        ({"min_readings": 3}, "min_readings 3 found, wanted at least 4"),
    ],
)
def test_nonsense_is_refused(run, options, words):
    machine, _ = machine_of()
    with pytest.raises(PlanError, match=words):
        run(plans.measure_lifetime(machine, **options))


@pytest.mark.parametrize(
    "change", [{"count": 3}, {"noise": 1.0}, {"step": 0.0}], ids=str
)
def test_what_has_no_decay_is_refused(change):
    with pytest.raises(ValueError, match="wanted at least 4 readings"):
        fit_decay(*readings(**({"count": 9} | change)))


def test_an_interrupted_run_has_a_lifetime_too(run):
    machine, _ = machine_of()
    run(plans.measure_lifetime(machine))
    stored = Run.from_documents(run.documents)
    primary = stored["primary"]
    few = replace(
        primary,
        data={key: value[:12] for key, value in primary.data.items()},
        timestamps={key: value[:12] for key, value in primary.timestamps.items()},
    )
    result = lifetime.analyse(replace(stored, streams={"primary": few}))
    assert result.stopped == "interrupted"
    assert result.readings == 12


def test_the_plot_says_what_was_found():
    from acctwin.plots.figure import new_figure
    from acctwin.plots.lifetime import draw_lifetime

    _, (axes, other) = new_figure(2)
    draw_lifetime(axes, lifetime_of(watched(*readings(80)), "precise"))
    assert axes.get_title().startswith("lifetime (")
    draw_lifetime(other, lifetime_of(watched(*readings(80, tau=1e12)), "time is over"))
    assert other.get_title().startswith("lifetime > ")
