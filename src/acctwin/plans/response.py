"""Response matrices: move actuators one by one, read the monitors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.analysis.response import ResponseResult, fit_response
from acctwin.data.runs import Run
from acctwin.devices.columns import Monitor
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import BPMS, HCM, VCM, FloatArray, IntArray
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
from acctwin.plans.guards import (
    check_arrived,
    check_moves,
    require,
    restoring,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import Reading, in_run, move, take

Method = Literal["bipolar", "unipolar"]


@plan
def measure_orbit_response(
    machine: Machine,
    *,
    correctors: Sequence[Actuators] | None = None,
    scale: float = 1.0,
    method: Method = "bipolar",
    units: Units = "physics",
    readings: int | None = None,
    settle_s: float | None = None,
) -> MsgGenerator[ResponseResult]:
    """Measure what each corrector does to the orbit at every good BPM.

    Args:
        machine: The machine.
        correctors: Which; default: all good ones, horizontal then vertical.
        scale: Of the steps in the profile.
        method: ``"bipolar"``: ±half a step; ``"unipolar"``: zero and a full step.
        units: ``"physics"``: strengths are moved; ``"hardware"``: the currents of the
            supplies behind them.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.

    Returns:
        Matrix in m/rad: x at all BPMs then y at all, by correctors.
    """
    require(machine, [BPMS], "there is no orbit to measure")
    if correctors is None:
        require(machine, [HCM, VCM], "there are no correctors to move")
        correctors = [machine.hcm, machine.vcm]
    return (
        yield from _measure(
            "measure_orbit_response",
            machine,
            correctors,
            [machine.bpms],
            scale=scale,
            method=method,
            units=units,
            readings=readings,
            settle_s=settle_s,
        )
    )


@plan
def measure_response(
    machine: Machine,
    actuators: Sequence[Actuators],
    monitors: Sequence[Monitor],
    *,
    scale: float = 1.0,
    method: Method = "bipolar",
    units: Units = "physics",
    readings: int | None = None,
    settle_s: float | None = None,
) -> MsgGenerator[ResponseResult]:
    """Measure what any actuators do to any monitors.

    Each actuator is moved on its own by its step of the profile, and put back
    before the next one moves.

    Args:
        machine: The machine.
        actuators: Families (their good members), selections, magnets, the RF.
        monitors: Devices that say what they measure: BPMs, the tune monitor.
        scale: Of the steps in the profile.
        method: ``"bipolar"``: ±half a step; ``"unipolar"``: zero and a full step.
        units: ``"physics"``: strengths are moved; ``"hardware"``: the currents of the
            supplies behind them.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.

    Returns:
        Matrix, good monitors by good actuators.

    Raises:
        PlanError: Nothing to move or to read.
        LimitError: A step would leave the limits; nothing was moved.
    """
    return (
        yield from _measure(
            "measure_response",
            machine,
            actuators,
            monitors,
            scale=scale,
            method=method,
            units=units,
            readings=readings,
            settle_s=settle_s,
        )
    )


def analyse(run: Run) -> ResponseResult:
    """Return the response matrix of a stored run, from its readings alone."""
    stream = run["primary"]
    taken = Taken(
        keys=_words(stream.config("step_keys")),
        rows=np.asarray(stream.config("step_rows"), dtype=np.int64),
        labels=_words(stream.config("step_labels")),
        actuators=_words(stream.config("step_actuators")),
        units=_words(stream.config("step_units")),
    )
    return taken.fit({key: stream[key] for key in taken.all_keys}, run.uid)


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
class _Job:
    """What a response measurement moves, reads and puts back."""

    knobs: list[Knob]
    offsets: tuple[float, float]
    monitors: Sequence[Monitor]
    moved: list[Any]
    behind: list[Any]
    recorded: list[Any]
    readings: int
    settle_s: float


def _measure(
    name: str,
    machine: Machine,
    actuators: Sequence[Actuators],
    monitors: Sequence[Monitor],
    *,
    scale: float,
    method: Method,
    units: Units,
    readings: int | None,
    settle_s: float | None,
) -> MsgGenerator[ResponseResult]:
    defaults = machine.defaults.response
    moved = in_units(actuators, units)
    asked = boxes(actuators)
    behind = raw(asked)
    job = _Job(
        knobs=good_members(moved),
        offsets=_offsets(method, scale),
        monitors=monitors,
        moved=boxes(moved),
        behind=behind,
        recorded=boxes([*moved, *asked, *behind]),
        readings=defaults.readings if readings is None else readings,
        settle_s=defaults.settle_s if settle_s is None else settle_s,
    )
    taken = _taken(job)
    metadata = {
        "plan_name": name,
        "plan_args": {
            "actuators": [device.name for device in job.moved],
            "monitors": [monitor.name for monitor in monitors],
            "scale": scale,
            "method": method,
            "units": units,
            "readings": job.readings,
            "settle_s": job.settle_s,
        },
        "num_points": len(job.knobs) * len(job.offsets) * job.readings,
    }
    return (yield from in_run(lambda uid: _run(job, taken, uid), metadata))


def _run(job: _Job, taken: Taken, uid: str) -> MsgGenerator[ResponseResult]:
    begin = yield from starts(job.moved, job.knobs)
    check_moves(
        (knob, start + offset * knob.delta)
        for knob, start in zip(job.knobs, begin, strict=True)
        for offset in job.offsets
    )
    note = _step_note(taken, job.knobs)
    events = yield from restoring(job.behind, lambda: _walk(job, begin, note))
    data = {key: np.array([e[key] for e in events]) for key in taken.all_keys}
    result = taken.fit(data, uid)
    yield from write_result(_result_note(result))
    return result


def _walk(job: _Job, begin: list[float], note: Note) -> MsgGenerator[list[Reading]]:
    events: list[Reading] = []
    devices = [note, *job.monitors, *job.recorded]
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


def _offsets(method: Method, scale: float) -> tuple[float, float]:
    if method not in ("bipolar", "unipolar"):
        raise PlanError(f"method is 'bipolar' or 'unipolar', not {method!r}")
    if not scale > 0.0:
        raise PlanError(f"scale is a positive number, not {scale!r}")
    return (scale / 2, -scale / 2) if method == "bipolar" else (0.0, scale)


def _taken(job: _Job) -> Taken:
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


def _ratio(over: str, under: str) -> str:
    return f"{over}/({under})" if "/" in under else f"{over}/{under}"


def _step_note(taken: Taken, knobs: Sequence[Knob]) -> Note:
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


def _deltas(knobs: Sequence[Knob]) -> FloatArray:
    return np.array([knob.delta for knob in knobs])


def _result_note(result: ResponseResult) -> Note:
    units = set(result.units)
    unit = units.pop() if len(units) == 1 else "various"
    return Note(
        "response",
        {"matrix": result.matrix, "sigma": result.sigma, "deltas": result.deltas},
        {"matrix": unit, "sigma": unit},
        {
            "monitors": list(result.monitors),
            "actuators": list(result.actuators),
            "units": list(result.units),
        },
    )


def _words(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
