"""Beam, supplies and monitors of the simulated machine in time."""

from __future__ import annotations

import time
from dataclasses import replace

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from test_powering import powered_profile
from toy import N_BPM, toy_matrix, toy_profile

from acctwin import plans
from acctwin.backends.sim.beam import SimBeam
from acctwin.defaults import Defaults, WaitDefaults
from acctwin.errors import DeviceError
from acctwin.profiles.profile import Simulation


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_beam_decays_and_is_filled_up():
    clock = Clock()
    beam = SimBeam(0.2, lifetime_s=100.0, refill_a=0.1, clock=clock)
    assert beam.current == pytest.approx(0.2)
    clock.now = 50.0
    assert beam.current == pytest.approx(0.2 * np.exp(-0.5))
    clock.now = 100.0 * np.log(2.0) * 0.999
    assert beam.current == pytest.approx(0.1, rel=1e-3)
    clock.now = 100.0 * np.log(2.0) * 1.001
    assert beam.current == pytest.approx(0.2, rel=1e-3)


def test_a_beam_without_a_lifetime_stays():
    clock = Clock()
    beam = SimBeam(0.2, lifetime_s=np.inf, refill_a=0.1, clock=clock)
    clock.now = 1e9
    assert beam.current == 0.2


def test_a_lifetime_that_changes_goes_on_from_the_present_current():
    clock = Clock()
    beam = SimBeam(0.2, lifetime_s=100.0, refill_a=0.05, clock=clock)
    clock.now = 50.0
    beam.set_lifetime(200.0)
    clock.now = 150.0
    assert beam.current == pytest.approx(0.2 * np.exp(-0.5 - 0.5))
    clock.now = 50.0 + 200.0 * np.log(0.2 * np.exp(-0.5) / 0.05) + 20.0
    assert beam.current == pytest.approx(0.2 * np.exp(-0.1)), "filled up 20 s ago"


def test_a_lost_beam_is_injected_when_it_can_be_held():
    clock = Clock()
    beam = SimBeam(0.2, lifetime_s=100.0, refill_a=0.0, clock=clock)
    clock.now = 30.0
    beam.lose()
    assert beam.current == 0.0
    beam.hold()
    assert beam.current == pytest.approx(0.2)
    clock.now = 130.0
    beam.hold()
    assert beam.current == pytest.approx(0.2 / np.e), "a held beam is not filled up"


def test_in_its_own_time_the_beam_decays_while_the_machine_is_measured(run, make_toy):
    profile = toy_profile(simulation=Simulation(bpm_update_s=10.0, lifetime_s=1000.0))
    toy = make_toy(profile=profile)
    begun = time.monotonic()
    run(plans.measure_orbit(toy.machine, readings=10))
    assert time.monotonic() - begun < 5.0
    current = run(bps.rd(toy.machine.dcct.current))
    assert current == pytest.approx(0.2 * np.exp(-0.1), rel=1e-9)


def test_supplies_that_ramp_in_real_time_are_waited_for(run, make_toy):
    profile = replace(powered_profile(), simulation=Simulation(True, lag_s=0.01))
    toy = make_toy(profile=profile)
    begun = time.monotonic()
    run(bps.mv(toy.machine["PS1"], 1.0))
    assert time.monotonic() - begun > 0.2, "1 A at 5 A/s"
    assert toy.sim.supplies.delivered()[2] == pytest.approx(1.0, abs=1e-6)
    strength = run(bps.rd(toy.machine["T/C1-H"].readback))
    orbit = run(plans.measure_orbit(toy.machine))
    expected = toy.engine.error[:N_BPM] + toy_matrix()[:N_BPM, 1] * strength
    assert np.allclose(orbit.x, expected, atol=1e-9)


def test_a_fresh_reading_waits_for_the_monitors_own_update(run, make_toy):
    toy = make_toy(profile=toy_profile(simulation=Simulation(True, bpm_update_s=0.1)))
    run(plans.measure_orbit(toy.machine, readings=4))
    times = [event["timestamps"]["bpms_x"] for event in run.events()]
    assert np.diff(times) == pytest.approx(0.1, abs=0.08)
    assert np.ptp(times) > 0.25


def test_the_beam_current_falls_to_nothing_and_comes_back(run, make_toy):
    toy = make_toy()
    toy.engine.aperture = 0.0
    assert run(bps.rd(toy.machine.dcct.current)) == 0.0
    toy.engine.aperture = np.inf
    assert run(bps.rd(toy.machine.dcct.current)) == pytest.approx(0.2)


def by_flag(**waits):
    """Return a profile whose supplies ramp, and say themselves whether they do."""
    return replace(
        powered_profile(),
        simulation=Simulation(True, lag_s=0.01),
        defaults=Defaults(waits=WaitDefaults(done="flag", **waits)),
    )


def test_a_move_is_over_when_the_device_says_so(run, make_toy):
    toy = make_toy(profile=by_flag(flag_delay_s=0.01))
    toy.machine["PS1"].bounds.tolerance[:] = 0.0  # the readback decides nothing
    begun = time.monotonic()
    run(bps.mv(toy.machine["PS1"], 1.0, toy.machine["T/C0-V"], 1e-4))
    assert time.monotonic() - begun > 0.2, "1 A at 5 A/s"
    assert toy.sim.supplies.delivered()[2] == pytest.approx(1.0, abs=1e-6)
    assert run(bps.rd(toy.machine["PS1"].moving)) == 0
    assert not run(bps.rd(toy.machine.supplies.moving)).any()


def test_a_device_that_moves_for_ever_is_an_error(run, make_toy):
    toy = make_toy(profile=by_flag(timeout_s=0.1))
    toy.sim.supplies.stick("PS1")
    with pytest.raises(DeviceError, match="PS1/moving: not over within 0.1 s.*PS1"):
        run(plans.set_values(toy.machine, "PS1", 1.0))


def test_a_flag_that_decides_is_in_every_event_and_is_looked_at(run, make_toy):
    toy = make_toy(profile=by_flag(timeout_s=0.5))
    events = 0

    def fail(name, doc):
        nonlocal events
        events += name == "event"
        if events == 1:
            toy.sim.supplies.trip("PS23")
            toy.sim.put_supplies(np.array([3]), np.array([0.1]))

    run.RE.subscribe(fail)
    with pytest.raises(Exception, match="not where it is set to: still moving: PS23"):
        pair = [toy.machine["PS1"], toy.machine["PS23"]]
        run(plans.measure_orbit_response(toy.machine, correctors=pair))
    assert "PS1_moving" in run.events()[0]["data"]
