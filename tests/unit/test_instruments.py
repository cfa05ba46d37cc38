"""Pinger, turn-by-turn records, emittance and current monitor as devices."""

from __future__ import annotations

from dataclasses import replace

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import FailedStatus
from toy import N_BPM, toy_error, toy_machine
from toy_ring import RingEngine, ring_machine, ring_profile

from acctwin.devices.columns import Monitor
from acctwin.errors import BeamLost, DeviceError, LimitError
from acctwin.model.imperfections import draw
from acctwin.plans.stubs import in_run, take
from acctwin.profiles.imperfections import BpmSpread, Imperfections
from acctwin.profiles.profile import Simulation
from acctwin.session.verbs import read_values


@pytest.fixture
def ring(run):
    """Return a toy ring with a pinger, connected."""
    machine, sim = ring_machine()
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def one_event(*devices, before=()):
    """Return a plan that takes one event of some devices."""

    def body(uid):
        for device, value in before:
            yield from bps.abs_set(device, value, wait=True)
        return (yield from take(devices))

    return in_run(body, {"plan_name": "test", "plan_args": {}})


def test_a_record_has_all_bpms_and_the_turns_that_were_asked_for(run, ring):
    machine, _ = ring
    kicks = [(machine.turns.count, 16), (machine.pinger_x, 1e-4)]
    event = run(one_event(machine.turns, machine.pinger_x, before=kicks))
    assert event["turns_x"].shape == event["turns_y"].shape == (16, N_BPM)
    expected = RingEngine(toy_error()).turn_by_turn(16, (1e-4, 0.0))
    assert np.allclose(event["turns_x"], expected[:, :, 0], atol=1e-15)
    assert np.ptp(event["turns_y"], axis=0).max() == 0.0, "there was no vertical kick"
    assert event["pinger_x_kick"] == 1e-4
    (described,) = [doc for name, doc in run.documents if name == "descriptor"]
    key = described["data_keys"]["turns_x"]
    assert (key["shape"], key["units"], key["dtype_numpy"]) == ([16, 8], "m", "<f8")
    config = described["configuration"]["turns"]["data"]
    assert config["turns_count"] == 16
    assert config["turns_names"] == list(machine.bpms.names)


def test_the_orbit_never_sees_the_pinger(run, ring):
    machine, sim = ring
    before = run(one_event(machine.bpms))
    after = run(one_event(machine.bpms, before=[(machine.pinger_x, 1e-3)]))
    assert np.array_equal(before["bpms_x"], after["bpms_x"])
    assert machine.pinger_x not in machine.setpoints()
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_the_pinger_has_limits_and_a_step(run, ring):
    machine, sim = ring
    assert machine.pinger_y.delta == 1e-4
    with pytest.raises(FailedStatus) as raised:
        run(bps.mv(machine.pinger_y, 2e-3))
    assert isinstance(raised.value.__cause__, LimitError)
    assert "T/PING-V: wanted 0.002 rad, limits 0 to 0.001" in str(
        raised.value.__cause__
    )
    assert not sim.turns.kick.any()


@pytest.mark.parametrize("count", [0, 65, 2.5])
def test_a_record_that_cannot_be_is_refused(run, ring, count):
    machine, sim = ring
    with pytest.raises(FailedStatus) as raised:
        run(bps.mv(machine.turns.count, count))
    assert isinstance(raised.value.__cause__, LimitError)
    assert sim.turns.count == 64


def test_without_a_record_there_is_nothing_to_read(run, ring):
    machine, _ = ring
    with pytest.raises(DeviceError, match="no record yet"):
        run(bps.rd(machine.turns.x))


def test_a_lost_beam_leaves_no_old_record(run, ring):
    machine, sim = ring
    run(one_event(machine.turns))
    sim.engine.aperture = 0.0
    with pytest.raises(BeamLost):
        run(one_event(machine.turns))
    sim.engine.aperture = np.inf
    with pytest.raises(DeviceError, match="no record yet"):
        run(bps.rd(machine.turns.x))


def test_each_turn_has_its_own_noise_and_each_bpm_its_gain(run):
    spread = BpmSpread(gain=0.05, offset=1e-4, noise_turn=2e-6)
    profile = ring_profile(imperfections=Imperfections(bpms=spread))
    errors = draw(profile, 3)
    machine, _ = ring_machine(profile=profile, seed=3)
    call_in_bluesky_event_loop(machine.connect())
    event = run(one_event(machine.turns))
    # Without a kick all turns are the closed orbit: 64 turns, so 9 % rms; five times.
    noise = event["turns_x"].std(axis=0, ddof=1)
    assert np.abs(noise / 2e-6 - 1.0).max() < 0.45
    true = RingEngine(toy_error()).orbit()
    expected = (true[:, 0] - errors.bpm_offset[:, 0]) * errors.bpm_gain[:, 0]
    assert np.allclose(event["turns_x"].mean(axis=0), expected, atol=1.25e-6)


def test_emittances_follow_the_skews_and_have_noise(run, ring):
    machine, _ = ring
    assert isinstance(machine.emittance, Monitor)
    before = run(one_event(machine.emittance))
    assert before["emittance_ex"] == 1e-9
    for skew in ("T/SQ0", "T/SQ1"):
        run(bps.mv(machine[skew], 0.01))
    after = run(one_event(machine.emittance))
    assert after["emittance_ey"] < before["emittance_ey"]
    assert after["emittance_ey"] == pytest.approx(1e-12)
    assert run(read_values(machine, "emittance")) == pytest.approx([1e-9, 1e-12])
    keys = [column.key for column in machine.emittance.columns()]
    assert keys == ["emittance_ex", "emittance_ey"]

    profile = ring_profile(imperfections=Imperfections(emittance_noise=0.02))
    noisy, _ = ring_machine(profile=profile, seed=1)
    call_in_bluesky_event_loop(noisy.connect())
    seen = [run(one_event(noisy.emittance))["emittance_ex"] for _ in range(40)]
    assert np.std(seen) / 1e-9 == pytest.approx(0.02, rel=0.5)
    stayed = [run(bps.rd(noisy.emittance.ex)) for _ in range(2)]
    assert stayed == [seen[-1]] * 2, "a reading stays until the next one is taken"


def test_a_current_reading_lets_its_time_pass_and_has_its_time(run):
    times = Simulation(lifetime_s=1000.0, current_update_s=2.0)
    machine, _ = ring_machine(profile=ring_profile(simulation=times))
    call_in_bluesky_event_loop(machine.connect())
    for _ in range(3):
        run(one_event(machine.dcct))
        (event,) = run.events()
        first = locals().get("first", event)
    passed = event["timestamps"]["dcct_current"] - first["timestamps"]["dcct_current"]
    assert passed == pytest.approx(4.0, abs=1e-6)
    ratio = event["data"]["dcct_current"] / first["data"]["dcct_current"]
    assert ratio == pytest.approx(np.exp(-4.0 / 1000.0), rel=1e-9)


def test_a_machine_without_these_instruments_has_none(make_toy, toy):
    for name in ("turns", "pinger_x", "pinger_y", "emittance"):
        assert not toy.machine.has(name)
    with pytest.raises(AttributeError, match="toy has no 'turns'; it has: "):
        toy.machine.turns  # noqa: B018


def test_turns_without_a_pinger_are_the_closed_orbit(run):
    profile = replace(ring_profile(), pinger=None)
    machine, _ = ring_machine(profile=profile)
    call_in_bluesky_event_loop(machine.connect())
    event = run(one_event(machine.turns))
    assert np.ptp(event["turns_x"], axis=0).max() == 0.0
    assert toy_machine()[0].title == "toy"
