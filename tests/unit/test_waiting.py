"""What waits for Tiled is counted as it is in the files."""

from __future__ import annotations

import shutil
import time
from collections import namedtuple

import pytest
from event_model import compose_run

from acctwin.data.folders import FileLock, StoreFolder, write_json
from acctwin.data.frames import count_frames
from acctwin.data.journal import Journal, run_files
from acctwin.data.room import RESERVE_BYTES, Backlog, Reserve, low_disk
from acctwin.data.waiting import waiting
from acctwin.errors import DataError


@pytest.fixture
def folder(tmp_path) -> StoreFolder:
    return StoreFolder(tmp_path)


def take(journal: Journal, *, stopped: bool = True) -> None:
    run = compose_run(time=time.time() - 100.0)
    journal("start", run.start_doc)
    if stopped:
        journal("stop", run.compose_stop())


def test_nothing_waits(folder):
    assert waiting(folder) == []


def test_runs_of_all_sessions_are_counted(folder):
    ours, theirs = (Journal(folder.journals / name) for name in ("ours", "theirs"))
    take(ours)
    take(ours, stopped=False)
    take(theirs)
    (refused,) = run_files(theirs.folder)
    refused.rename(refused.with_suffix(".refused"))
    write_json(theirs.folder / "status.json", {"refused": {"uid": "no number"}})
    lock = FileLock(ours.folder / "session.lock")
    assert lock.acquire()
    first, second = waiting(folder)
    assert (first.session, first.is_open, first.runs) == ("ours", True, 1)
    assert (first.open_runs, first.refused, first.documents) == (1, 0, 3)
    assert first.age_s == pytest.approx(100, abs=30)
    assert first.bytes == sum(path.stat().st_size for path in run_files(ours.folder))
    assert first.is_stuck
    assert (second.is_open, second.runs, second.refused) == (False, 0, 1)
    assert second.error == "no number" and not second.is_stuck
    lock.release()
    ours.close()


def test_an_open_run_waits_for_nothing_unless_its_session_is_dead(folder):
    journal = Journal(folder.journals / "ours")
    take(journal, stopped=False)
    lock = FileLock(journal.folder / "session.lock")
    assert lock.acquire()
    assert not waiting(folder)[0].is_stuck
    lock.release()
    assert waiting(folder)[0].is_stuck
    journal.close()


def test_a_torn_frame_is_not_counted(folder):
    journal = Journal(folder.journals / "ours")
    take(journal)
    (path,) = run_files(journal.folder)
    assert count_frames(path) == 2
    path.write_bytes(path.read_bytes()[:-1])
    assert count_frames(path) == 1
    assert count_frames(path.with_name("gone")) == 0


def test_a_reserve_takes_room_and_gives_it_back(tmp_path):
    reserve = Reserve(tmp_path / "reserve")
    reserve.take()
    reserve.take()
    assert reserve.path.stat().st_size == RESERVE_BYTES
    reserve.free()
    reserve.free()
    assert not reserve.path.exists()


def test_a_backlog_forgets_what_was_uploaded(tmp_path):
    (tmp_path / "s").mkdir()
    backlog = Backlog(tmp_path, limit=100)
    backlog.add(60)
    (tmp_path / "s/a.done").write_bytes(bytes(60))
    with pytest.raises(DataError, match="wait for the Tiled server"):
        backlog.add(60)
    (tmp_path / "s/a.done").rename(tmp_path / "s/a.uploaded")
    backlog.add(60)


def test_a_disk_that_is_nearly_full_is_said(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1e9, 1e9, 2e6))
    assert low_disk(tmp_path) == (
        f"only 2.0 MB are free on the disk of {tmp_path}, 10 MB are needed"
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1e9, 0, 1e9))
    assert low_disk(tmp_path) == ""
