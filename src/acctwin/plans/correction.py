"""Correct the orbit: measure, solve, set, measure again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.analysis.correction import CorrectionResult
from acctwin.analysis.orbit import OrbitResult, rms
from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError
from acctwin.names import BPMS, FloatArray
from acctwin.plans.correction_task import (
    Options,
    Task,
    goal_or_reference,
    prepare,
    response_or_reference,
)
from acctwin.plans.guards import check_moves, require, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbit import orbit_from_events
from acctwin.plans.stubs import Reading, in_run, move, setpoints, take

#: An iteration that gains less than this fraction of the rms is the last one.
WORTHWHILE = 0.01


@plan
def correct_orbit(
    machine: Machine,
    response: ResponseResult | str | None = None,
    *,
    goal: OrbitResult | str | None = None,
    singular_values: int | None = None,
    cutoff: float | None = None,
    tikhonov: float = 0.0,
    gain: float | None = None,
    iterations: int | None = None,
    rf: bool | None = None,
    bpm_weights: Mapping[str, float] | None = None,
    corrector_weights: Mapping[str, float] | None = None,
    readings: int | None = None,
    preview: bool = False,
) -> MsgGenerator[CorrectionResult]:
    """Bring the orbit to its goal with the correctors, and the RF if asked.

    Each iteration measures, solves and sets. It ends when the iterations are used
    up or an iteration gains less than 1 %; an iteration that makes the orbit worse
    is taken back.

    Args:
        machine: The machine.
        response: A measured response, or the uid of its run, or ``"model"``; default:
            the reference (kind ``"orbit_response"``), and where there is none the
            design model's, and that is said.
        goal: Orbit to reach: a measured one, or the uid of its run, or ``"zero"``;
            default: the reference (kind ``"orbit"``), and where there is none zero.
        singular_values: How many are kept; default: the profile's.
        cutoff: Drop singular values below this fraction of the largest; default:
            the profile's. ``singular_values`` comes first.
        tikhonov: Damping, as a fraction of the largest singular value.
        gain: Fraction of the solution that is applied; default: the profile's.
        iterations: At most this many; default: the profile's.
        rf: Whether the RF frequency is an extra knob; default: the profile's.
        bpm_weights: Weight of some BPMs, by name; default 1.
        corrector_weights: Freedom of some correctors, by name; default 1.
        readings: Averaged for each orbit; default: the profile's.
        preview: Only say what would be done.

    Returns:
        Orbits before and after, and what was changed.

    Raises:
        LimitError: The solution leaves the limits; nothing of it was set.
        PlanError: No good BPM or corrector is in the response.
    """
    require(machine, [BPMS], "there is no orbit to correct")
    response = yield from response_or_reference(machine, response)
    target = yield from goal_or_reference(machine, goal)
    default = machine.defaults.correction
    by_cutoff = singular_values is None and cutoff is not None
    options = Options(
        None if by_cutoff else _either(singular_values, default.singular_values),
        _either(cutoff, default.cutoff),
        tikhonov,
        _either(gain, default.gain),
        _either(iterations, default.iterations),
        _either(rf, default.rf),
        _either(readings, machine.defaults.orbit.readings),
    )

    weights = bpm_weights or {}, corrector_weights or {}

    def body(uid: str) -> MsgGenerator[CorrectionResult]:
        task = yield from prepare(machine, response, target, options, *weights)

        def correcting() -> MsgGenerator[CorrectionResult]:
            result = yield from _correct(task, uid, preview)
            yield from write_result(_result_note(result))
            return result

        return (yield from restoring_on_failure(task.devices, correcting))

    metadata = {
        "plan_name": "correct_orbit",
        "plan_args": {
            **asdict(options),
            "response": _name_of(response),
            "goal": target.uid if target else "zero",
            "bpm_weights": _pairs(bpm_weights),
            "corrector_weights": _pairs(corrector_weights),
            "preview": preview,
        },
        "derived_from": _sources(response, target),
    }
    return (yield from in_run(body, metadata))


def _correct(task: Task, uid: str, preview: bool) -> MsgGenerator[CorrectionResult]:
    before = yield from _orbit(task, uid)
    start = yield from setpoints(task.devices)
    if preview:
        return _preview(task, before, start, uid)
    orbit, total, kept = before, np.zeros(len(task.knobs)), 0
    history = [task.residual(before)]
    stopped = "all iterations were used"
    for _ in range(task.options.iterations):
        wanted, kept = _next(task, start, total, history[-1])
        yield Msg("checkpoint")
        yield from move(task.moves(start, wanted))
        orbit_now = yield from _orbit(task, uid)
        history.append(task.residual(orbit_now))
        gained = _gain(history[-2], history[-1])
        if gained < 0.0:
            history.pop()
            yield from move(task.moves(start, total))
            stopped = "the last iteration made it worse and was taken back"
            break
        orbit, total = orbit_now, wanted
        if gained < WORTHWHILE:
            stopped = f"an iteration gained less than {WORTHWHILE:.0%}"
            break
    return _result(task, before, orbit, start, total, history, kept, stopped, uid)


def _preview(
    task: Task, before: OrbitResult, start: Sequence[Any], uid: str
) -> CorrectionResult:
    residual = task.residual(before)
    steps, kept = _next(task, start, np.zeros(len(task.knobs)), residual)
    left = residual + task.matrix @ steps
    return _result(
        task,
        before,
        task.predicted(before, left),
        start,
        steps,
        [residual, left],
        kept,
        "preview: nothing was set",
        uid,
        is_preview=True,
    )


def _next(
    task: Task, start: Sequence[Any], total: FloatArray, residual: FloatArray
) -> tuple[FloatArray, int]:
    """Return the total steps after the next iteration, checked, and values kept."""
    solution = task.solve(residual)
    wanted = total + task.options.gain * solution.steps
    try:
        check_moves(task.moves(start, wanted))
    except LimitError as error:
        raise LimitError(
            f"{error}\nthe correction with {solution.kept} singular values leaves the "
            "limits; use fewer (singular_values, cutoff), more tikhonov, or less gain"
        ) from error
    return wanted, solution.kept


def _gain(before: FloatArray, after: FloatArray) -> float:
    """Return by which fraction the rms became smaller; negative when larger."""
    return 1.0 - rms(after) / rms(before) if rms(before) else -rms(after)


def _orbit(task: Task, uid: str) -> MsgGenerator[OrbitResult]:
    events: list[Reading] = []
    for _ in range(task.options.readings):
        yield Msg("checkpoint")
        events.append((yield from take([task.machine.bpms, *task.devices])))
    return orbit_from_events(task.machine.bpms, events, uid)


def _result(
    task: Task,
    before: OrbitResult,
    after: OrbitResult,
    start: Sequence[Any],
    steps: FloatArray,
    history: Sequence[FloatArray],
    kept: int,
    stopped: str,
    uid: str,
    *,
    is_preview: bool = False,
) -> CorrectionResult:
    planes = [np.split(residual, 2) for residual in history]
    return CorrectionResult(
        before=before,
        after=after,
        actuators=task.knobs,
        steps=steps,
        setpoints=task.setpoints(start, steps),
        rms_x=np.array([rms(x) for x, _ in planes]),
        rms_y=np.array([rms(y) for _, y in planes]),
        kept=kept,
        iterations=0 if is_preview else len(history) - 1,
        stopped=stopped,
        is_preview=is_preview,
        uid=uid,
    )


def _result_note(result: CorrectionResult) -> Note:
    return Note(
        "correction",
        {
            "x": result.after.x,
            "y": result.after.y,
            "steps": result.steps,
            "setpoints": result.setpoints,
            "rms_x": result.rms_x,
            "rms_y": result.rms_y,
            "kept": result.kept,
            "iterations": result.iterations,
        },
        {"x": "m", "y": "m", "rms_x": "m", "rms_y": "m"},
        {
            "names": list(result.after.names),
            "knobs": list(result.actuators),
            "stopped": result.stopped,
        },
    )


def _pairs(weights: Mapping[str, float] | None) -> list[list[Any]]:
    """Return weights as pairs: a name with ``/`` cannot be a key in a document."""
    return [[name, weight] for name, weight in (weights or {}).items()]


def _either(given: Any, default: Any) -> Any:
    return default if given is None else given


def _name_of(response: ResponseResult | str | None) -> str:
    if response is None:
        return "design model"
    return response if isinstance(response, str) else response.uid


def _sources(
    response: ResponseResult | str | None, goal: OrbitResult | None
) -> list[str]:
    uids = [_name_of(response)] if response is not None else []
    return [uid for uid in [*uids, goal.uid if goal else ""] if uid]
