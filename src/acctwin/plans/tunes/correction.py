"""Set the tunes: measure, solve, move the quadrupoles, measure again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.response import ResponseResult
from acctwin.analysis.tune import TuneMethod, TuneResult
from acctwin.analysis.tune_correction import (
    SetTuneResult,
    solve_tune,
    whole_target,
)
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans.call import plan
from acctwin.plans.group_knobs import (
    all_boxes,
    group_starts,
    room,
)
from acctwin.plans.guards import check_moves, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import Reading, in_run
from acctwin.plans.targets import Target
from acctwin.plans.tunes.knobs import ramp_knobs, tune_knobs
from acctwin.plans.tunes.reading import (
    TuneView,
    charged,
    check_request,
    read_tunes,
    stored_events,
    stored_view,
    tune_view,
)
from acctwin.plans.tunes.task import MODEL, Task, checked_options, name_of, response_of

#: A limit is approached to within this fraction of the way, which rounding may need.
_ROUNDING = 1e-9
#: A smaller fraction of the way is no step.
_NOTHING = 1e-6
_NAME = "set_tune"


@plan
def set_tune(
    machine: Machine,
    qx: float,
    qy: float,
    *,
    quadrupoles: Sequence[Target] | None = None,
    response: ResponseResult | str | None = None,
    tolerance: float | None = None,
    max_step: float | None = None,
    iterations: int | None = None,
    method: TuneMethod = "monitor",
    readings: int | None = None,
    cross: bool = False,
) -> MsgGenerator[SetTuneResult]:
    """Bring the tunes to a goal with quadrupole families.

    Each iteration solves for the smallest changes of the families, makes them in small
    moves, and measures again. What the limits do not leave room for is not done, and
    that is said; an iteration that brings the tunes further away is taken back. To
    undo it all: ``restore_machine(machine, result.uid, ["quadrupoles"])``.

    Args:
        machine: The machine.
        qx: Horizontal tune, whole or fractional; a fractional one, from 0 to 1, means
            the nearest whole one.
        qy: Vertical tune, in the same way.
        quadrupoles: Families, selections, or quadrupoles, a knob each; default: the
            profile's.
        response: A measured response of the tunes to these knobs, or the uid of its
            run; default: the design model's, ``"model"``.
        tolerance: It ends when both tunes are within this; default: the profile's.
        max_step: Largest change of a tune in one iteration; default: the profile's.
        iterations: At most this many; default: the profile's.
        method: How the tunes are measured, as for ``measure_tune``.
        readings: Of each measurement; default: as for ``measure_tune``.
        cross: Whether the way may go through an integer or half-integer.

    Returns:
        Tunes before and after, what was moved, and why it ended.

    Raises:
        PlanError: The way goes through an integer or half-integer; no families; or the
            response does not know them.
        LimitError: The limits leave no room for any step.
    """
    check_request(machine, method, readings)
    options = checked_options(machine.defaults.tune, tolerance, max_step, iterations)
    wanted = np.array([qx, qy], dtype=np.float64)
    if not np.all(np.isfinite(wanted)):
        raise PlanError(f"the tunes are two numbers, not {qx!r} and {qy!r}")
    knobs = tune_knobs(machine, quadrupoles)

    def body(uid: str) -> MsgGenerator[SetTuneResult]:
        view = yield from tune_view(machine, method, readings, None)
        start = yield from group_starts(knobs)
        matrix = yield from response_of(machine, knobs, start, response)
        task = Task(machine, knobs, start, matrix, view, options, wanted, cross, uid)

        def setting() -> MsgGenerator[SetTuneResult]:
            result = yield from charged(
                machine, method, (None, None), lambda: _set(task)
            )
            yield from write_result(_note(result, view))
            return result

        return (yield from restoring_on_failure(task.behind, setting))

    metadata = {
        "plan_name": "set_tune",
        "plan_args": {
            "qx": qx,
            "qy": qy,
            "quadrupoles": [knob.name for knob in knobs],
            "response": name_of(response),
            "tolerance": options.tolerance,
            "max_step": options.max_step,
            "iterations": options.iterations,
            "method": method,
            "readings": readings,
            "cross": cross,
        },
        "derived_from": [u for u in [name_of(response)] if u not in (MODEL, "")],
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> SetTuneResult:
    """Return what a stored run of ``set_tune`` did.

    The tunes are computed again from its readings; what was decided is in its result.
    """
    stream = run["result"]
    view = stored_view(stream, _NAME)
    stored = {key: stream[f"{_NAME}_{key}"][0] for key in _note_keys()}
    events = stored_events(run["primary"], view)
    count, kept = view.readings, int(stored["iterations"])
    results: list[TuneResult] = []
    for i in range(kept + 1):
        mine = events[count * i : count * (i + 1)]
        results.append(view.near(stored["tunes"][i]).result(mine, run.uid))

    def words(key: str) -> tuple[str, ...]:
        return tuple(str(word) for word in stream.config(f"{_NAME}_{key}"))

    return SetTuneResult(
        before=results[0],
        after=results[-1],
        target=stored["target"],
        tunes=np.array([result.tunes for result in results]),
        knobs=words("knobs"),
        steps=stored["steps"],
        units=words("units"),
        magnets=words("magnets"),
        setpoints=stored["setpoints"],
        iterations=kept,
        reached=bool(stream.config(f"{_NAME}_reached")),
        stopped=str(stream.config(f"{_NAME}_stopped")),
        uid=run.uid,
    )


def _set(task: Task) -> MsgGenerator[SetTuneResult]:
    results = [(yield from _measure(task, task.view))]
    target = whole_target(task.wanted, results[0].tunes)
    task.refuse(results[0], target)
    total = np.zeros(len(task.knobs))
    stopped = ""
    while not stopped and not task.is_reached(results[-1], target):
        if len(results) > task.options.iterations:
            stopped = "all iterations were used"
            break
        wanted, limit = _next(task, total, target - results[-1].tunes)
        if limit and np.array_equal(wanted, total):
            stopped = f"no room is left: {limit}"
            break
        yield from _go(task, total, wanted)
        expected = results[-1].tunes + task.matrix @ (wanted - total)
        result = yield from _measure(task, task.view.near(expected))
        if _distance(result, target) > _distance(results[-1], target):
            yield from _go(task, wanted, total)
            stopped = "the last iteration made it worse and was taken back"
            break
        total = wanted
        results.append(result)
        stopped = f"shortened by a limit: {limit}" if limit else ""
    return (yield from _result(task, results, target, total, stopped))


def _next(task: Task, total: FloatArray, change: FloatArray) -> tuple[FloatArray, str]:
    """Return the total steps after the next iteration, and the limit in its way.

    Raises:
        LimitError: There is no room at all for the first.
    """
    steps = solve_tune(task.matrix, change, task.options.max_step)
    here = {
        name: task.start[name] + step
        for knob, step in zip(task.knobs, total.tolist(), strict=True)
        for name in knob.names
    }
    share, limit = room(task.knobs, here, steps)
    share = min(share, 1.0) * (1.0 - _ROUNDING) if limit else share
    if share < _NOTHING:
        share = 0.0
    if not share and not total.any():
        raise LimitError(
            f"the tunes cannot be changed by {change[0]:+.4f}, {change[1]:+.4f}: "
            f"{limit} is reached already; nothing was moved"
        )
    return total + share * steps, limit


def _go(task: Task, here: FloatArray, there: FloatArray) -> MsgGenerator[None]:
    check_moves(task.moves(there))
    yield from ramp_knobs(task.knobs, task.start, task.matrix, here, there)


def _measure(task: Task, view: TuneView) -> MsgGenerator[TuneResult]:
    moved = all_boxes(task.knobs)
    recorded = [*moved, *(device for device in task.behind if device not in moved)]
    events: list[Reading] = yield from read_tunes(task.machine, view, recorded)
    return view.result(events, task.uid)


def _distance(result: TuneResult, target: FloatArray) -> float:
    return float(np.linalg.norm(result.tunes - target))


def _result(
    task: Task,
    results: Sequence[TuneResult],
    target: FloatArray,
    total: FloatArray,
    stopped: str,
) -> MsgGenerator[SetTuneResult]:
    reached = task.is_reached(results[-1], target)
    now = yield from group_starts(task.knobs)
    magnets = tuple(name for knob in task.knobs for name in knob.names)
    return SetTuneResult(
        before=results[0],
        after=results[-1],
        target=target,
        tunes=np.array([result.tunes for result in results]),
        knobs=tuple(knob.name for knob in task.knobs),
        steps=total,
        units=tuple(knob.unit for knob in task.knobs),
        magnets=magnets,
        setpoints=np.array([now[name] for name in magnets]),
        iterations=len(results) - 1,
        reached=reached,
        stopped="the tunes are reached" if reached else stopped,
        uid=task.uid,
    )


def _note_keys() -> tuple[str, ...]:
    return "target", "tunes", "steps", "setpoints", "iterations"


def _note(result: SetTuneResult, view: TuneView) -> Note:
    return Note(
        _NAME,
        {key: getattr(result, key) for key in _note_keys()},
        configuration={
            **view.configuration(),
            "knobs": list(result.knobs),
            "units": list(result.units),
            "magnets": list(result.magnets),
            "reached": result.reached,
            "stopped": result.stopped,
        },
    )
