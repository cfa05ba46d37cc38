"""Runs are found by what physicists ask for, through Tiled and databroker."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from bluesky.plans import count

import acctwin
from acctwin import plans
from acctwin.data import dataset, documents, search
from acctwin.data.runs import Run
from acctwin.errors import PlanError
from acctwin.workflows.repeat import repeat

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

COMMAND = "from acctwin.cli.main import main; main()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def session(folder):
    with acctwin.open_session(
        "fodo", seed=1, catalog=folder, operator="ada", progress=False
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def uids(session):
    return measured(session)


def measured(session):
    machine = session.machine
    tune = session.run(plans.measure_tune(machine))
    response = session.run(
        plans.measure_orbit_response(
            machine, correctors=[machine.hcm.select("C0[1-3]/*")]
        )
    )
    session.run(plans.promote_reference(machine, "orbit_response", response.uid))
    session.set("C05/VCM", 1e-5)
    stepped = session.store.run(-1).uid
    return {"tune": tune, "response": response.uid, "stepped": stepped}


def found(session, **wanted) -> set[str]:
    return set(search(session.catalog, **wanted))


def test_by_the_start_document(session, uids):
    assert found(session, plan_name="measure_tune") == {uids["tune"].uid}
    assert len(found(session, profile="fodo", mode="physics", operator="ada")) == 4
    assert found(session, operator="nobody") == set()
    start = session.store.run(uids["response"]).start["time"]
    assert uids["tune"].uid not in found(session, since=start)
    assert found(session, until=start) == {uids["tune"].uid}


def test_by_what_moved(session, uids):
    assert found(session, device="C02/HCM") == {uids["response"]}
    assert found(session, device="C05/VCM") == {uids["stepped"]}
    assert found(session, device="C07/VCM") == set()


def test_by_the_result(session, uids):
    qx = uids["tune"].qx
    inside = {"tunes_q_0": (qx - 1e-3, qx + 1e-3)}
    assert found(session, results=inside) == {uids["tune"].uid}
    assert found(session, results={"tunes_q_0": (qx + 0.1, qx + 0.2)}) == set()


def test_by_words(session, uids):
    assert uids["stepped"] in found(session, text="C05/VCM")
    assert found(session, text="measure_tune ada") == {uids["tune"].uid}
    assert found(session, text='no "such words') == set()


def test_by_what_it_is_derived_from(session, uids):
    response = search(session.catalog, derived_from=uids["response"])
    plan_names = [run.metadata["start"]["plan_name"] for run in response.values()]
    assert "promote_reference" in plan_names or plan_names == []


def test_databroker_finds_the_same(session, uids):
    db, uid = session.db, uids["response"]
    assert db[uid].start["uid"] == db[uid[:8]].start["uid"] == uid
    scan_id = db[uid].start["scan_id"]
    assert db[scan_id].start["uid"] == uid
    assert db[-1].start["uid"] == uids["stepped"]
    header = db[uid]
    assert header.stop["exit_status"] == "success"
    assert {"primary", "baseline", "result"} <= set(header.stream_names)
    assert "bpms_x" in header.fields()
    table = header.table()
    stored = session.store.run(uid)["primary"]
    assert np.array_equal(table["step_offset"].to_numpy(), stored["step_offset"])
    (tunes,) = db(plan_name="measure_tune")
    assert tunes.start["uid"] == uids["tune"].uid


def test_a_dataset_of_the_stored_run(session, uids):
    run = Run.from_documents(documents(session.catalog[uids["response"]]))
    data = dataset(run)
    machine = session.machine
    assert data["bpms_x"].attrs["units"] == "m"
    assert data["bpms"].values.tolist() == list(machine.bpms.names)
    assert np.array_equal(data["bpms_s"], machine.bpms.s)
    assert np.array_equal(
        data["bpms_x"], session.store.run(run.uid)["primary"]["bpms_x"]
    )


def command(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_from_the_command_line(session, uids, folder):
    session.store.flush()
    where = ("--catalog", str(folder))
    listed = json.loads(command("runs", "--device", "C02/HCM", "--json", *where))
    assert [run["uid"] for run in listed] == [uids["response"]]
    told = json.loads(command("data", "show", uids["tune"].uid[:8], "--json", *where))
    assert told["run"]["plan"] == "measure_tune"
    assert told["run"]["operator"] == "ada"
    assert told["results"]["tunes_q_0"] == pytest.approx(uids["tune"].qx)
    assert told["setpoints"]["quadrupoles_strength"] == 32
    words = command("data", "show", uids["response"], *where)
    assert "C01/HCM" in words
    assert "accelerator-toolbox: 0." in words


def test_a_run_is_repeated():
    with acctwin.open_session(
        "fodo", seed=1, catalog="temporary", progress=False
    ) as session:
        uids = measured(session)
        assert session.get("C05/VCM") == pytest.approx(1e-5)
        first = session.store.run(uids["tune"].uid)
        again = repeat(session, first.uid)
        assert again.qx == pytest.approx(uids["tune"].qx, abs=3e-4)
        last = session.store.run(-1)
        assert last.start["derived_from"] == [first.uid]
        assert last.start["call"] == first.start["call"]
        response = repeat(session, uids["response"])
        assert response.actuators == ("C01/HCM", "C02/HCM", "C03/HCM")
        assert session.get("C05/VCM") == 0.0, "as before that run"
        stepped = session.store.run(uids["stepped"])
        repeat(session, stepped.uid)
        assert session.get("C05/VCM") == pytest.approx(1e-5)
        with pytest.raises(PlanError, match="does not say how its plan was called"):
            repeat(session, session.run(bare(session.machine)))


def bare(machine):
    uid = yield from count([machine.tune])
    return uid


@pytest.mark.long
def test_a_run_is_repeated_from_the_command_line(session, uids, folder):
    session.store.flush()
    where = ("--catalog", str(folder))
    told = json.loads(command("data", "repeat", uids["tune"].uid[:8], "--json", *where))
    then, now = told["results"]["tunes_q_0"]
    assert then == pytest.approx(uids["tune"].qx)
    assert now == pytest.approx(then, abs=3e-4)
    assert told["repeats"] == uids["tune"].uid
