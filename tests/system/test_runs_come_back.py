"""What a session has measured comes back from Tiled."""

from __future__ import annotations

import numpy as np
import pytest

import acctwin
from acctwin import plans
from acctwin.data import replay
from acctwin.errors import UnknownName
from acctwin.plans.response import analyse

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session("fodo", seed=1, catalog="temporary") as opened:
        yield opened


@pytest.fixture(scope="module")
def measured(session):
    return session.run(plans.measure_orbit_response(session.machine))


def test_runs_come_back_by_uid_by_index_and_by_search(session, measured):
    from tiled.queries import Key

    orbit = session.run(plans.measure_orbit(session.machine))
    assert session.catalog[-1].metadata["start"]["uid"] == orbit.uid
    assert session.catalog[orbit.uid].metadata["start"]["plan_name"] == "measure_orbit"
    found = session.catalog.search(Key("plan_name") == "measure_orbit_response")
    assert measured.uid in list(found)
    assert orbit.uid not in list(found)
    assert session.db[-1].start["uid"] == orbit.uid
    assert len(session.db[orbit.uid].table()) == 1
    with pytest.raises(UnknownName):
        session.store.run("0000000000")


def test_a_stored_run_gives_the_same_numbers(session, measured):
    assert session.catalog  # the run is in Tiled now
    again = analyse(session.store.run(measured.uid))
    assert np.array_equal(again.matrix, measured.matrix)
    assert again.monitors == measured.monitors


def test_a_stored_run_is_replayed_into_any_callback(session, measured):
    seen: list[str] = []
    replay(session.catalog[measured.uid], lambda name, doc: seen.append(name))
    assert seen[0] == "start"
    assert seen[-1] == "stop"
    events = 2 * len(measured.actuators)
    assert seen.count("event") == events + 2 + 1, "primary, baseline, result"


def test_start_documents_say_all(session, measured):
    start = session.catalog[measured.uid].metadata["start"]
    assert start["profile"] == "fodo"
    assert start["mode"] == "physics"
    assert start["backends"] == ["sim"]
    assert start["energy"] == pytest.approx(1.5e9)
    assert len(start["profile_hash"]) == len(start["lattice_hash"]) == 64
    assert start["versions_of"]["accelerator-toolbox"]
    assert start["plan_args"]["method"] == "bipolar"
    assert start["operator"]
    baseline = session.store.run(measured.uid)["baseline"]
    assert baseline["quadrupoles_strength"].shape == (2, 32)
    assert baseline.units("quadrupoles_strength") == "1/m^2"
