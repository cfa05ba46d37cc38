"""Save, change, compare, restore, and golden references, on the small ring."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import acctwin
from acctwin import plans
from acctwin.analysis.orbit import rms
from acctwin.errors import LimitError, PlanError

pytestmark = pytest.mark.slow

FAMILIES = ("hcm", "vcm", "quadrupoles")  # each magnet on a supply of its own
SEED = 20


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session("fodo", seed=1, catalog="temporary") as opened:
        yield opened


@pytest.fixture
def saved(session):
    """A saved state that is put back, and verified by hand, after the test."""
    state = session.run(plans.save_machine(session.machine, "before the test"))
    before = session._sim.supplies.setpoints.copy()
    yield state
    session._sim.put_supplies(np.arange(len(before)), before)


def change(session, count: int) -> dict[str, float]:
    """Change random magnets, each by more than its tolerance; return where to."""
    rng = np.random.default_rng(SEED)
    magnets = [m for name in FAMILIES for m in session.machine[name]]
    chosen = rng.choice(len(magnets), count, replace=False)
    goals = {}
    for i in chosen:
        info = magnets[i].info
        start = strengths(session)[info.name]
        step = rng.choice([-1, 1]) * rng.uniform(10, 100) * info.tolerance
        goals[info.name] = float(np.clip(start + step, info.low, info.high))
    knobs = session._sim.layout.knobs
    where = np.array([knobs.index(name) for name in goals])
    session._sim.put(where, np.array(list(goals.values())))
    return goals


def strengths(session) -> dict[str, float]:
    sim = session._sim
    return dict(zip(sim.layout.knobs, sim.setpoints.tolist(), strict=True))


def tolerances(session) -> dict[str, float]:
    return {magnet.name: magnet.tolerance for magnet in session.profile.magnets}


def test_fifty_changes_are_found_and_taken_back(session, saved):
    machine, before = session.machine, strengths(session)
    changed = change(session, 50)
    result = session.run(plans.compare_machine(machine, saved.uid))
    assert {item.device for item in result.differences} == set(changed)
    assert len(result.differences) == 50
    assert {item.family for item in result.differences} == set(FAMILIES)
    assert len(result.supplies) == 50
    for item in result.differences:
        assert item.now == pytest.approx(changed[item.device], rel=1e-9, abs=1e-12)
        assert item.supply
        assert np.isfinite([item.saved_current, item.now_current]).all()
    assert len(result.table().splitlines()) == 51

    done = session.run(plans.restore_machine(machine, saved.uid, steps=3))
    assert done.is_restored.all()
    after = strengths(session)
    for name, tolerance in tolerances(session).items():
        assert abs(after[name] - before[name]) <= tolerance
    # The supplies are back where they were, to the last bit that a current has.
    assert max(abs(after[n] - before[n]) for n in before if n != "rf") < 1e-9
    assert session.run(plans.compare_machine(machine, saved.uid)).differences == ()


def test_interrupted_half_way_it_says_what_was_restored(session, saved, caplog):
    machine = session.machine
    changed = change(session, 50)
    moved = strengths(session)
    events = 0

    def press(name, doc):
        nonlocal events
        events += name == "event"
        if events == 4:  # baseline, the start, two of six steps
            events += 1
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    token = session.RE.subscribe(press)
    try:
        with pytest.raises(KeyboardInterrupt):
            session.run(plans.restore_machine(machine, saved, steps=6))
    finally:
        session.RE.unsubscribe(token)
    now = strengths(session)
    half = [
        (now[n] - saved.setpoints[n]) / (moved[n] - saved.setpoints[n]) for n in changed
    ]
    assert min(half) > 0.0 and max(half) < 1.0, "nobody moved it back or on"
    run = session.store.run(-1)
    assert run.stop["exit_status"] == "abort"
    summary = run["result"].config("restore_summary")
    assert "; not restored: " in summary
    assert summary in caplog.text
    restored = run["result"]["restore_is_restored"][0].astype(bool)
    devices = np.array(run["result"].config("restore_devices"))
    owners = {
        s.info.name: m.info.name for m in all_magnets(machine) for s in m.supplies
    }
    assert {owners[name] for name in devices[~restored]} == set(changed)
    finished = session.run(plans.restore_machine(machine, saved))
    assert finished.is_restored.all()


def all_magnets(machine):
    return [m for name in FAMILIES for m in machine[name]]


def test_one_family_only_and_series_magnets(session, saved):
    machine = session.machine
    change(session, 50)
    session.run(plans.step(machine, "PS-SF", 0.5))
    found = session.run(plans.compare_machine(machine, saved, ["SF"]))
    assert len(found.differences) == 16, "sixteen magnets in series"
    assert [item.device for item in found.supplies] == ["PS-SF"]
    result = session.run(plans.restore_machine(machine, saved, ["sextupoles", "rf"]))
    assert result.devices == ("PS-SF", "PS-SD", "rf")
    left = session.run(plans.compare_machine(machine, saved))
    assert len(left.differences) == 50


def test_a_state_outside_the_limits_moves_nothing(session, saved):
    before = session._sim.supplies.setpoints.copy()
    family = saved["supplies"]
    index = family.devices.index("C03/PS-HCM")
    family.setpoints[index] = 50.0
    with pytest.raises(LimitError, match="C03/PS-HCM: wanted 50 A, limits -5 to 5"):
        session.run(plans.restore_machine(session.machine, saved))
    assert np.array_equal(session._sim.supplies.setpoints, before)


def test_cycling_quadrupoles(session, saved):
    before = session._sim.supplies.setpoints.copy()
    with pytest.raises(PlanError, match="mA are stored, and cycling QF"):
        session.run(plans.cycle(session.machine, "QF"))
    result = session.run(
        plans.cycle(session.machine, "QF", [0.2, -0.2], with_beam=True)
    )
    assert result.units == ("A",) * 16
    assert result.readbacks.shape == (3, 16)
    assert np.array_equal(session._sim.supplies.setpoints, before)


@pytest.mark.long
@pytest.mark.timeout(300)  # waits for a Tiled server that starts, and for uploads
def test_references_live_from_one_session_to_the_next(tmp_path, caplog):
    with acctwin.open_session("fodo", seed=1, catalog=tmp_path) as first:
        machine = first.machine
        assert machine.references.current("orbit_response") is None
        response = first.run(plans.measure_orbit_response(machine))
        orbit = first.run(plans.measure_orbit(machine))
        state = first.run(plans.save_machine(machine))
        for kind, uid in (
            ("orbit_response", response.uid),
            ("orbit", orbit.uid),
            ("machine", state.uid[:12]),
        ):
            first.run(plans.promote_reference(machine, kind, uid, "commissioning"))
        first.run(plans.step(machine, "hcm", 2e-5))
        worse = first.run(plans.measure_orbit(machine))
        first.run(plans.promote_reference(machine, "orbit", worse.uid))
        assert machine.references.current("orbit") == worse.uid

    with acctwin.open_session("fodo", seed=1, catalog=tmp_path) as second:
        machine = second.machine
        history = machine.references.history("orbit")
        assert [change.uid for change in history] == [orbit.uid, worse.uid]
        assert history[0].reason == "commissioning"
        assert history[0].operator
        back = second.run(plans.roll_back_reference(machine, "orbit"))
        assert back.reference == machine.references.current("orbit") == orbit.uid

        second.run(plans.step(machine, "C05/VCM", 1e-4))
        result = second.run(plans.correct_orbit(machine))
        start = second.store.run(result.uid).start
        assert start["derived_from"] == [response.uid, orbit.uid]
        assert "design model" not in caplog.text
        # A kick of 100 µrad is some 100 µm; both orbits have 1 µm of noise.
        assert rms(result.after.y - orbit.y) < 0.1 * rms(result.before.y - orbit.y)

        golden = second.run(plans.compare_machine(machine))
        assert golden.saved_uid == state.uid
        assert golden.differences
        second.run(plans.restore_machine(machine, "golden"))
        assert second.run(plans.compare_machine(machine)).differences == ()

        with pytest.raises(
            PlanError, match="a reference of kind 'machine' is a run of"
        ):
            second.run(plans.promote_reference(machine, "machine", orbit.uid))
        assert len(second.catalog) == second.catalog[-1].metadata["start"]["scan_id"]
