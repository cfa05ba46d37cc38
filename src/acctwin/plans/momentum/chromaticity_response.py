"""Measure what sextupole families do to the chromaticity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.chromaticity import ChromaticityResult
from acctwin.analysis.response import ResponseResult, fit_response
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans.call import plan
from acctwin.plans.group_knobs import (
    GroupKnob,
    all_moves,
    group_starts,
    recorded,
    room,
    supplies_behind,
)
from acctwin.plans.guards import check_moves, restoring
from acctwin.plans.momentum.chromaticity_knobs import (
    MONITORS,
    chromaticity_knobs,
    design_response,
)
from acctwin.plans.momentum.chromaticity_scan import (
    ChromaticityScan,
    fit_stored,
    prepare_scan,
    scan_options,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run, move
from acctwin.plans.targets import Target, title

#: Each knob is measured where it is, and one step to one side.
_PLACES = 2


@plan
def measure_chromaticity_response(
    machine: Machine,
    families: Sequence[Target] | None = None,
    *,
    change: float = 0.5,
    span: float | None = None,
    points: int | None = None,
    order: int | None = None,
    readings: int | None = None,
    settle_s: float | None = None,
    max_step_hz: float | None = None,
) -> MsgGenerator[ResponseResult]:
    """Measure what sextupole families do to the chromaticity.

    Each family is moved on its own, to one side only because of the hysteresis, and
    put back before the next one moves: up, or down where the limits leave no room.

    Args:
        machine: The machine.
        families: Families, selections or magnets, a column each; default: the
            profile's.
        change: How far each moves the chromaticity, by the design model.
        span: See ``measure_chromaticity``.
        points: See there.
        order: See there.
        readings: See there.
        settle_s: See there.
        max_step_hz: See there.

    Returns:
        Chromaticity in x and y per strength, (2, n_families).

    Raises:
        LimitError: A family would leave its limits on both sides, or the RF does;
            nothing was moved.
    """
    options = scan_options(
        machine,
        span=span,
        points=points,
        order=order,
        readings=readings,
        settle_s=settle_s,
        max_step_hz=max_step_hz,
    )
    if not change > 0.0:
        raise PlanError(f"change is a positive number, not {change!r}")
    knobs = chromaticity_knobs(machine, families)

    def body(uid: str) -> MsgGenerator[ResponseResult]:
        scan = yield from prepare_scan(machine, options)
        start = yield from group_starts(knobs)
        matrix = yield from design_response(machine, knobs, start)
        deltas = _deltas(knobs, start, matrix, change)
        job = _Job(scan, knobs, start, deltas, uid)
        result = yield from restoring(supplies_behind(knobs), lambda: _walk(job))
        yield from write_result(_result_note(result))
        return result

    metadata = {
        "plan_name": "measure_chromaticity_response",
        "plan_args": {
            "families": [title(f) for f in families] if families else None,
            "change": change,
            **options.to_document(),
        },
        "num_points": len(knobs) * _PLACES * options.events,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> ResponseResult:
    """Return the response of a stored run, from its readings alone."""
    stream = run["primary"]
    actuator = np.asarray(stream["step_actuator"], dtype=np.int64)
    offset = np.asarray(stream["step_offset"], dtype=np.float64)
    places = sorted(set(zip(actuator.tolist(), offset.tolist(), strict=True)))
    found = [
        (
            *place,
            fit_stored(stream, run.uid, (actuator == place[0]) & (offset == place[1])),
        )
        for place in places
    ]
    names = tuple(str(name) for name in stream.config("step_actuators"))
    units = tuple(str(unit) for unit in stream.config("step_units"))
    return _response(found, names, units, run.uid)


@dataclass(frozen=True)
class _Job:
    """What a response measurement moves, and by how much."""

    scan: ChromaticityScan
    knobs: tuple[GroupKnob, ...]
    start: Mapping[str, float]
    deltas: FloatArray
    uid: str

    @property
    def names(self) -> tuple[str, ...]:
        """Of the knobs."""
        return tuple(knob.name for knob in self.knobs)

    @property
    def units(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(f"1/({knob.unit})" for knob in self.knobs)


def _walk(job: _Job) -> MsgGenerator[ResponseResult]:
    note = Note(
        "step",
        {"actuator": 0, "offset": 0.0},
        configuration={"actuators": list(job.names), "units": list(job.units)},
    )
    devices = recorded(job.knobs)
    found: list[tuple[int, float, ChromaticityResult]] = []
    for index, (knob, delta) in enumerate(zip(job.knobs, job.deltas, strict=True)):
        for offset in (0.0, float(delta)):
            yield from move(knob.moves(job.start, offset))
            note.values.update(actuator=index, offset=offset)
            seen = yield from job.scan.measure(job.uid, [note], devices)
            found.append((index, offset, seen))
        yield from move(knob.moves(job.start, 0.0))
    return _response(found, job.names, job.units, job.uid)


def _deltas(
    knobs: Sequence[GroupKnob],
    start: Mapping[str, float],
    matrix: FloatArray,
    change: float,
) -> FloatArray:
    """Return a step for each knob that its limits allow, (n_knobs,)."""
    largest = np.abs(matrix).max(axis=0)
    if not np.all(largest > 0.0):
        name = knobs[int(np.argmin(largest))].name
        raise PlanError(f"the design model says that {name} does nothing")
    deltas = change / largest
    for i, (knob, step) in enumerate(zip(knobs, deltas.tolist(), strict=True)):
        deltas[i] = _one_side(knob, start, step)
        check_moves(all_moves([knob], start, [deltas[i]]))
    return deltas


def _one_side(knob: GroupKnob, start: Mapping[str, float], step: float) -> float:
    words = ""
    for signed in (step, -step):
        fraction, words = room([knob], start, [signed])
        if fraction >= 1.0:
            return signed
    raise LimitError(
        f"{knob.name}: no room for a step of {step:.6g} {knob.unit} to either side: "
        f"{words}; ask for less change; nothing was moved"
    )


def _response(
    found: Sequence[tuple[int, float, ChromaticityResult]],
    names: tuple[str, ...],
    units: tuple[str, ...],
    uid: str,
) -> ResponseResult:
    plain = fit_response(
        np.array([seen.xi for _, _, seen in found]),
        np.array([index for index, _, _ in found]),
        np.array([offset for _, offset, _ in found]),
        monitors=MONITORS,
        actuators=names,
        units=units,
        uid=uid,
    )
    # One chromaticity at each place: the errors are those of the two fits.
    errors = np.array([seen.sigma[:, 0] for _, _, seen in found])
    index = np.array([index for index, _, _ in found])
    total = [np.linalg.norm(errors[index == i], axis=0) for i in range(len(names))]
    return replace(plain, sigma=np.array(total).T / plain.deltas)


def _result_note(result: ResponseResult) -> Note:
    return Note(
        "response",
        {"matrix": result.matrix, "sigma": result.sigma, "deltas": result.deltas},
        {},
        {
            "monitors": list(result.monitors),
            "actuators": list(result.actuators),
            "units": list(result.units),
        },
    )
