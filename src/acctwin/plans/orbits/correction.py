"""Correct the orbit: measure, solve, set, measure again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.correction import CorrectionResult, Solution
from acctwin.analysis.orbit import OrbitResult, mean_orbit, rms
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError
from acctwin.names import BPMS, FloatArray
from acctwin.plans.actuators import Units, raw
from acctwin.plans.call import plan
from acctwin.plans.guards import (
    check_arrived,
    check_moves,
    require,
    restoring_on_failure,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits.correction_task import Options, Task, cut, prepare
from acctwin.plans.orbits.inputs import (
    goal_or_reference,
    name_of,
    response_or_reference,
    sources,
)
from acctwin.plans.orbits.orbit import orbit_from_events, stored_positions
from acctwin.plans.stubs import Reading, in_run, move, setpoints, take

NAME = "correct_orbit"
#: An iteration that gains less than this fraction of the rms is the last one.
WORTHWHILE = 0.01
_RESULTS = ("x", "y", "steps", "setpoints", "rms_x", "rms_y", "kept", "iterations")


@plan
def correct_orbit(
    machine: Machine,
    response: ResponseResult | str | None = None,
    *,
    goal: OrbitResult | str | None = None,
    singular_values: int | None = None,
    cutoff: float | None = None,
    tikhonov: float = 0.0,
    best: int | None = None,
    keep_energy: bool = False,
    gain: float | None = None,
    iterations: int | None = None,
    rf: bool | None = None,
    bpm_weights: Mapping[str, float] | None = None,
    corrector_weights: Mapping[str, float] | None = None,
    units: Units = "physics",
    readings: int | None = None,
    preview: bool = False,
) -> MsgGenerator[CorrectionResult]:
    """Bring the orbit to its goal with the correctors, and the RF if asked.

    Each iteration measures, solves and sets. It ends when the iterations are used
    up or an iteration gains less than 1 %; an iteration that makes the orbit worse
    is taken back. To undo it all later: ``restore_machine(machine, correction.uid,
    ["hcm", "vcm"])``, and ``"rf"`` where that was a knob.

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
        best: Use only this many correctors, those that gain most (MICADO), instead
            of singular values.
        keep_energy: Hold the sum of kick times design dispersion of the correctors,
            so that they leave the path length, and with it the energy, to the RF.
        gain: Fraction of the solution that is applied; default: the profile's.
        iterations: At most this many; default: the profile's.
        rf: Whether the RF frequency is an extra knob; default: the profile's.
        bpm_weights: Weight of some BPMs, by name; default 1.
        corrector_weights: Freedom of some correctors, by name; default 1.
        units: ``"physics"``: strengths are set; ``"hardware"``: the currents of the
            supplies behind them, with a response measured in those units; other
            fields that these supplies make move along.
        readings: Averaged for each orbit; default: the profile's.
        preview: Only say what would be done.

    Returns:
        Orbits before and after, and what was changed.

    Raises:
        LimitError: The solution leaves the limits; nothing of it was set.
        PlanError: No good BPM or corrector is in the response, or it is in other
            units.
    """
    require(machine, [BPMS], "there is no orbit to correct")
    response = yield from response_or_reference(machine, response)
    target = yield from goal_or_reference(machine, goal)
    default = machine.defaults.correction
    options = Options(
        *cut(default, singular_values, cutoff),
        tikhonov,
        _either(gain, default.gain),
        _either(iterations, default.iterations),
        _either(rf, default.rf),
        _either(readings, machine.defaults.orbit.readings),
        units,
        best,
        keep_energy,
    )
    weights = bpm_weights, corrector_weights

    def body(uid: str) -> MsgGenerator[CorrectionResult]:
        task = yield from prepare(machine, response, target, options, NAME, *weights)

        def correcting() -> MsgGenerator[CorrectionResult]:
            result = yield from _correct(task, uid, preview)
            yield from write_result(_result_note(result))
            return result

        return (yield from restoring_on_failure(raw(task.devices), correcting))

    metadata = {
        "plan_name": NAME,
        "plan_args": {
            **asdict(options),
            "response": name_of(response),
            "goal": target.uid if target else "zero",
            "bpm_weights": _pairs(bpm_weights),
            "corrector_weights": _pairs(corrector_weights),
            "preview": preview,
        },
        "derived_from": sources(response, target),
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> CorrectionResult:
    """Return what a stored run of ``correct_orbit`` did.

    The orbits are computed again from its readings; what was decided is in its
    result.
    """
    stream, readings = run["result"], int(run.start["plan_args"]["readings"])
    stored = {key: stream[f"correction_{key}"][0] for key in _RESULTS}
    x, y, names, s = stored_positions(run)
    is_preview = bool(stream.config("correction_is_preview"))
    first, last = (
        slice(readings * i, readings * (i + 1)) for i in (0, stored["iterations"])
    )
    before = mean_orbit(names, s, x[first], y[first], run.uid)
    after = mean_orbit(names, s, x[last], y[last], run.uid)
    if is_preview:
        after = replace(before, x=stored["x"], y=stored["y"])
    return CorrectionResult(
        before=before,
        after=after,
        actuators=tuple(str(name) for name in stream.config("correction_knobs")),
        steps=stored["steps"],
        setpoints=stored["setpoints"],
        rms_x=stored["rms_x"],
        rms_y=stored["rms_y"],
        kept=int(stored["kept"]),
        iterations=int(stored["iterations"]),
        stopped=str(stream.config("correction_stopped")),
        is_preview=is_preview,
        uid=run.uid,
    )


def _correct(task: Task, uid: str, preview: bool) -> MsgGenerator[CorrectionResult]:
    before = yield from _orbit(task, uid)
    start = yield from setpoints(task.devices)
    if preview:
        return _preview(task, before, start, uid)
    orbit, total, kept = before, np.zeros(len(task.knobs)), 0
    history = [task.residual(before)]
    stopped = "all iterations were used"
    for _ in range(task.options.iterations):
        wanted, solution = _next(task, start, total, history[-1])
        task, kept = task.keeping(solution), max(kept, solution.kept)
        yield Msg("checkpoint")
        yield from move(task.knobs.moves(start, wanted))
        orbit_now = yield from _orbit(task, uid)
        history.append(task.residual(orbit_now))
        gained = _gain(history[-2], history[-1])
        if gained < 0.0:
            history.pop()
            yield from move(task.knobs.moves(start, total))
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
    steps, solution = _next(task, start, np.zeros(len(task.knobs)), residual)
    left = residual + task.matrix @ steps
    return _result(
        task,
        before,
        task.predicted(before, left),
        start,
        steps,
        [residual, left],
        solution.kept,
        "preview: nothing was set",
        uid,
        is_preview=True,
    )


def _next(
    task: Task, start: Sequence[Any], total: FloatArray, residual: FloatArray
) -> tuple[FloatArray, Solution]:
    """Return the total steps after the next iteration, checked, and the solution."""
    solution = task.solve(residual)
    wanted = total + task.options.gain * solution.steps
    try:
        check_moves(task.knobs.moves(start, wanted))
    except LimitError as error:
        raise LimitError(_outside(task, error, solution.kept)) from error
    return wanted, solution


def _outside(task: Task, error: LimitError, kept: int) -> str:
    if task.options.best is not None:
        return (
            f"{error}\nthe correction with {kept} correctors leaves the limits; use "
            "more of them (best), or less gain"
        )
    return (
        f"{error}\nthe correction with {kept} singular values leaves the limits; use "
        "fewer (singular_values, cutoff), more tikhonov, or less gain"
    )


def _gain(before: FloatArray, after: FloatArray) -> float:
    """Return by which fraction the rms became smaller; negative when larger."""
    return 1.0 - rms(after) / rms(before) if rms(before) else -rms(after)


def _orbit(task: Task, uid: str) -> MsgGenerator[OrbitResult]:
    events: list[Reading] = []
    for _ in range(task.options.readings):
        yield Msg("checkpoint")
        events.append((yield from take([task.machine.bpms, *task.devices])))
        check_arrived(task.devices, events[-1])
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
        actuators=task.knobs.names,
        steps=steps,
        setpoints=task.knobs.setpoints(start, steps),
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
            "is_preview": result.is_preview,
        },
    )


def _pairs(weights: Mapping[str, float] | None) -> list[list[Any]]:
    """Return weights as pairs: a name with ``/`` cannot be a key in a document."""
    return [[name, weight] for name, weight in (weights or {}).items()]


def _either(given: Any, default: Any) -> Any:
    return default if given is None else given
