"""Measure what quadrupole families, or single quadrupoles, do to the tunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.response import ResponseResult, fit_response
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import raw
from acctwin.plans.call import plan
from acctwin.plans.group_knobs import GroupKnob, all_boxes, group_starts
from acctwin.plans.guards import check_moves, require, restoring
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import Reading, in_run, move
from acctwin.plans.targets import Target
from acctwin.plans.tunes.knobs import design_response, tune_knobs
from acctwin.plans.tunes.reading import (
    TuneView,
    check_request,
    read_tunes,
    stored_events,
    stored_view,
    tune_view,
)

_MONITORS = ("tune:qx", "tune:qy")
_NAME = "tune_response"


@plan
def measure_tune_response(
    machine: Machine,
    families: Sequence[Target] | None = None,
    *,
    scale: float = 1.0,
    readings: int | None = None,
    settle_s: float | None = None,
) -> MsgGenerator[ResponseResult]:
    """Measure what quadrupole families do to the tunes.

    Unipolar: each family is moved from where it is to one side only, and put back, so
    that hysteresis is the same for all of them. The step is the one that should change
    a tune by ``defaults: {tune: {shift: …}}``, and no larger than the magnets' own.

    Args:
        machine: The machine.
        families: Families, selections, or single quadrupoles, a knob each; default:
            the profile's.
        scale: Of the steps.
        readings: Of the tune monitor at each place; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.

    Returns:
        qx, qy by families, in 1 per unit of the strength.

    Raises:
        PlanError: No tune monitor, no families, or magnets that are no quadrupoles.
        LimitError: A step would leave the limits; nothing was moved.
    """
    require(machine, ["tune"], "the response of the tunes cannot be measured")
    check_request(machine, "monitor", readings)
    if not scale > 0.0:
        raise PlanError(f"scale is a positive number, not {scale!r}")
    knobs = tune_knobs(machine, families)
    wait = machine.defaults.response.settle_s if settle_s is None else settle_s

    def body(uid: str) -> MsgGenerator[ResponseResult]:
        view = yield from tune_view(machine, "monitor", readings, None)
        start = yield from group_starts(knobs)
        steps = scale * (yield from _steps(machine, knobs, start))
        for knob, step in zip(knobs, steps.tolist(), strict=True):
            check_moves(knob.moves(start, step))
        job = _Job(machine, knobs, start, steps, view, wait)
        events = yield from restoring(job.behind, lambda: _walk(job))
        result = _fit(events, view, job.names, job.units, uid)
        yield from write_result(_result_note(result, view))
        return result

    count = machine.defaults.tune.readings if readings is None else readings
    metadata = {
        "plan_name": "measure_tune_response",
        "plan_args": {
            "families": [knob.name for knob in knobs],
            "scale": scale,
            "readings": count,
            "settle_s": wait,
        },
        "num_points": 2 * count * len(knobs),
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> ResponseResult:
    """Return the response of a stored run of ``measure_tune_response``."""
    stream = run["primary"]
    view = stored_view(run["result"], _NAME)
    steps = zip(stream["step_actuator"], stream["step_offset"], strict=True)
    events = [
        {**event, "step_actuator": actuator, "step_offset": offset}
        for event, (actuator, offset) in zip(
            stored_events(stream, view), steps, strict=True
        )
    ]
    names, units = (stream.config(f"step_{key}") for key in ("actuators", "units"))
    return _fit(events, view, _words(names), _words(units), run.uid)


@dataclass(frozen=True)
class _Job:
    """What is moved, by how much, and what is read."""

    machine: Machine
    knobs: tuple[GroupKnob, ...]
    start: Mapping[str, float]
    steps: FloatArray
    view: TuneView
    settle_s: float

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the knobs."""
        return tuple(knob.name for knob in self.knobs)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each column of the response."""
        return tuple(f"1/({knob.unit})" for knob in self.knobs)

    @property
    def behind(self) -> list[Any]:
        """What is put back."""
        return raw(all_boxes(self.knobs))


def _walk(job: _Job) -> MsgGenerator[list[Reading]]:
    """Move each knob on its own; return the readings at its start and end."""
    note = Note(
        "step",
        {"actuator": 0, "offset": 0.0},
        configuration={"actuators": list(job.names), "units": list(job.units)},
    )
    moved = all_boxes(job.knobs)
    recorded = [*moved, *(device for device in job.behind if device not in moved)]
    events: list[Reading] = []
    for index, (knob, step) in enumerate(zip(job.knobs, job.steps, strict=True)):
        for offset in (0.0, float(step)):
            yield Msg("checkpoint")
            if offset:
                yield from move(knob.moves(job.start, offset))
                yield from _settle(job)
            note.values.update(actuator=index, offset=offset)
            events += yield from read_tunes(job.machine, job.view, recorded, [note])
        yield from move(knob.moves(job.start, 0.0))
        yield from _settle(job)
    return events


def _settle(job: _Job) -> MsgGenerator[None]:
    if job.settle_s:
        yield from bps.sleep(job.settle_s)


def _steps(
    machine: Machine, knobs: Sequence[GroupKnob], start: Mapping[str, float]
) -> MsgGenerator[FloatArray]:
    """Return the step of each knob, (n_knobs,)."""
    response = yield from design_response(machine, knobs, start)
    largest = np.abs(response).max(axis=0)
    allowed = np.array([knob.delta for knob in knobs])
    return np.minimum(allowed, machine.defaults.tune.shift / largest)


def _fit(
    events: Sequence[Reading],
    view: TuneView,
    names: tuple[str, ...],
    units: tuple[str, ...],
    uid: str,
) -> ResponseResult:
    seen = np.array([[event["tune_qx"], event["tune_qy"]] for event in events])
    return fit_response(
        view.branch.whole(seen),
        np.array([event["step_actuator"] for event in events], dtype=np.int64),
        np.array([event["step_offset"] for event in events], dtype=np.float64),
        monitors=_MONITORS,
        actuators=names,
        units=units,
        uid=uid,
    )


def _result_note(result: ResponseResult, view: TuneView) -> Note:
    return Note(
        _NAME,
        {"matrix": result.matrix, "sigma": result.sigma, "deltas": result.deltas},
        configuration={
            **view.configuration(),
            "actuators": list(result.actuators),
            "units": list(result.units),
        },
    )


def _words(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
