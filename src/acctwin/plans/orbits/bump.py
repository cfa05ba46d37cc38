"""A local bump of the orbit: solve, set, measure what leaks out, close it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.bump import BumpResult
from acctwin.analysis.orbit import OrbitResult, mean_orbit
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import BPMS, FloatArray, Plane
from acctwin.plans.actuators import raw
from acctwin.plans.call import plan
from acctwin.plans.guards import (
    check_arrived,
    check_moves,
    require,
    restoring_on_failure,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits.bump_place import FAMILY, Wanted
from acctwin.plans.orbits.bump_task import Task, prepare
from acctwin.plans.orbits.inputs import name_of, response_or_reference, sources
from acctwin.plans.orbits.orbit import orbit_from_events, stored_positions
from acctwin.plans.stubs import Reading, in_run, move, setpoints, take

_RESULTS = ("x", "y", "steps", "setpoints", "iterations")


@plan
def orbit_bump(
    machine: Machine,
    plane: Plane,
    place: str,
    *,
    position: float | None = None,
    angle: float | None = None,
    correctors: int | Sequence[str] | None = None,
    both_planes: bool = True,
    rf: bool = False,
    response: ResponseResult | str | None = None,
    iterations: int | None = None,
    readings: int | None = None,
    preview: bool = False,
) -> MsgGenerator[BumpResult]:
    """Move the orbit at one place and, as well as it can be, nowhere else.

    The kicks are exact for the place and least squares for all BPMs outside, in both
    planes. Then the difference orbit is measured, and what leaks out is corrected in
    the same way, until it is closed, the iterations are used up, or a pass makes it
    worse, which is taken back. The bump stays; to take it away, ask for the opposite
    one, or ``restore_machine(machine, bump.uid, [family of the correctors])``.

    Args:
        machine: The machine.
        plane: ``"x"`` or ``"y"``.
        place: Name of a BPM, or of a magnet, whose entrance is meant.
        position: Change of the orbit there [m]; default: free.
        angle: Change of its slope there [rad]; default: free.
        correctors: How many, chosen by the design's optics, or their names; default:
            as few as close it, from 3 for one of position and angle, 4 for both.
        both_planes: Whether correctors of the other plane, between these, close what
            leaks into it.
        rf: Whether the RF frequency follows the path length, which a bump in bends
            changes; without it the energy does, and the whole orbit where there is
            dispersion.
        response: A measured response, or the uid of its run, or ``"model"``; default:
            the reference, and where there is none the design model's.
        iterations: How many times the correctors are set at most; default: the
            profile's.
        readings: Averaged for each orbit; default: the profile's.
        preview: Only say what would be done.

    Returns:
        What was set, what was seen at the place, and what leaks out.

    Raises:
        LimitError: A corrector would leave its limits; nothing was moved.
        PlanError: No correctors can make this bump.
    """
    wanted = _wanted(plane, place, position, angle)
    require(machine, [BPMS, FAMILY[plane]], "there is no bump to make")
    response = yield from response_or_reference(machine, response)
    default = machine.defaults.bump
    job = _Job(
        machine,
        default.iterations if iterations is None else iterations,
        default.readings if readings is None else readings,
        default.closure,
        preview,
    )

    def body(uid: str) -> MsgGenerator[BumpResult]:
        task = yield from prepare(
            machine, wanted, response, correctors, job.closure, both_planes, rf
        )

        def bumping() -> MsgGenerator[BumpResult]:
            result = yield from _bump(job, task, uid)
            yield from write_result(_result_note(result))
            return result

        return (yield from restoring_on_failure(raw(task.knobs.devices), bumping))

    metadata = {
        "plan_name": "orbit_bump",
        "plan_args": {
            "plane": plane,
            "place": place,
            "position": position,
            "angle": angle,
            "correctors": _listed(correctors),
            "both_planes": both_planes,
            "rf": rf,
            "response": name_of(response),
            "iterations": job.iterations,
            "readings": job.readings,
            "preview": preview,
        },
        "derived_from": sources(response),
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> BumpResult:
    """Return what a stored run of ``orbit_bump`` did.

    The orbits and what leaks are computed again from its readings.
    """
    asked, stream = run.start["plan_args"], run["result"]
    stored = {key: stream[f"bump_{key}"][0] for key in _RESULTS}
    x, y, names, s = stored_positions(run)
    count, iterations = int(asked["readings"]), int(stored["iterations"])
    first, last = (slice(count * i, count * (i + 1)) for i in (0, iterations))
    before = mean_orbit(names, s, x[first], y[first], run.uid)
    after = mean_orbit(names, s, x[last], y[last], run.uid)
    is_preview = bool(stream.config("bump_is_preview"))
    if is_preview:
        after = replace(before, x=stored["x"], y=stored["y"])
    return BumpResult(
        plane=asked["plane"],
        place=asked["place"],
        position=asked["position"],
        angle=asked["angle"],
        correctors=tuple(map(str, stream.config("bump_correctors"))),
        steps=stored["steps"],
        setpoints=stored["setpoints"],
        before=before,
        after=after,
        inside=tuple(map(str, stream.config("bump_inside"))),
        iterations=iterations,
        stopped=str(stream.config("bump_stopped")),
        is_preview=is_preview,
        uid=run.uid,
    )


@dataclass(frozen=True)
class _Job:
    """How a bump is made and measured."""

    machine: Machine
    iterations: int
    readings: int
    closure: float
    preview: bool


def _wanted(
    plane: Plane, place: str, position: float | None, angle: float | None
) -> Wanted:
    if plane not in get_args(Plane):
        raise PlanError(f"plane is 'x' or 'y', not {plane!r}")
    wanted = Wanted(plane, place, position, angle)
    if not len(wanted.values) or not np.isfinite(wanted.values).all():
        raise PlanError(
            "a bump needs a position [m] or an angle [rad], or both; found "
            f"position={position!r}, angle={angle!r}"
        )
    return wanted


def _listed(correctors: int | Sequence[str] | None) -> int | list[str] | None:
    if correctors is None or isinstance(correctors, int):
        return correctors
    return list(correctors)


def _bump(job: _Job, task: Task, uid: str) -> MsgGenerator[BumpResult]:
    before = yield from _orbit(job, task, uid)
    start = yield from setpoints(task.knobs.devices)
    steps = task.first()
    check_moves(task.knobs.moves(start, steps))
    if job.preview:
        after, done = task.predicted(before, steps), 0
        stopped = "preview: nothing was set"
    else:
        after, steps, done, stopped = yield from _close(job, task, before, start, uid)
    return BumpResult(
        **asdict(task.wanted),
        correctors=task.knobs.names,
        steps=steps,
        setpoints=task.knobs.setpoints(start, steps),
        before=before,
        after=after,
        inside=task.inside,
        iterations=done,
        stopped=stopped,
        is_preview=job.preview,
        uid=uid,
    )


def _close(
    job: _Job, task: Task, before: OrbitResult, start: Sequence[Any], uid: str
) -> MsgGenerator[tuple[OrbitResult, FloatArray, int, str]]:
    """Set and correct; return the last orbit, the steps, how often they were set."""
    kept, steps = np.zeros(len(task.knobs)), task.first()
    after, leak, done = before, np.inf, 0
    while done < job.iterations:
        check_moves(task.knobs.moves(start, steps))
        yield Msg("checkpoint")
        yield from move(task.knobs.moves(start, steps))
        now = yield from _orbit(job, task, uid)
        change = task.response.flat(now) - task.response.flat(before)
        if done and task.leak(change) > leak:
            yield from move(task.knobs.moves(start, kept))
            return after, kept, done, "the last pass made it worse and was taken back"
        after, kept, leak, done = now, steps, task.leak(change), done + 1
        if task.is_closed(change, job.closure):
            return after, kept, done, f"closed to {job.closure:.1%}"
        steps = kept + task.closing(change)
    return after, kept, done, "all iterations were used"


def _orbit(job: _Job, task: Task, uid: str) -> MsgGenerator[OrbitResult]:
    events: list[Reading] = []
    for _ in range(job.readings):
        yield Msg("checkpoint")
        events.append((yield from take([job.machine.bpms, *task.knobs.devices])))
        check_arrived(task.knobs.devices, events[-1])
    return orbit_from_events(job.machine.bpms, events, uid)


def _result_note(result: BumpResult) -> Note:
    return Note(
        "bump",
        {
            "x": result.after.x,
            "y": result.after.y,
            "steps": result.steps,
            "setpoints": result.setpoints,
            "seen": result.seen,
            "leakage": result.leakage,
            "leakage_max": result.leakage_max,
            "iterations": result.iterations,
        },
        {"x": "m", "y": "m", "steps": "rad", "setpoints": "rad", "seen": "m"},
        {
            "names": list(result.after.names),
            "correctors": list(result.correctors),
            "inside": list(result.inside),
            "stopped": result.stopped,
            "is_preview": result.is_preview,
        },
    )
