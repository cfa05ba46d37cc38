"""A whole session on the small ring: engine, devices, RunEngine, Tiled."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from bluesky.plans import count, scan

import acctwin
from acctwin import plans
from acctwin.analysis.orbit import rms
from acctwin.calibration.bpm import to_reading
from acctwin.errors import BeamLost, LimitError, UnknownName
from acctwin.plans.response import analyse
from acctwin.testing import hidden_errors, hidden_lattice

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session("fodo", seed=1, catalog="temporary") as opened:
        yield opened


@pytest.fixture(scope="module")
def measured(session):
    return session.run(plans.measure_orbit_response(session.machine))


def setpoints(session):
    return session._sim.setpoints.copy()


def test_orbit_is_what_the_hidden_lattice_says(session):
    orbit = session.run(plans.measure_orbit(session.machine, readings=20))
    ring, errors = hidden_lattice(session), hidden_errors(session)
    _, true = ring.find_orbit(ring.get_uint32_index("BPM"))
    rows = [bpm.name for bpm in session.profile.bpms]
    here = [rows.index(name) for name in session.machine.bpms.names]
    seen = to_reading(
        true[:, [0, 2]],
        errors.bpm_gain[here],
        errors.bpm_roll[here],
        errors.bpm_offset[here],
    )
    # 20 readings: the mean is known to noise/sqrt(20); five times that.
    allowed = 5.0 * errors.bpm_noise / np.sqrt(20.0)
    assert np.abs(orbit.x - seen[:, 0]).max() < allowed
    assert np.abs(orbit.y - seen[:, 1]).max() < allowed


def test_staged_devices_are_read_anew(session):
    events: list[dict] = []
    keep = {"event": [lambda _, doc: events.append(doc["data"])]}
    machine = session.machine
    knob = machine["C01/HCM"]
    session.RE(scan([machine.bpms], knob, 0.0, 2e-5, num=3), keep)
    session.RE(count([machine.bpms, machine.hcm], 2), keep)
    seen = [event for event in events if "bpms_x" in event]
    first, second, third, *still = (event["bpms_x"] for event in seen)
    assert np.abs(second - first).max() > 1e-5
    assert np.abs(third - first).max() == pytest.approx(
        2 * np.abs(second - first).max(), rel=0.3
    )
    assert (still[0] != still[1]).all(), "the noise of each reading is its own"
    held = machine.hcm.names.index("C01/HCM")
    assert seen[-1]["hcm_strength"][held] == pytest.approx(2e-5)
    session.set("C01/HCM", 0.0)


def test_the_design_model_knows_nothing_of_the_errors(session):
    # Radiation makes a horizontal orbit in an ideal ring, and never a vertical one.
    assert np.abs(session.model.orbit()[:, 1]).max() < 1e-12
    assert np.abs(hidden_lattice(session).find_orbit()[0][2]) > 1e-6


def test_correction_from_what_was_measured(session, measured):
    before = setpoints(session)
    result = session.run(plans.correct_orbit(session.machine, measured))
    assert result.rms_x[-1] < result.rms_x[0]
    assert result.rms_y[-1] < result.rms_y[0]
    after = session.run(plans.measure_orbit(session.machine))
    assert rms(after.x) < rms(result.before.x)
    session.run(plans.step(session.machine, "hcm", 0.0))
    session._sim.put(np.arange(len(before)), before)


def test_ctrl_c_restores_and_is_raised(session):
    before, events = setpoints(session), 0

    def press(name, doc):
        nonlocal events
        events += name == "event"
        if events == 7:
            events += 1
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    token = session.RE.subscribe(press)
    try:
        with pytest.raises(KeyboardInterrupt):
            session.run(plans.measure_orbit_response(session.machine))
    finally:
        session.RE.unsubscribe(token)
    assert np.array_equal(setpoints(session), before)
    stop = session.store.run(-1).stop
    assert stop["exit_status"] == "abort"
    assert "interrupted by the user" in stop["reason"]
    assert session.run(plans.measure_orbit(session.machine)).uid, "it goes on"


def test_pause_and_resume_measures_nothing_twice(session, measured):
    from bluesky.utils import RunEngineInterrupted

    events = 0

    def pause(name, doc):
        nonlocal events
        events += name == "event"
        if events == 9:
            events += 1
            threading.Thread(target=session.RE.request_pause, args=(True,)).start()

    token = session.RE.subscribe(pause)
    try:
        with pytest.raises(RunEngineInterrupted):
            session.RE(plans.measure_orbit_response(session.machine))
        result = session.RE.resume().plan_result
    finally:
        session.RE.unsubscribe(token)
    stored = analyse(session.store.run(result.uid))
    assert np.array_equal(stored.matrix, result.matrix)
    assert session.store.run(result.uid).stop["num_events"]["primary"] == 2 * len(
        measured.actuators
    )


def test_lost_beam_has_a_reason_and_comes_back(session):
    machine = session.machine
    before = setpoints(session)
    low = machine.quadrupoles.limits[0]
    strong = machine["QF"].names
    wanted = before[[session._sim.layout.knobs.index(n) for n in strong]] * 0.0
    errors = []
    session._sim.put(
        np.array([session._sim.layout.knobs.index(n) for n in strong]), wanted
    )
    try:
        session.run(plans.measure_orbit(machine))
    except BeamLost as error:
        errors.append(str(error))
    finally:
        session._sim.put(np.arange(len(before)), before)
    assert errors, f"no quadrupoles, no beam (limits {low[:2]})"
    assert "unstable" in errors[0] or "orbit" in errors[0]
    assert session.store.run(-1).stop["exit_status"] == "fail"
    assert np.isfinite(session.run(plans.measure_orbit(machine)).x).all()


def test_errors_come_out_as_they_are(session):
    with pytest.raises(LimitError):
        session.run(plans.step(session.machine, "hcm", 10.0))
    with pytest.raises(UnknownName, match="did you mean"):
        acctwin.open_session("fod", catalog="temporary")


def test_a_bad_device_stays_bad_in_the_next_session(tmp_path):
    with acctwin.open_session("fodo", catalog=tmp_path) as opened:
        name = opened.machine.bpms.names[3]
        opened.machine.mark_bad(name)
    with acctwin.open_session("fodo", catalog=tmp_path) as opened:
        assert not opened.machine.bpms.status[3]


def test_responses_in_amperes_and_radians_agree_on_a_machine_without_noise(tmp_path):
    with acctwin.open_session("fodo", catalog="temporary") as opened:
        machine = opened.machine
        radians = opened.run(plans.measure_orbit_response(machine))
        amperes = opened.run(plans.measure_orbit_response(machine, units="hardware"))
        slopes = opened._sim.powering.slopes()
    slope = np.zeros((len(radians.actuators), len(amperes.actuators)))
    for magnet, supply, value in slopes:
        if magnet in radians.actuators:
            place = radians.actuators.index(magnet), amperes.actuators.index(supply)
            slope[place] = value
    expected = radians.matrix @ slope
    assert amperes.units == ("m/A",) * 32
    assert rms(np.ravel(amperes.matrix - expected)) < 1e-6 * rms(np.ravel(expected))


def orbit_of(seed: int | None):
    with acctwin.open_session("fodo", seed=seed, catalog="temporary") as opened:
        orbit = opened.run(plans.measure_orbit(opened.machine, readings=2))
        tunes = opened.run(
            plans.measure_response(
                opened.machine,
                [opened.machine.quadrupoles.select("*QF*")],
                [opened.machine.tune],
            )
        )
    return np.concatenate([orbit.x, orbit.y, tunes.matrix.ravel()])


def test_the_same_seed_gives_the_same_data_and_another_does_not():
    first = orbit_of(7)
    assert np.array_equal(first, orbit_of(7))
    assert not np.array_equal(first, orbit_of(8))
