"""A reading without beam: it ends the plan, or waits for the beam and is repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import N_BPM, toy_error
from toy_ring import RingEngine, ring_machine

from acctwin import plans
from acctwin.defaults import BeamDefaults
from acctwin.devices.beam import BeamWatch
from acctwin.errors import BeamLost
from acctwin.plans import beam


class Blinking(RingEngine):
    """Has no beam at some orbits."""

    dark = range(0)
    asked = 0

    def orbit(self):
        self.asked += 1
        if self.asked in self.dark:
            raise BeamLost("the toy was told to lose it")
        return super().orbit()


@pytest.fixture
def ring(run, monkeypatch):
    monkeypatch.setattr(beam, "LOOK_S", 0.01)
    engine = Blinking(toy_error())
    machine, _ = ring_machine(engine)
    call_in_bluesky_event_loop(machine.connect())

    def wait(with_dcct: bool = False, **values) -> None:
        defaults = BeamDefaults(**{"lost": "wait", "wait_s": 5.0, **values})
        dcct = machine.dcct if with_dcct else None
        for device in machine.everything():
            if hasattr(device, "beam"):
                device.beam = replace(device.beam, defaults=defaults, dcct=dcct)

    return machine, engine, wait


def test_every_device_that_reads_knows_how_to_wait(ring):
    machine, _, _ = ring
    assert isinstance(machine.bpms.beam, BeamWatch)
    assert machine.bpms.beam.dcct is machine.dcct
    assert machine.bpms.beam.defaults.lost == "end"


def test_by_default_a_lost_beam_ends_the_plan(run, ring):
    machine, engine, _ = ring
    engine.dark = range(engine.asked + 2, engine.asked + 4)
    with pytest.raises(BeamLost, match="told to lose it"):
        run(plans.measure_orbit(machine, readings=4))


@pytest.mark.parametrize("with_dcct", [True, False])
def test_it_waits_and_reads_again_and_nothing_else_is_stored(
    run, ring, caplog, with_dcct
):
    machine, engine, wait = ring
    wait(with_dcct)
    engine.dark = range(engine.asked + 2, engine.asked + 6)
    result = run(plans.measure_orbit(machine, readings=4))
    assert len(run.events()) == 4
    assert np.isfinite(result.x).all()
    assert len(result.x) == N_BPM
    assert "until the beam is back" in caplog.text
    assert "the beam is back after" in caplog.text


def test_it_ends_after_the_time_in_the_profile(run, ring):
    machine, engine, wait = ring
    wait(wait_s=0.05)
    engine.dark = range(engine.asked + 2, 10**6)
    with pytest.raises(BeamLost, match="did not come back within 0.05 s: .*told to"):
        run(plans.measure_orbit(machine, readings=4))
    assert run.stop["exit_status"] == "fail"


def test_too_little_current_is_not_back(run, ring):
    machine, engine, wait = ring
    wait(with_dcct=True, wait_s=0.1, minimum_a=10.0)
    engine.dark = range(engine.asked + 2, engine.asked + 3)
    with pytest.raises(BeamLost, match="did not come back"):
        run(plans.measure_orbit(machine, readings=4))


def test_a_plan_that_loses_the_beam_itself_puts_back_after_the_wait(run, ring):
    machine, engine, wait = ring
    wait(wait_s=0.05)
    engine.dark = range(engine.asked + 3, 10**6)
    before = call_in_bluesky_event_loop(machine.hcm.locate())["setpoint"]
    with pytest.raises(BeamLost):
        run(plans.measure_orbit_response(machine))
    after = call_in_bluesky_event_loop(machine.hcm.locate())["setpoint"]
    assert np.array_equal(before, after)
