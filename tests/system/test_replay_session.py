"""A session on its own runs: measured again, corrected otherwise, refused, replayed."""

from __future__ import annotations

import sys
from pathlib import Path

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.callbacks import LiveTable
from bluesky.utils import RunEngineInterrupted

sys.path.insert(0, str(Path(__file__).parent))

from same_documents import assert_same_documents

import acctwin
from acctwin import plans
from acctwin.analysis.correction import solve_correction
from acctwin.data import documents
from acctwin.errors import DataError, DeviceError, PlanError, UnknownName
from acctwin.plans import response as response_plan
from acctwin.plans.stubs import take

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session(
        "fodo", seed=1, catalog="temporary", progress=False
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def emitted(session):
    """Return a list that gets every document."""
    found = []
    session.RE.subscribe(lambda name, doc: found.append((name, doc)))
    return found


@pytest.fixture(scope="module")
def measured(session, emitted):
    return session.run(plans.measure_orbit_response(session.machine))


@pytest.fixture
def here(session, measured):
    """Return the session, which is on the simulated machine again afterwards."""
    yield session
    session.switch_to_physics()


def of_run(emitted, uid):
    """Return the documents of one run, of all that were emitted."""
    (first,) = (
        i
        for i, (name, doc) in enumerate(emitted)
        if name == "start" and doc["uid"] == uid
    )
    names = [name for name, _ in emitted[first:]]
    return emitted[first : first + names.index("stop") + 1]


def assert_replayed(session, emitted, uid):
    wanted = of_run(emitted, uid)
    for found in (list(documents(session.catalog[uid])), session.store.documents(uid)):
        assert_same_documents(wanted, found)
    return wanted


def test_documents_of_a_response_come_back_from_tiled(session, emitted, measured):
    wanted = assert_replayed(session, emitted, measured.uid)
    assert sum(name == "event" for name, _ in wanted) > 30


def test_a_session_may_be_opened_on_a_run(session, measured):
    folder = session.store.folder.root
    session.store.flush()
    with acctwin.open_session(
        "fodo", mode="replay", run=measured.uid, catalog=folder, progress=False
    ) as opened:
        assert opened.mode == "replay"
        again = opened.run(plans.measure_orbit_response(opened.machine))
        assert again.matrix.tobytes() == measured.matrix.tobytes()


def test_wrong_runs_are_refused(session):
    with pytest.raises(UnknownName):
        session.switch_to_replay("no-such-run")
    with pytest.raises(PlanError, match="needs the run"):
        acctwin.open_session("fodo", mode="replay", catalog="temporary")
    with pytest.raises(PlanError, match="is for mode='replay'"):
        acctwin.open_session("fodo", run=-1, catalog="temporary")
    bare = session.store.run(-1)
    bare = type(bare)(bare.uid, {**bare.start, "profile": "ebs"}, None, bare.streams)
    with pytest.raises(DataError, match="of the machine 'ebs'"):
        session.switch_to_replay(bare)
    assert session.mode == "physics"


def test_a_live_table_shows_the_same_again(session):
    keys, live, again = ["step_actuator", "step_offset", "bpms_x"], [], []
    selected = session.machine.hcm.select("C0[12]/*")
    plan = plans.measure_orbit_response(session.machine, correctors=[selected])
    result = session.run(plan, LiveTable(keys, out=live.append))
    session.replay(result.uid, LiveTable(keys, out=again.append))
    assert again == live and len(live) > 4
    again.clear()
    session.catalog  # noqa: B018  (waits until it is in Tiled)
    session.replay(session.store.run(-1), LiveTable(keys, out=again.append))
    assert again == live


def test_a_run_that_was_paused_comes_back(session, emitted):
    engine, machine = session.RE, session.machine

    def count():
        uid = yield from bps.open_run({"plan_name": "count"})
        for number in range(5):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([machine.bpms])
            if number == 2 and not paused:
                paused.append(number)
                yield from bps.pause()
        yield from bps.close_run()
        return uid

    paused = []
    with pytest.raises(RunEngineInterrupted):
        engine(count())
    uid = engine.resume().plan_result
    wanted = assert_replayed(session, emitted, uid)
    numbers = [doc["seq_num"] for name, doc in wanted if name == "event"]
    assert len(numbers) > len(set(numbers)), "no event was repeated"


def test_a_response_measured_again_is_the_same_to_the_bit(here, measured):
    here.switch_to_replay(measured.uid)
    assert here.mode == "replay"
    again = here.run(plans.measure_orbit_response(here.machine))
    assert again.uid != measured.uid
    assert again.matrix.tobytes() == measured.matrix.tobytes()
    assert again.sigma.tobytes() == measured.sigma.tobytes()
    assert response_plan.analyse(here.store.run(again.uid)) is not None
    start = here.store.run(again.uid).start
    assert (start["mode"], start["backends"]) == ("replay", ["replay"])
    assert start["derived_from"] == [measured.uid]
    assert start["seed"] is None


def test_other_singular_values_on_a_recorded_orbit(here, measured):
    here.switch_to_physics()
    orbit = here.run(plans.measure_orbit(here.machine, readings=3))
    here.switch_to_replay(orbit.uid)
    residual = np.concatenate([orbit.x, orbit.y])
    for kept in (4, 9):
        found = here.run(
            plans.correct_orbit(
                here.machine,
                measured.uid,
                goal="zero",
                singular_values=kept,
                gain=1.0,
                readings=3,
                preview=True,
            )
        )
        names, labels = found.actuators, measured.monitors
        wanted = solve_correction(
            measured.block(labels, names), residual, singular_values=kept
        )
        assert found.kept == kept
        assert np.array_equal(found.steps, wanted.steps)
        start = here.store.run(found.uid).start
        assert start["derived_from"] == [orbit.uid, measured.uid]


def test_what_was_not_recorded_is_refused(here, measured):
    here.switch_to_replay(measured.uid)
    here.set("C03/HCM", 7e-5)
    with pytest.raises(DeviceError, match=r"C03/HCM is at 7e-05 rad, recorded"):
        here.run(plans.measure_orbit(here.machine))
    with pytest.raises(DeviceError, match="tune was not recorded; the run holds"):
        here.run(plans.measure_tune(here.machine))
    dry = here.dry_run(plans.measure_orbit, here.machine)
    assert not dry.moves, "the twin stands where the recorded machine stands"
    assert here.get("C03/HCM") == pytest.approx(7e-5)


def test_a_replayed_run_is_no_reference(here, measured):
    here.switch_to_replay(measured.uid)
    machine = here.machine
    replayed = here.run(plans.measure_orbit_response(machine))
    with pytest.raises(PlanError, match="references are not changed from here"):
        here.run(plans.promote_reference(machine, "orbit_response", measured.uid))
    here.switch_to_physics()
    with pytest.raises(PlanError, match="in replay"):
        here.run(plans.promote_reference(machine, "orbit_response", replayed.uid))


def test_turn_by_turn_records_are_given_again(here):
    here.switch_to_physics()
    machine = here.machine

    def kicked():
        yield from plans.set_values(machine, machine.pinger_x, 1e-5)
        return (yield from one_event([machine.turns, machine.pinger_x]))

    uid, first = here.run(kicked())
    here.switch_to_replay(uid)
    _, again = here.run(one_event([machine.turns, machine.pinger_x]))
    for key, value in first.items():
        assert np.array_equal(value, again[key]), key


def one_event(devices):
    uid = yield from bps.open_run({"plan_name": "one_event"})
    event = yield from take(devices)
    yield from bps.close_run()
    return uid, event
