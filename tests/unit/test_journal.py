"""The journal keeps every document exactly, and ends the run when it cannot."""

from __future__ import annotations

import errno
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from event_model import DocumentNames, compose_run, schema_validators
from ophyd_async.core import (
    Array1D,
    StandardReadable,
    init_devices,
    soft_signal_r_and_setter,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.data import Journal, Run, read_journal
from acctwin.data.journal import JournalReader, run_files
from acctwin.data.orphans import adopt_orphan
from acctwin.data.room import Backlog
from acctwin.errors import DataError


class Monitors(StandardReadable):
    """320 positions in both planes; the horizontal ones hold a NaN."""

    def __init__(self, name: str = "") -> None:
        self.reads = 0
        self.x, _ = soft_signal_r_and_setter(Array1D[np.float64], getter=self._orbit)
        self.y, _ = soft_signal_r_and_setter(Array1D[np.float64], getter=self._orbit)
        self.add_readables([self.x, self.y], Format.UNCACHED_SIGNAL)
        super().__init__(name=name)

    def _orbit(self):
        self.reads += 1
        orbit = np.random.default_rng(self.reads).normal(size=320)
        orbit[5] = np.nan
        return orbit


@pytest.fixture
def engine():
    engine = RunEngine({}, call_returns_result=True)
    yield engine
    engine.loop.call_soon_threadsafe(engine.loop.stop)
    engine._th.join(5)
    engine.loop.close()


@pytest.fixture
def monitors(engine):
    with init_devices():
        monitors = Monitors()
    return monitors


def measure(detector, events: int = 3):
    @bpp.run_decorator(md={"plan_name": "measure"})
    def plan():
        for _ in range(events):
            yield from bps.trigger_and_read([detector])

    return plan()


def documents_of_run(events: int = 3):
    """Yield a run with one array and one scalar per event."""
    run = compose_run(metadata={"plan_name": "made up"})
    yield "start", run.start_doc
    keys = {
        "x": {"dtype": "array", "shape": [4], "source": "t", "units": "m"},
        "n": {"dtype": "integer", "shape": [], "source": "t"},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    yield "descriptor", stream.descriptor_doc
    for number in range(events):
        data = {"x": np.full(4, float(number)), "n": number}
        yield "event", stream.compose_event(data=data, timestamps={"x": 1.0, "n": 1.0})
    yield "stop", run.compose_stop()


def write(folder: Path, documents) -> Path:
    journal = Journal(folder)
    for name, doc in documents:
        journal(name, doc)
    journal.close()
    (path,) = run_files(folder)
    return path


def test_documents_of_a_real_run_come_back_exactly(engine, monitors, tmp_path):
    journal, seen = Journal(tmp_path), []
    engine.subscribe(lambda name, doc: seen.append((name, doc)))
    engine.subscribe(journal)
    (uid,) = engine(measure(monitors)).run_start_uids
    path = tmp_path / f"{uid}.done"
    stored = list(read_journal(path))
    assert journal.uids == (uid,)
    assert journal.error is None
    assert [name for name, _ in stored] == [name for name, _ in seen]
    for (name, doc), (_, original) in zip(stored, seen, strict=True):
        if name != "event":
            assert doc == original
            continue
        for key, value in original["data"].items():
            assert doc["data"][key].dtype == value.dtype
            assert doc["data"][key].tobytes() == value.tobytes()


def test_an_event_is_on_disk_before_the_next_one(tmp_path):
    journal = Journal(tmp_path)
    for count, (name, doc) in enumerate(documents_of_run(), 1):
        journal(name, doc)
        (path,) = run_files(tmp_path)
        assert len(list(read_journal(path))) == count
        assert path.suffix == (".done" if name == "stop" else ".run")


@pytest.mark.parametrize("lost", [1, 5, 40])
def test_a_torn_last_frame_is_left_out(tmp_path, lost):
    path = write(tmp_path, documents_of_run())
    path.write_bytes(path.read_bytes()[:-lost])
    assert [name for name, _ in read_journal(path)][-1] == "event"


def test_zeros_at_the_end_are_a_torn_frame(tmp_path):
    path = write(tmp_path, documents_of_run())
    path.write_bytes(path.read_bytes() + bytes(100))
    assert [name for name, _ in read_journal(path)][-1] == "stop"


def test_a_damaged_frame_amid_others_is_an_error(tmp_path):
    path = write(tmp_path, documents_of_run())
    content = bytearray(path.read_bytes())
    content[12] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged at byte 0"):
        list(read_journal(path))


def test_a_reader_follows_a_growing_file(tmp_path):
    journal, reader = Journal(tmp_path), None
    followed = []
    for name, doc in documents_of_run():
        journal(name, doc)
        (path,) = run_files(tmp_path)
        reader = reader or JournalReader(path)
        reader.path = path
        followed += [found for found, _ in reader.new_documents()]
    assert followed == ["start", "descriptor", "event", "event", "event", "stop"]


def test_an_orphan_gets_a_valid_stop(tmp_path):
    torn = write(tmp_path, list(documents_of_run())[:-1])
    torn.write_bytes(torn.read_bytes()[:-3])
    run = Run.from_documents(read_journal(adopt_orphan(torn)))
    assert run.stop is not None
    schema_validators[DocumentNames.stop].validate(dict(run.stop))
    assert run.stop["exit_status"] == "abort"
    assert "the session ended before the run did" in run.stop["reason"]
    assert run.stop["num_events"] == {"primary": 2}
    assert len(run["primary"]) == 2


def test_an_orphan_without_a_start_is_an_error(tmp_path):
    path = tmp_path / "nothing.run"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no start document"):
        adopt_orphan(path)


class FullDisk:
    """A file on a disk that is full after so many bytes, as long as it is."""

    def __init__(self, file, room: int, reserve: Path | None = None) -> None:
        self.file, self.room, self.reserve = file, room, reserve

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, frame: bytes) -> int:
        if self.reserve is not None and not self.reserve.exists():
            self.room = len(frame)  # the reserve was given up
        written = self.file.write(frame[: self.room])
        self.room -= written
        if written < len(frame) and written == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written


@pytest.fixture
def full_disk(engine, monitors, tmp_path):
    """Measure until the disk is full after one event; return the journal."""
    journal = Journal(tmp_path)
    engine.subscribe(journal)
    restored = []

    def fill_disk(name, doc):
        if name == "descriptor":
            (uid,) = journal.open_uids
            reserve = tmp_path / "reserve"
            journal._files[uid] = FullDisk(journal._files[uid], 8000, reserve)

    engine.subscribe(fill_disk)

    def restore():
        restored.append(True)
        yield from bps.null()

    with pytest.raises(DataError, match=rf"{tmp_path}: .*[Nn]o space left"):
        engine(bpp.finalize_wrapper(measure(monitors, events=50), restore))
    assert restored == [True]
    return journal


def test_a_full_disk_ends_the_run_and_the_plan_puts_things_back(full_disk, monitors):
    assert monitors.reads < 2 * 10
    assert isinstance(full_disk.error, DataError)


def test_a_run_on_a_full_disk_is_closed_as_failed(full_disk, tmp_path):
    assert full_disk.open_uids == ()
    (path,) = run_files(tmp_path)
    assert path.suffix == ".done"
    run = Run.from_documents(read_journal(path))
    assert len(run["primary"]) == 1
    assert run.stop is not None
    schema_validators[DocumentNames.stop].validate(dict(run.stop))
    assert run.stop["exit_status"] == "fail"
    assert "o space left" in run.stop["reason"]
    assert run.stop["num_events"] == {"primary": 1}


def test_nothing_follows_a_document_that_was_not_written(tmp_path):
    journal = Journal(tmp_path)
    start, descriptor, *events, stop = documents_of_run()
    for name, doc in (start, descriptor, events[0]):
        journal(name, doc)
    with pytest.raises(DataError, match="array of Python objects"):
        journal("event", {**events[1][1], "data": {"x": np.array([None])}})
    with pytest.raises(DataError, match="a document before it could not be written"):
        journal(*events[2])
    journal(*stop)
    (path,) = run_files(tmp_path)
    found = list(read_journal(path))
    assert [name for name, _ in found] == ["start", "descriptor", "event", "stop"]
    # The plan went on, so Bluesky said success: it was none.
    assert found[-1][1]["exit_status"] == "fail"
    assert "Python objects" in found[-1][1]["reason"]
    assert found[-1][1]["num_events"] == {"primary": 1}


def test_a_run_does_not_start_without_room_for_its_end(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(DataError, match="start document .*No space left"):
        journal(*next(documents_of_run()))
    assert journal.uids == () and run_files(tmp_path) == []


def test_more_than_may_wait_ends_the_run(tmp_path):
    journal = Journal(tmp_path / "one", Backlog(tmp_path, limit=1500))
    *first, stop = documents_of_run()
    for document in first:
        journal(*document)
    start, descriptor, *events, last = documents_of_run(20)
    with pytest.raises(DataError, match="0.0 MB wait for the Tiled server.*limit is"):
        for document in (start, descriptor, *events):
            journal(*document)
    journal(*last)
    journal(*stop)
    assert [path.suffix for path in run_files(tmp_path / "one")] == [".done"] * 2
    with pytest.raises(DataError, match="start document .*wait for the Tiled server"):
        for document in documents_of_run():
            journal(*document)
    for path in run_files(tmp_path / "one"):
        path.unlink()  # uploaded
    for document in documents_of_run():
        journal(*document)


def test_a_value_without_a_data_type_is_refused(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(DataError, match="start document .* PosixPath"):
        journal("start", {"uid": "u", "time": 1.0, "where": tmp_path})


def test_an_array_of_objects_is_refused(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(DataError, match="array of Python objects"):
        journal("start", {"uid": "u", "time": 1.0, "a": np.array([None, 1])})


def test_a_document_of_an_unknown_run_is_refused(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(DataError, match="no start document here"):
        journal("event", {"descriptor": "nobody's", "data": {}})
