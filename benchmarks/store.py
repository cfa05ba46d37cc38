"""What a store costs when it fills: writing, a search, and reading one run.

Runs of 100 events of a 640-wide array go through the journal and the upload to an
embedded server. With 10, 100 and all of them in the store it is measured how long a
search takes that finds one run, a list of the newest 20, and reading one run; the
last line is the ratio of the last row to the first. Times are medians, wall clock.

Run: ``python benchmarks/store.py [RUNS]``; 1000 take some minutes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from event_model import compose_run
from tiled.queries import Key

from acctwin.data import Run, Store, documents, summaries

EVENTS, WIDTH = 100, 640
READINGS = 7


def write(store: Store, number: int) -> tuple[str, float]:
    """Write one run to the journal; return its uid and the time [s]."""
    run = compose_run(metadata={"plan_name": "bench", "number": number})
    plain = {"source": "bench", "units": "m", "dtype_numpy": "<f8"}
    keys = {
        "x": {"dtype": "array", "shape": [WIDTH], **plain},
        "q": {"dtype": "number", "shape": [], **plain},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    data = np.random.default_rng(number).normal(size=(EVENTS, WIDTH))
    stamps = {"x": 1.0, "q": 1.0}
    events = [
        stream.compose_event(data={"x": row, "q": float(row[0])}, timestamps=stamps)
        for row in data
    ]
    stop = run.compose_stop()
    begun = time.perf_counter()
    store.journal("start", run.start_doc)
    store.journal("descriptor", stream.descriptor_doc)
    for event in events:
        store.journal("event", event)
    store.journal("stop", stop)
    return run.start_doc["uid"], time.perf_counter() - begun


def median(work: Callable[[int], Any]) -> float:
    """Return the median time of a piece of work [ms]."""
    times = []
    for number in range(READINGS):
        begun = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(times)


def search(store: Store, count: int) -> Callable[[int], None]:
    """Return a search by metadata that finds one run of so many."""

    def work(reading: int) -> None:
        wanted = (reading * 7919) % count
        found = store.catalog.search(Key("number") == wanted)
        if [run.start["number"] for run in found.values()] != [wanted]:
            raise RuntimeError(f"run {wanted} was not found, once")

    return work


def read(store: Store, uids: list[str]) -> Callable[[int], None]:
    """Return the reading of one whole run of those in the store."""

    def work(reading: int) -> None:
        uid = uids[(reading * 7919) % len(uids)]
        run = Run.from_documents(documents(store.catalog[uid]))
        if run["primary"]["x"].shape != (EVENTS, WIDTH):
            raise RuntimeError(f"run {uid} is not whole")

    return work


def size_of(folder: Path) -> float:
    """Return what the files of a folder hold [MB]."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def main(runs: int) -> None:
    """Fill a store in steps and print a table."""
    steps = [count for count in (10, 100, runs) if count <= runs]
    uids: list[str] = []
    rows: list[tuple[float, ...]] = []
    with Store.open("temporary") as store:
        _ = store.catalog  # its start is not in the figures
        for count in dict.fromkeys(steps):
            before, begun = len(uids), time.perf_counter()
            taken = [write(store, number) for number in range(before, count)]
            uids += [uid for uid, _ in taken]
            store.flush(3600)
            upload = (time.perf_counter() - begun) / len(taken)
            journal = statistics.median(seconds for _, seconds in taken)
            rows.append((
                journal * 1e3,
                upload * 1e3,
                median(search(store, count)),
                median(lambda _: summaries(store.catalog, limit=20)),
                median(read(store, uids)),
                size_of(store.folder.tiled) / count,
            ))
            line = (f"{value:10.1f}" for value in rows[-1])
            print(f"{count:6d} runs", *line, flush=True)
    ratio = (
        f"{last / first:10.2f}" for first, last in zip(rows[0], rows[-1], strict=True)
    )
    print(" " * 6 + "ratio", *ratio)


if __name__ == "__main__":
    names = ("journal", "stored", "search", "newest 20", "read one", "MB a run")
    print("ms a run   ", *(f"{name:>10}" for name in names))
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
