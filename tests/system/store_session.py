"""A session that measures and can be killed: run by the kill tests as a process.

``python store_session.py CATALOG RECORD STEPS HOLD [WAITING_BYTES]`` measures the
response of a corrector in so many steps with nothing but the RunEngine and a store.
Every document that the store has taken goes to the file RECORD, synced, a JSON line
each. At step HOLD it prints ``HOLD`` and the uid and goes on when it gets a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky import RunEngine

from acctwin.data import Store
from acctwin.errors import DataError

BPMS = 320


class Monitors:
    """Positions at 320 BPMs; every value tells to which reading it belongs."""

    name, parent = "bpms", None

    def __init__(self) -> None:
        self.reading = 0

    def describe(self) -> dict[str, Any]:
        plain = {"source": "t", "units": "m", "dtype_numpy": "<f8"}
        array = {"dtype": "array", "shape": [BPMS], **plain}
        number = {"dtype": "number", "shape": [], **plain}
        return {"bpms-x": array, "bpms-y": array, "bpms-number": number}

    def read(self) -> dict[str, Any]:
        self.reading += 1
        x = np.full(BPMS, self.reading / 3)
        x[7] = np.nan
        values = {"bpms-x": x, "bpms-y": -x, "bpms-number": float(self.reading)}
        return {k: {"value": v, "timestamp": time.time()} for k, v in values.items()}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    describe_configuration = read_configuration


class Record:
    """Writes down what was emitted, so that it survives any death."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a")

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        self.file.write(as_line(name, doc) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())


def as_line(name: str, doc: dict[str, Any]) -> str:
    """Return a document in JSON."""
    return json.dumps([name, doc], sort_keys=True, default=lambda array: array.tolist())


def measure(monitors: Monitors, steps: int, hold: int, restored: list[str]) -> Any:
    def put_back() -> Any:
        restored.append("corrector")
        yield from bps.null()

    @bpp.finalize_decorator(put_back)
    @bpp.run_decorator(md={"plan_name": "measure_response"})
    def plan() -> Any:
        for step in range(steps):
            yield from bps.trigger_and_read([monitors])
            if step == hold:
                say("HOLD")
                sys.stdin.readline()

    return plan()


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(
    catalog: str, record: str, steps: str, hold: str, waiting: str = "10000000000"
) -> None:
    engine = RunEngine({}, call_returns_result=True)
    restored: list[str] = []
    with Store.open(catalog, waiting_bytes=int(waiting)) as store:
        say("SERVICE", store._service.pid)
        engine.subscribe(store.journal)
        engine.subscribe(Record(Path(record)))
        plan = measure(Monitors(), int(steps), int(hold), restored)
        try:
            engine(plan)
        except DataError as error:
            say("FAILED", error)
        else:
            say("MEASURED")
        say("RESTORED", *restored)
        sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
