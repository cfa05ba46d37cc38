"""Fixtures of the unit tests: a RunEngine and a toy machine on it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import ToyEngine, toy_machine


class Recorder:
    """Runs plans and keeps the documents of the last run."""

    def __init__(self) -> None:
        self.RE = RunEngine({}, call_returns_result=True)
        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.RE.subscribe(self._keep)

    def _keep(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self.documents.clear()
        self.documents.append((name, doc))

    def __call__(self, plan: Any) -> Any:
        return self.RE(plan).plan_result

    def events(self, stream: str = "primary") -> list[dict[str, Any]]:
        uids = {
            d["uid"]
            for n, d in self.documents
            if n == "descriptor" and d["name"] == stream
        }
        return [
            d for n, d in self.documents if n == "event" and d["descriptor"] in uids
        ]

    @property
    def start(self) -> dict[str, Any]:
        return self.documents[0][1]

    @property
    def stop(self) -> dict[str, Any]:
        name, doc = self.documents[-1]
        assert name == "stop"
        return doc

    def close(self) -> None:
        self.RE.loop.call_soon_threadsafe(self.RE.loop.stop)
        self.RE._th.join(5)
        self.RE.loop.close()


@pytest.fixture
def run() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


class Toy:
    """A toy machine, its simulator and its engine."""

    def __init__(self, engine: ToyEngine | None = None, **options: Any) -> None:
        self.engine = engine or ToyEngine()
        self.machine, self.sim = toy_machine(self.engine, **options)
        call_in_bluesky_event_loop(self.machine.connect())


@pytest.fixture
def make_toy(run: Recorder) -> type[Toy]:
    return Toy


@pytest.fixture
def toy(make_toy: type[Toy]) -> Toy:
    return make_toy()
