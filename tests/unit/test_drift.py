"""Correctors that wander at random: only the orbit shows it."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import N_BPM, N_COR, toy_error, toy_matrix
from toy_ring import RingEngine, ring_machine, ring_profile

from acctwin import plans
from acctwin.backends.sim.drift import Drift
from acctwin.backends.sim.faults import Faults
from acctwin.errors import LimitError, UnknownName
from acctwin.profiles.imperfections import Imperfections
from acctwin.profiles.profile import Simulation

RATE = 1e-6


def drifting(run, rate=RATE, families=("hcm", "vcm"), **times):
    """Return a machine that drifts, its simulated machine, and its faults."""
    still = Imperfections()
    profile = ring_profile(simulation=Simulation(**times), imperfections=still)
    engine = RingEngine(toy_error())
    machine, sim = ring_machine(engine, profile=profile, seed=5)
    call_in_bluesky_event_loop(machine.connect())
    faults = Faults(profile, sim)
    faults.drift(rate, families)
    return machine, sim, faults


def orbits(run, machine, count):
    """Return x at the BPMs in some measurements [m], (count, N_BPM)."""
    return np.array([run(plans.measure_orbit(machine)).x for _ in range(count)])


def test_a_walk_grows_with_the_root_of_time():
    now = [0.0]
    drift = Drift(4000, lambda: now[0], seed=1)
    drift.start(RATE, np.arange(4000))
    for step in (0.5, 1.5, 7.0):
        now[0] += step
        drift.advance()
    # 4000 kicks: their rms is known to 1.1 %.
    assert drift.kicks.std() == pytest.approx(RATE * 3.0, rel=0.05)
    stays = drift.kicks.copy()
    drift.advance()
    assert np.array_equal(drift.kicks, stays), "no time has passed"


def test_the_same_seed_wanders_the_same_way():
    kicks = []
    for seed in (1, 1, 2):
        now = [0.0]
        drift = Drift(5, lambda now=now: now[0], seed)
        drift.start(RATE, np.array([1, 3]))
        now[0] = 1.0
        drift.advance()
        kicks.append(drift.kicks)
    assert np.array_equal(kicks[0], kicks[1])
    assert not np.array_equal(kicks[0], kicks[2])
    assert np.array_equal(np.flatnonzero(kicks[0]), [1, 3])


def test_the_orbit_drifts_and_no_readback_does(run):
    machine, sim, _ = drifting(run)
    seen = orbits(run, machine, 20)
    assert (np.abs(np.diff(seen, axis=0)).max(axis=1) > 0.0).all()
    # What the orbit shows is what the kicks do, in the toy's matrix.
    expected = toy_error() + toy_matrix()[:, : 2 * N_COR] @ sim.drift.kicks[: 2 * N_COR]
    assert np.allclose(seen[-1], expected[:N_BPM], atol=1e-12)
    assert np.array_equal(sim.setpoints, sim.layout.values)
    delivered, _ = sim.read_delivered(np.arange(2 * N_COR))
    assert not delivered.any()


def test_a_reading_lets_a_tenth_of_a_second_pass_or_its_own_update(run):
    for times, passed in (({}, 0.1), ({"bpm_update_s": 2.0}, 2.0)):
        machine, sim, _ = drifting(run, **times)
        before = sim.clock()
        orbits(run, machine, 5)
        assert sim.clock() - before == pytest.approx(5 * passed)


def test_without_a_new_reading_nothing_moves(run):
    machine, sim, _ = drifting(run)
    first = orbits(run, machine, 1)[0]
    call_in_bluesky_event_loop(sim.clock.sleep(100.0))
    again = call_in_bluesky_event_loop(machine.bpms.x.get_value())
    assert np.array_equal(again, first)
    assert not np.array_equal(orbits(run, machine, 1)[0], first)


def test_one_family_alone_drifts_and_it_stops_where_it_is(run):
    machine, sim, faults = drifting(run, families=["vcm"])
    seen = orbits(run, machine, 3)
    assert np.array_equal(seen[0], seen[-1]), "the horizontal plane does not drift"
    assert sim.drift.kicks[N_COR : 2 * N_COR].all()
    faults.drift(0.0)
    kicks = sim.drift.kicks.copy()
    orbits(run, machine, 3)
    assert kicks.any()
    assert np.array_equal(sim.drift.kicks, kicks)


@pytest.mark.parametrize("rate", [-1e-6, np.nan, np.inf])
def test_a_rate_that_cannot_be_is_refused(run, rate):
    with pytest.raises(LimitError, match="wanted 0 or more"):
        drifting(run, rate=rate)


def test_only_correctors_drift(run):
    with pytest.raises(UnknownName, match="no family of correctors is called 'QF'"):
        drifting(run, families=["QF"])
