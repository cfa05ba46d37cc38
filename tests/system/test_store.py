"""From the RunEngine to Tiled and back, with servers that die on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted
from event_model import compose_run
from ophyd_async.core import (
    Array1D,
    StandardReadable,
    init_devices,
    soft_signal_r_and_setter,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.data import Journal, Run, Store, documents, read_journal, replay, summaries
from acctwin.data.journal import find_run_file
from acctwin.errors import DataError, UnknownName

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    # Raised inside databroker and its jinja templates, and by pandas for it.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:databroker.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:databroker.*"),
]
NAMES = [f"BPM{number}" for number in range(320)]


class Monitors(StandardReadable):
    """BPMs whose arrays and scalar all carry the number of the reading."""

    def __init__(self, name: str = "") -> None:
        self.count = 0.0
        self.x, _ = soft_signal_r_and_setter(
            Array1D[np.float64], units="m", getter=self._next
        )
        self.y, _ = soft_signal_r_and_setter(
            Array1D[np.float64], units="m", getter=lambda: np.full(320, -self.count)
        )
        self.short, _ = soft_signal_r_and_setter(
            Array1D[np.float64], getter=lambda: np.full(3, self.count) / 3
        )
        self.number, _ = soft_signal_r_and_setter(float, getter=lambda: self.count)
        self.names, _ = soft_signal_r_and_setter(Sequence[str], NAMES)
        # One after another: x counts, the others follow.
        self.add_readables([self.x], Format.UNCACHED_SIGNAL)
        self.add_readables([self.y, self.short], Format.UNCACHED_SIGNAL)
        self.add_readables([self.number], Format.HINTED_UNCACHED_SIGNAL)
        self.add_readables([self.names], Format.CONFIG_SIGNAL)
        super().__init__(name=name)

    def _next(self):
        self.count += 1
        x = np.full(320, self.count)
        x[7] = np.nan
        return x


@pytest.fixture(scope="module")
def engine():
    engine = RunEngine({"profile": "toy"}, call_returns_result=True)
    yield engine
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    engine._th.join(5)
    engine.loop.close()


@pytest.fixture(scope="module")
def bpms(engine):
    with init_devices():
        bpms = Monitors()
    return bpms


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def take(engine, store):
    """Return a function that runs a plan into a store and returns the uid."""

    def take(plan, into=store) -> str:
        token = engine.subscribe(into.journal)
        try:
            return engine(plan).run_start_uids[0]
        finally:
            engine.unsubscribe(token)

    return take


def measure(bpms, events: int = 5, between=bps.null, **metadata):
    @bpp.run_decorator(md={"plan_name": "measure", **metadata})
    def plan():
        for _ in range(events):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([bpms])
            yield from between()

    return plan()


def wait_for(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    pause, deadline = threading.Event(), time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        pause.wait(0.02)


def kill_service(store) -> None:
    """Kill the server and the uploader, as a crash would."""
    os.kill(store._service.pid, signal.SIGKILL)
    wait_for(lambda: not store._service.is_alive)


def assert_same(one: Run, other: Run) -> None:
    assert one.start == other.start
    assert one.stop == other.stop
    assert one.streams.keys() == other.streams.keys()
    for name, stream in one.streams.items():
        assert np.array_equal(stream.seq_num, other[name].seq_num)
        assert np.array_equal(stream.time, other[name].time)
        for key, column in stream.data.items():
            assert column.dtype == other[name][key].dtype
            assert column.tobytes() == other[name][key].tobytes()


def from_tiled(store, uid: str) -> Run:
    return Run.from_documents(documents(store.catalog[uid]))


def test_opening_does_not_wait_for_the_server(tmp_path):
    begun = time.perf_counter()
    with Store.open("temporary") as store:
        assert time.perf_counter() - begun < 1.0
        root = store.folder.root
    assert not root.exists()


def test_the_newest_run_is_in_the_catalog_bit_for_bit(take, bpms, store):
    uid = take(measure(bpms))
    assert store.catalog[-1].start["uid"] == uid
    assert store.catalog[uid[:8]].start["uid"] == uid
    kept = store.run(-1)
    assert kept.uid == uid
    assert_same(kept, from_tiled(store, uid))
    primary = from_tiled(store, uid)["primary"]
    assert np.isnan(primary["bpms-x"][:, 7]).all()
    assert primary.units("bpms-x") == "m"
    assert primary.config("bpms-names") == NAMES


def test_short_arrays_stay_numbers(take, bpms, store):
    uid = take(measure(bpms))
    short = store.catalog[uid]["primary"].read(["bpms-short"])["bpms-short"].values
    assert short.dtype == np.float64
    assert np.array_equal(short[:, 0] * 3, store.run(uid)["primary"]["bpms-number"])


def test_a_stream_of_more_columns_than_a_table_takes(store):
    run = compose_run(metadata={"plan_name": "wide"})
    number = {"dtype": "number", "dtype_numpy": "<f8", "shape": [], "source": "t"}
    keys = {f"bpm{n}": number for n in range(600)}  # each with its time stamp
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    store.journal("start", run.start_doc)
    store.journal("descriptor", stream.descriptor_doc)
    for step in range(2):
        data = {key: float(step) for key in keys}
        event = stream.compose_event(data=data, timestamps=dict.fromkeys(keys, 1.0))
        store.journal("event", event)
    store.journal("stop", run.compose_stop())
    uid = run.start_doc["uid"]
    assert_same(store.run(uid), from_tiled(store, uid))


def test_a_run_is_found_by_its_metadata(take, bpms, store):
    from tiled.queries import Key

    uid = take(measure(bpms, plan_name="special", profile="ring one"))
    found = store.catalog.search(Key("plan_name") == "special")
    assert [run.start["uid"] for run in found.values()] == [uid]
    (line,) = summaries(store.catalog, plan_name="special", profile="ring one")
    assert (line.uid, line.events, line.exit_status) == (uid, 5, "success")
    newest = summaries(store.catalog, limit=2)
    assert newest[0].uid == uid and newest[0].time > newest[1].time
    assert summaries(store.catalog, plan_name="special", until=line.time) == []
    assert len(summaries(store.catalog, since=line.time)) == 1


def test_databroker_reads_the_same_runs(take, bpms, store):
    uid = take(measure(bpms, plan_name="for databroker"))
    run = store.catalog[uid]
    table = store.db[-1].table()
    assert type(store.catalog[uid]) is type(run), "databroker changed the catalog"
    primary = store.run(uid)["primary"]
    assert table["bpms-number"].tolist() == primary["bpms-number"].tolist()
    assert np.array_equal(np.stack(table["bpms-x"]), primary["bpms-x"], equal_nan=True)
    assert store.db[uid].start["uid"] == uid
    (header,) = store.db(plan_name="for databroker")
    assert header.stop["exit_status"] == "success"


def test_a_run_feeds_a_live_table(take, bpms, store):
    from bluesky.callbacks import LiveTable

    uid = take(measure(bpms))
    lines: list[str] = []
    replay(store.catalog[uid], LiveTable(["bpms-number"], out=lines.append))
    rows = [line for line in lines if line.lstrip("| ")[:1].isdigit()]
    assert len(rows) == 5


def test_after_a_pause_arrays_and_scalars_belong_together(engine, bpms, store):
    pauses = iter([False, True, False, False, False, False])

    def pause_once():
        if next(pauses):
            yield from bps.pause()

    token = engine.subscribe(store.journal)
    with pytest.raises(RunEngineInterrupted):
        engine(measure(bpms, between=pause_once))
    uid = engine.resume().run_start_uids[0]
    engine.unsubscribe(token)
    kept, stored = store.run(uid), from_tiled(store, uid)
    assert_same(kept, stored)
    events = [doc for name, doc in documents(store.catalog[uid]) if name == "event"]
    assert len(events) > len(stored["primary"]) == 5, "no event was repeated"
    for event in events:
        assert event["data"]["bpms-x"][0] == event["data"]["bpms-number"]
    x, number = (stored["primary"][key] for key in ("bpms-x", "bpms-number"))
    assert np.array_equal(x[:, 0], number)


def test_a_run_is_readable_while_it_goes_on(take, bpms, store):
    seen = []

    def look():
        run = store.run(-1)
        seen.append((run.stop, len(run["primary"])))
        yield from bps.null()

    take(measure(bpms, events=3, between=look))
    assert seen == [(None, 1), (None, 2), (None, 3)]


def test_an_unknown_run_is_said_to_be_unknown(store):
    with pytest.raises(UnknownName, match="no run is called"):
        store.run("00000000-nobody")


def test_the_server_dies_in_a_run_and_nothing_is_lost_or_doubled(take, bpms, store):
    store.flush()
    before = len(store.catalog)
    steps = iter(range(400))

    def kill_once():
        if next(steps) == 300:
            # Some of the run is in Tiled by now: batches are of 256 events.
            uid = store.journal.uids[-1]
            wait_for(lambda: uid in store.catalog and "primary" in store.catalog[uid])
            kill_service(store)
        yield from bps.null()

    begun = time.perf_counter()
    uid = take(measure(bpms, events=400, between=kill_once))
    assert time.perf_counter() - begun < 60
    stored = from_tiled(store, uid)
    assert len(stored["primary"]) == 400
    assert_same(store.run(uid), stored)
    table = store.catalog[uid]["primary"].read(["seq_num"])
    assert table["seq_num"].values.tolist() == list(range(1, 401))
    assert len(store.catalog) == before + 1


def test_a_part_of_a_run_is_replaced(take, bpms, store):
    from bluesky_tiled_plugins import TiledWriter

    with Store.open(store.folder.root) as other:
        kill_service(other)
        uid = take(measure(bpms, events=8), into=other)
        path = find_run_file(other.journal.folder, uid)
        assert path is not None
        writer = TiledWriter(store.catalog, batch_size=2, max_array_size=0)
        for name, doc in list(read_journal(path))[:6]:
            writer(name, dict(doc))
        assert not store.catalog[uid].metadata.get("stop")
        other.flush()
        assert_same(other.run(uid), from_tiled(other, uid))


def test_two_sessions_share_a_folder(take, bpms, store):
    with Store.open(store.folder.root) as other:
        uid = take(measure(bpms), into=other)
        assert other.catalog[uid].stop["exit_status"] == "success"
        assert store.catalog[uid].stop["exit_status"] == "success"
        assert store.folder.server()["pid"] == store._service.pid
        with pytest.raises(DataError, match="already open"):
            Store.open(store.folder.root, session_id=other.session_id)
    assert not other.journal.folder.exists()


def test_a_session_takes_over_the_server_that_died(take, bpms, tmp_path):
    with Store.open(tmp_path) as first, Store.open(tmp_path) as second:
        wait_for(lambda: first.folder.server())
        owner, heir = sorted(
            (first, second),
            key=lambda store: store._service.pid != first.folder.server()["pid"],
        )
        uri = first.folder.server()["uri"]
        kill_service(owner)
        wait_for(lambda: first.folder.server()["pid"] == heir._service.pid)
        assert first.folder.server()["uri"] == uri, "clients would lose the server"
        uid = take(measure(bpms), into=owner)
        assert owner.catalog[uid].stop["exit_status"] == "success"


def test_runs_of_a_dead_session_are_adopted(take, bpms, store):
    dead = store.folder.journals / "died"
    dead.mkdir()
    path = find_run_file(store.journal.folder, take(measure(bpms)))
    assert path is not None
    start, *rest = read_journal(path)
    uid = str(uuid.uuid4())
    journal = Journal(dead)
    journal("start", {**start[1], "uid": uid})
    journal("descriptor", {**rest[0][1], "run_start": uid})
    for name, doc in rest[1:4]:
        journal(name, doc)
    journal.close()
    wait_for(lambda: not dead.exists())
    run = from_tiled(store, uid)
    assert run.stop is not None
    assert run.stop["exit_status"] == "abort"
    assert run.stop["num_events"] == {"primary": 3}
    assert len(run["primary"]) == 3


def test_a_server_that_is_away_costs_nothing_but_waiting(
    take, bpms, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("ACCTWIN_DATA", str(tmp_path))
    store = Store.open("http://127.0.0.1:9?api_key=secret")
    try:
        begun = time.perf_counter()
        uid = take(measure(bpms, events=20), into=store)
        assert time.perf_counter() - begun < 5.0
        assert len(store.run(uid)["primary"]) == 20
        with pytest.raises(DataError, match=f"safe in {tmp_path}.*{uid}"):
            store.flush(timeout_s=0.5)
    finally:
        store.close(timeout_s=0.5)
    assert "next session on this store uploads" in caplog.text
    assert "secret" not in caplog.text
    (left,) = Path(tmp_path).rglob("*.done")
    assert left.stem == uid


def test_ctrl_c_is_not_for_the_service(store):
    os.kill(store._service.pid, signal.SIGINT)
    store.flush()
    assert store._service.is_alive


def test_files_of_a_server_that_was_killed_are_in_nobodys_way(take, bpms, store):
    # Killed between writing an array's files and entering them: the files are there,
    # the entry is not, and Tiled cannot make them again.
    template = take(measure(bpms))
    store.flush()
    uid = "22222222-3333-4444-5555-666666666666"
    arrays = store.folder.arrays
    shutil.copytree(arrays / template, arrays / uid)
    for name, doc in read_journal(find_run_file(store.journal.folder, template)):
        copy = {key: uid if value == template else value for key, value in doc.items()}
        store.journal(name, copy)
    store.flush()
    stored = from_tiled(store, uid)
    assert stored.uid == uid
    for name, stream in store.run(template).streams.items():
        for key, column in stream.data.items():
            assert column.tobytes() == stored[name][key].tobytes()


def test_a_run_that_tiled_refuses_does_not_hold_up_the_others(take, bpms, store):
    # An event without a number: no catalogue of runs can hold it.
    broken = "11111111-2222-3333-4444-555555555555"
    start = {"uid": broken, "time": time.time(), "plan_name": "broken"}
    store.journal("start", start)
    store.journal(
        "descriptor",
        {"uid": "d", "run_start": broken, "name": "primary", "time": 0.0,
         "data_keys": {"a": {"dtype": "number", "shape": [], "source": "t"}}},
    )  # fmt: skip
    store.journal("event", {"descriptor": "d", "time": 0.0, "data": {"a": 1.0}})
    store.journal("stop", {"uid": "s", "run_start": broken, "time": 1.0})
    uid = take(measure(bpms))
    wait_for(lambda: uid in store.catalog)
    with pytest.raises(DataError, match=f"Tiled refused 1 runs.*safe in .*{broken}"):
        store.flush()
    path = find_run_file(store.journal.folder, broken)
    assert path is not None and path.suffix == ".refused"
    path.unlink()
    assert store.catalog[-1].start["uid"] == uid


def test_a_killed_session_loses_only_what_it_had_not_measured(store):
    code = f"""
import os, time
from acctwin.data import Store
store = Store.open({str(store.folder.root)!r}, session_id="killed")
keys = {{"a": {{"dtype": "number", "shape": [], "source": "t"}}}}
journal = store.journal
journal("start", {{"uid": "{"k" * 36}", "time": time.time(), "plan_name": "killed"}})
journal("descriptor", {{"uid": "kd", "run_start": "{"k" * 36}", "name": "primary",
    "time": time.time(), "data_keys": keys, "configuration": {{}}, "hints": {{}},
    "object_keys": {{}}}})
journal("event", {{"uid": "ke", "descriptor": "kd", "seq_num": 1, "data": {{"a": 2.5}},
    "timestamps": {{"a": 0.5}}, "time": time.time(), "filled": {{}}}})
os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", code])
    assert killed.returncode == -signal.SIGKILL
    home = store.folder.journals / "killed"
    wait_for(lambda: not home.exists() or any(home.glob("uploaded/*")))
    run = from_tiled(store, "k" * 36)
    assert run["primary"]["a"].tolist() == [2.5]
    assert run.stop is not None and run.stop["exit_status"] == "abort"
