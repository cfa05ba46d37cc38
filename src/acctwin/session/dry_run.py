"""A plan on the twin first: what would it move, from where to where?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky import RunEngine
from bluesky.preprocessors import plan_mutator
from bluesky.utils import FailedStatus, Msg, MsgGenerator

from acctwin.data.runs import Run
from acctwin.devices.ring import Machine, Runs
from acctwin.devices.setpoint import Settable
from acctwin.errors import AcctwinError
from acctwin.names import FloatArray

_MOST_SHOWN = 10


@dataclass(frozen=True)
class Move:
    """What a plan does to one setpoint.

    Attributes:
        name: The device in the profile.
        unit: Of all that follows.
        start: Where it was.
        lowest: The lowest it was set to, or where it was.
        highest: The highest.
        end: Where it was set to last.
        low: Lower limit.
        high: Upper limit.
    """

    name: str
    unit: str
    start: float
    lowest: float
    highest: float
    end: float
    low: float
    high: float

    @property
    def largest(self) -> float:
        """How far from its start it goes."""
        return max(self.highest - self.start, self.start - self.lowest)

    @property
    def margin(self) -> float:
        """How much is left to the nearer limit, as a fraction of the range."""
        left = min(self.high - self.highest, self.lowest - self.low)
        return left / (self.high - self.low)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.start:.6g} → {self.end:.6g} {self.unit}, between "
            f"{self.lowest:.6g} and {self.highest:.6g}, {100 * self.margin:.0f} % of "
            "the range left"
        )


@dataclass(frozen=True)
class DryRun:
    """What a plan would do.

    Attributes:
        moves: Every setpoint that it sets to something else, the least margin first.
        events: How many readings it takes.
        result: What it returns on the twin.
    """

    moves: tuple[Move, ...]
    events: int
    result: Any

    @property
    def kept(self) -> tuple[Move, ...]:
        """Moves that are not taken back."""
        return tuple(move for move in self.moves if move.end != move.start)

    def __str__(self) -> str:
        if not self.moves:
            return f"moves nothing; {self.events} events"
        count = len(self.moves)
        head = (
            f"moves {count} setpoint{'s' * (count > 1)}, {len(self.kept)} for good; "
            f"{self.events} events"
        )
        lines = [f"  {move}" for move in self.moves[:_MOST_SHOWN]]
        if len(self.moves) > _MOST_SHOWN:
            lines.append(f"  and {len(self.moves) - _MOST_SHOWN} more, with more left")
        return "\n".join([head, *lines])


def dry_run(
    machine: Machine,
    plan: Callable[[], MsgGenerator[Any]],
    like: RunEngine,
) -> DryRun:
    """Run a plan on the twin and store nothing.

    Args:
        machine: Its devices, on the twin.
        plan: Returns the plan.
        like: The session's RunEngine: its metadata and its loop are used.

    Raises:
        Exception: What the plan raised.
    """
    record = Record()
    engine = RunEngine(dict(like.md), loop=like.loop, call_returns_result=True)
    engine.subscribe(record.keep)
    engine.preprocessors.append(record.watch)
    with _seeing_own_runs(machine, record):
        try:
            result: Any = engine(plan())
        except FailedStatus as error:
            if isinstance(error.__cause__, AcctwinError):
                raise error.__cause__ from error
            raise
    return DryRun(record.moves(), record.events, result.plan_result)


class Record:
    """What a plan did: its moves, its runs."""

    def __init__(self) -> None:
        self.events = 0
        self._runs: dict[str, Run] = {}
        self._open: list[tuple[str, dict[str, Any]]] = []
        self._devices: dict[int, Settable] = {}
        self._set: dict[int, list[FloatArray]] = {}

    def keep(self, name: str, document: dict[str, Any]) -> None:
        """Take a document; of runs inside runs only the outer one is kept."""
        self._open.append((name, document))
        self.events += name == "event"
        if name == "stop":
            run = Run.from_documents(self._open)
            self._runs[run.uid] = run
            self._open = []

    def run(self, key: str | int) -> Run | None:
        """Return a run of this plan."""
        return self._runs.get(key) if isinstance(key, str) else None

    def watch(self, plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
        """Note every setpoint of a plan."""

        def note(msg: Msg) -> tuple[Any, Any]:
            if msg.command != "set" or not isinstance(msg.obj, Settable):
                return None, None
            wanted = np.atleast_1d(np.asarray(msg.args[0], dtype=np.float64))
            if id(msg.obj) in self._set:
                self._set[id(msg.obj)].append(wanted)
                return None, None
            return self._first(msg, wanted), None

        return (yield from plan_mutator(plan, note))

    def moves(self) -> tuple[Move, ...]:
        """Return all moves, the least margin first."""
        found = [
            move
            for key, device in self._devices.items()
            for move in _moves(device, np.array(self._set[key]))
        ]
        return tuple(sorted(found, key=lambda move: move.margin))

    def _first(self, msg: Msg, wanted: FloatArray) -> MsgGenerator[Any]:
        device = msg.obj
        where = yield Msg("locate", device, squeeze=True)
        self._devices[id(device)] = device
        start = np.atleast_1d(np.asarray(where["setpoint"], dtype=np.float64))
        self._set[id(device)] = [start, wanted]
        return (yield msg)


def _moves(device: Settable, values: FloatArray) -> Iterator[Move]:
    """Yield the moves of a device; values are (n_sets, n), the start first."""
    bounds = device.bounds
    for i in np.flatnonzero(np.ptp(values, axis=0) > 0.0).tolist():
        column = values[:, i]
        yield Move(
            bounds.names[i],
            bounds.unit,
            float(column[0]),
            float(column.min()),
            float(column.max()),
            float(column[-1]),
            float(bounds.low[i]),
            float(bounds.high[i]),
        )


class _OwnRuns:
    """The stored runs, and those of a dry run, which are not stored."""

    def __init__(self, stored: Runs, record: Record) -> None:
        self._stored, self._record = stored, record

    def run(self, key: str | int) -> Any:
        """Return the run with this uid, prefix or index."""
        return self._record.run(key) or self._stored.run(key)


@contextmanager
def _seeing_own_runs(machine: Machine, record: Record) -> Iterator[None]:
    stored = machine.runs
    machine.runs = _OwnRuns(stored, record)
    try:
        yield
    finally:
        machine.runs = stored
