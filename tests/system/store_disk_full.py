"""Fills a small disk in the middle of a measurement, and makes room again."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from bluesky import RunEngine
from store_session import Monitors, Record, as_line, measure, say

from acctwin.data import Store, documents
from acctwin.data.waiting import waiting
from acctwin.errors import DataError


def main(disk: str) -> None:
    engine = RunEngine({}, call_returns_result=True)
    root, ballast = Path(disk) / "store", Path(disk) / "ballast"
    record = Path("/dev/shm") / f"acctwin-{Path(disk).name}"
    with Store.open(root) as store:
        engine.subscribe(store.journal)
        engine.subscribe(Record(record))
        monitors = Monitors()
        engine(measure(monitors, 10, 10, []))
        store.flush()
        # Room for some hundred steps.
        fill(ballast, leave=1_000_000)
        restored: list[str] = []
        try:
            engine(measure(monitors, 1000, 1000, restored))
        except DataError as error:
            assert "No space left" in str(error), error
        else:
            raise AssertionError("the run went on without a disk")
        assert restored == ["corrector"]
        assert not store.journal.open_uids, "the run was not closed"
        # Neither can the server write; that is not the run's fault.
        assert "only 0.0 MB are free" in said(store), said(store)
        os.truncate(ballast, ballast.stat().st_size - 100_000)  # room for its log
        log = store.journal.folder / "service.log"
        assert store.wait(lambda: "disk is full" in log.read_text(), 60)
        ballast.unlink()
        engine(measure(monitors, 20, 20, []))
        store.flush()
        check(store, record)
    record.unlink()
    say("ALL IS WELL")


def said(store: Store) -> str:
    """Return what keeps runs from Tiled."""
    return "; ".join(item.error for item in waiting(store.folder))


def fill(path: Path, leave: int) -> None:
    """Write a file until the disk is full, then make it smaller."""
    size = 0
    with path.open("wb", buffering=0) as file:
        try:
            while written := file.write(bytes(1_000_000)):
                size += written
        except OSError:
            file.truncate(size - leave)


def check(store: Store, record: Path) -> None:
    """Compare what is in Tiled with what was emitted."""
    emitted = [json.loads(line) for line in record.read_text().splitlines()]
    for number, run in enumerate(store.catalog.values()):
        uid = run.start["uid"]
        own = {uid, *(d["uid"] for _, d in emitted if d.get("run_start") == uid)}
        wanted = [
            json.dumps([name, doc], sort_keys=True)
            for name, doc in emitted
            if own & {doc.get("uid"), doc.get("run_start"), doc.get("descriptor")}
        ]
        kept = [as_line(name, doc) for name, doc in documents(run)]
        status = json.loads(kept[-1])[1]["exit_status"]
        if number == 1:
            assert status == "fail"
            assert "No space left" in json.loads(kept[-1])[1]["reason"]
            assert kept[:-1] == wanted[:-1]
        else:
            assert status == "success"
            assert kept == wanted
    assert number == 2, number


if __name__ == "__main__":
    main(*sys.argv[1:])
