"""How a response is measured: knobs moved one by one, monitors read, all put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.response import ResponseResult, fit_response
from acctwin.data.runs import Stream
from acctwin.devices.columns import Monitor
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray, IntArray
from acctwin.plans.actuators import (
    Actuators,
    Knob,
    Units,
    boxes,
    good_members,
    in_units,
    raw,
    starts,
)
from acctwin.plans.guards import check_arrived, check_moves, restoring
from acctwin.plans.note import Note
from acctwin.plans.stubs import Reading, move, take


@dataclass(frozen=True)
class Taken:
    """What a response run takes from its events, and how it reads them.

    Attributes:
        keys: Data keys of the monitors, in order.
        rows: Which of their values count, put end to end, (n_monitors,).
        labels: Label of each of those.
        actuators: Names, in the order that ``step_actuator`` counts.
        units: Of each column of the matrix.
    """

    keys: tuple[str, ...]
    rows: IntArray
    labels: tuple[str, ...]
    actuators: tuple[str, ...]
    units: tuple[str, ...]

    @property
    def all_keys(self) -> tuple[str, ...]:
        """Data keys that the fit needs."""
        return (*self.keys, "step_actuator", "step_offset")

    def fit(self, data: dict[str, Any], uid: str) -> ResponseResult:
        """Return the matrix of columns of events, an array a key, (n_events, …)."""
        count = len(data["step_actuator"])
        blocks = [np.asarray(data[key]).reshape(count, -1) for key in self.keys]
        return fit_response(
            np.concatenate(blocks, axis=1)[:, self.rows],
            np.asarray(data["step_actuator"], dtype=np.int64),
            np.asarray(data["step_offset"], dtype=np.float64),
            monitors=self.labels,
            actuators=self.actuators,
            units=self.units,
            uid=uid,
        )


@dataclass(frozen=True)
class Job:
    """What a response measurement moves, reads and puts back.

    Attributes:
        knobs: What is moved, one by one.
        offsets: Where each goes, in its own steps.
        monitors: What is read.
        moved: Devices that hold the knobs.
        behind: What is put back: supplies, where there are any.
        recorded: Devices that are read with each event.
        readings: Events at every step.
        settle_s: Extra wait after every move [s].
    """

    knobs: list[Knob]
    offsets: tuple[float, float]
    monitors: Sequence[Monitor]
    moved: list[Any]
    behind: list[Any]
    recorded: list[Any]
    readings: int
    settle_s: float


def job_of(
    machine: Machine,
    actuators: Sequence[Actuators],
    monitors: Sequence[Monitor],
    *,
    offsets: tuple[float, float] = (0.5, -0.5),
    units: Units = "physics",
    readings: int | None = None,
    settle_s: float | None = None,
    recorded: Sequence[Any] = (),
) -> Job:
    """Return what a response measurement does, without moving anything.

    Args:
        machine: The machine.
        actuators: What is moved, one by one.
        monitors: What is read.
        offsets: Where each actuator goes, in its own steps.
        units: Whether strengths are moved, or the currents behind them.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.
        recorded: Other devices that are read with each event.
    """
    defaults = machine.defaults.response
    moved = in_units(actuators, units)
    asked = boxes(actuators)
    behind = raw(asked)
    return Job(
        knobs=good_members(moved),
        offsets=offsets,
        monitors=monitors,
        moved=boxes(moved),
        behind=behind,
        recorded=boxes([*moved, *asked, *behind, *recorded]),
        readings=defaults.readings if readings is None else readings,
        settle_s=defaults.settle_s if settle_s is None else settle_s,
    )


def taken_by(job: Job) -> Taken:
    """Return what a measurement takes from its events.

    Raises:
        PlanError: Nothing to move or to read.
    """
    columns = [column for monitor in job.monitors for column in monitor.columns()]
    knobs = job.knobs
    if not knobs or not any(column.good.any() for column in columns):
        raise PlanError("nothing to move or nothing to read: all are marked bad")
    units = {column.units for column in columns}
    over = units.pop() if len(units) == 1 else "various"
    return Taken(
        keys=tuple(column.key for column in columns),
        rows=np.flatnonzero(np.concatenate([column.good for column in columns])),
        labels=tuple(label for column in columns for label in column.labels()),
        actuators=tuple(knob.info.name for knob in knobs),
        units=tuple(_ratio(over, knob.info.unit) for knob in knobs),
    )


def stored_taken(stream: Stream) -> Taken:
    """Return what a stored measurement took, from the stream of its events."""
    return Taken(
        keys=_words(stream.config("step_keys")),
        rows=np.asarray(stream.config("step_rows"), dtype=np.int64),
        labels=_words(stream.config("step_labels")),
        actuators=_words(stream.config("step_actuators")),
        units=_words(stream.config("step_units")),
    )


def step_note(taken: Taken, knobs: Sequence[Knob]) -> Note:
    """Return what a measurement writes into its events."""
    return Note(
        "step",
        {"actuator": 0, "offset": 0.0},
        configuration={
            "actuators": list(taken.actuators),
            "units": list(taken.units),
            "labels": list(taken.labels),
            "keys": list(taken.keys),
            "rows": taken.rows,
            "deltas": _deltas(knobs),
        },
    )


def walk(job: Job, taken: Taken, note: Note, uid: str) -> MsgGenerator[ResponseResult]:
    """Move the knobs one by one, read, put all of them back; return the response.

    Args:
        job: What is moved and read.
        taken: Of :func:`taken_by`.
        note: Of :func:`step_note`; says in each event which knob stands where.
        uid: Of the run that is open.

    Raises:
        LimitError: A step would leave the limits; nothing was moved.
    """
    begin = yield from starts(job.moved, job.knobs)
    check_moves(
        (knob, start + offset * knob.delta)
        for knob, start in zip(job.knobs, begin, strict=True)
        for offset in job.offsets
    )
    events = yield from restoring(job.behind, lambda: _walk(job, begin, note))
    data = {key: np.array([e[key] for e in events]) for key in taken.all_keys}
    return taken.fit(data, uid)


def _walk(job: Job, begin: list[float], note: Note) -> MsgGenerator[list[Reading]]:
    events: list[Reading] = []
    others = [device for device in job.recorded if device not in job.monitors]
    devices = [note, *job.monitors, *others]
    for index, (knob, start) in enumerate(zip(job.knobs, begin, strict=True)):
        for offset in job.offsets:
            yield Msg("checkpoint")
            yield from move([(knob, start + offset * knob.delta)])
            if job.settle_s:
                yield from bps.sleep(job.settle_s)
            note.values.update(actuator=index, offset=offset * knob.delta)
            for _ in range(job.readings):
                events.append((yield from take(devices)))
                check_arrived(job.recorded, events[-1])
        yield from move([(knob, start)])
    return events


def _ratio(over: str, under: str) -> str:
    return f"{over}/({under})" if "/" in under else f"{over}/{under}"


def _deltas(knobs: Sequence[Knob]) -> FloatArray:
    return np.array([knob.delta for knob in knobs])


def _words(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
