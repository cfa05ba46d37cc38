"""Correct the orbit: measure, solve, set, measure again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.analysis.correction import CorrectionResult, Solution, solve_correction
from acctwin.analysis.orbit import OrbitResult, rms
from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError, PlanError
from acctwin.names import BPMS, HCM, VCM, FloatArray, IntArray
from acctwin.plans import response as response_plan
from acctwin.plans.guards import check_moves, require, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbit import orbit_from_events
from acctwin.plans.stubs import Reading, ask, in_run, move, setpoints, take

log = logging.getLogger(__name__)

#: An iteration that gains less than this fraction of the rms is the last one.
WORTHWHILE = 0.01


@plan
def correct_orbit(
    machine: Machine,
    response: ResponseResult | str | None = None,
    *,
    goal: OrbitResult | None = None,
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
        response: A measured response, or the uid of its run; default: the design
            model's, and that is said.
        goal: Orbit to reach; default: zero.
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
    options = _options(machine, singular_values, cutoff, gain, iterations, rf)
    count = machine.defaults.orbit.readings if readings is None else readings
    metadata = {
        "plan_name": "correct_orbit",
        "plan_args": {
            **options.__dict__,
            "tikhonov": tikhonov,
            "readings": count,
            "preview": preview,
            "response": _name_of(response),
            "goal": goal.uid if goal else None,
        },
    }

    def body(uid: str) -> MsgGenerator[CorrectionResult]:
        task = yield from _prepare(
            machine, response, goal, options, bpm_weights, corrector_weights
        )
        task = replace(task, readings=count, tikhonov=tikhonov)

        def correcting() -> MsgGenerator[CorrectionResult]:
            result = yield from _correct(task, uid, preview)
            yield from write_result(_result_note(result))
            return result

        return (yield from restoring_on_failure(task.devices, correcting))

    return (yield from in_run(body, metadata))


@dataclass(frozen=True)
class Options:
    """What the profile says, unless the user said otherwise."""

    singular_values: int | None
    cutoff: float
    gain: float
    iterations: int
    rf: bool


@dataclass(frozen=True)
class Task:
    """All that an iteration needs.

    Attributes:
        machine: The machine.
        devices: Families, and the RF, that are set.
        knobs: Name of each knob, in the order of the matrix's columns.
        places: Index of each knob in its device's array, by device.
        rows: Which of the good BPMs are in the matrix, (n_bpm,).
        matrix: Response, (2·n_bpm, n_knobs).
        goal: x then y [m], (2·n_bpm,).
        monitor_weights: (2·n_bpm,).
        freedom: Relative freedom of each knob, (n_knobs,).
        options: As given.
        readings: Averaged for each orbit.
        tikhonov: Damping.
    """

    machine: Machine
    devices: tuple[Any, ...]
    knobs: tuple[str, ...]
    places: tuple[IntArray, ...]
    rows: IntArray
    matrix: FloatArray
    goal: FloatArray
    monitor_weights: FloatArray
    freedom: FloatArray
    options: Options
    readings: int = 1
    tikhonov: float = 0.0

    def residual(self, orbit: OrbitResult) -> FloatArray:
        """Return orbit minus goal at the BPMs in the matrix, x then y."""
        return np.concatenate([orbit.x[self.rows], orbit.y[self.rows]]) - self.goal

    def solve(self, residual: FloatArray) -> Solution:
        """Return the steps that cancel a residual."""
        size = np.sqrt(np.mean(np.square(self.matrix), axis=0))
        return solve_correction(
            self.matrix,
            residual,
            monitor_weights=self.monitor_weights,
            actuator_weights=self.freedom / np.where(size > 0.0, size, np.inf),
            singular_values=self.options.singular_values,
            cutoff=self.options.cutoff,
            tikhonov=self.tikhonov,
        )

    def applied(self, start: list[Any], steps: FloatArray) -> list[tuple[Any, Any]]:
        """Return where each device goes when the steps are added."""
        moves: list[tuple[Any, Any]] = []
        first = 0
        for device, before, places in zip(
            self.devices, start, self.places, strict=True
        ):
            wanted = np.array(before, dtype=np.float64, ndmin=1)
            wanted[places] += steps[first : first + len(places)]
            first += len(places)
            moves.append((device, wanted if np.ndim(before) else float(wanted[0])))
        return moves


def _options(
    machine: Machine,
    singular_values: int | None,
    cutoff: float | None,
    gain: float | None,
    iterations: int | None,
    rf: bool | None,
) -> Options:
    default = machine.defaults.correction
    by_cutoff = singular_values is None and cutoff is not None
    return Options(
        None if by_cutoff else _either(singular_values, default.singular_values),
        _either(cutoff, default.cutoff),
        _either(gain, default.gain),
        _either(iterations, default.iterations),
        _either(rf, default.rf),
    )


def _either(given: Any, default: Any) -> Any:
    return default if given is None else given


def _name_of(response: ResponseResult | str | None) -> str:
    if response is None:
        return "design model"
    return response if isinstance(response, str) else response.uid


def _prepare(
    machine: Machine,
    response: ResponseResult | str | None,
    goal: OrbitResult | None,
    options: Options,
    bpm_weights: Mapping[str, float] | None,
    corrector_weights: Mapping[str, float] | None,
) -> MsgGenerator[Task]:
    if options.rf:
        require(machine, ["rf"], "the RF cannot be a knob")
    measured = yield from _resolve(machine, response)
    bpms = [
        n
        for n, good in zip(machine.bpms.names, machine.bpms.status, strict=True)
        if good
    ]
    known = set(measured.monitors)
    rows = [i for i, n in enumerate(bpms) if {f"{n}:x", f"{n}:y"} <= known]
    families = [getattr(machine, f) for f in (HCM, VCM) if machine.has(f)]
    chosen = [
        [n for n in family.good().names if n in set(measured.actuators)]
        for family in families
    ]
    names = [name for group in chosen for name in group]
    if not rows or not names:
        raise PlanError("no good BPM, or no good corrector, is in the response")
    labels = [f"{bpms[i]}:{plane}" for plane in ("x", "y") for i in rows]
    matrix = measured.block(labels, names)
    places = [
        np.array([family.names.index(n) for n in group])
        for family, group in zip(families, chosen, strict=True)
    ]
    if options.rf:
        column = yield from _rf_column(
            machine, measured, labels, [bpms[i] for i in rows]
        )
        matrix = np.column_stack([matrix, column])
        families, places = [*families, machine.rf], [*places, np.array([0])]
        names = [*names, "rf"]
    weights = [float((bpm_weights or {}).get(bpms[i], 1.0)) for i in rows]
    return Task(
        machine=machine,
        devices=tuple(families),
        knobs=tuple(names),
        places=tuple(places),
        rows=np.array(rows),
        matrix=matrix,
        goal=_goal(goal, [bpms[i] for i in rows]),
        monitor_weights=np.array(weights * 2),
        freedom=np.array([(corrector_weights or {}).get(n, 1.0) for n in names]),
        options=options,
    )


def _resolve(
    machine: Machine, response: ResponseResult | str | None
) -> MsgGenerator[ResponseResult]:
    if isinstance(response, ResponseResult):
        return response
    if isinstance(response, str):
        run = yield from ask(lambda: machine.runs.run(response))
        return response_plan.analyse(run)
    log.warning(
        "correct_orbit: no measured response was given; using the design model's"
    )
    families = [getattr(machine, f) for f in (HCM, VCM) if machine.has(f)]
    actuators = tuple(n for family in families for n in family.names)
    bpms = machine.bpms.names
    matrix = yield from ask(lambda: machine.design.orbit_response(bpms, actuators))
    labels = tuple(f"{n}:{plane}" for plane in ("x", "y") for n in bpms)
    return ResponseResult(
        matrix,
        np.full_like(matrix, np.nan),
        labels,
        actuators,
        np.zeros(len(actuators)),
        ("m/rad",) * len(actuators),
    )


def _rf_column(
    machine: Machine, measured: ResponseResult, labels: list[str], bpms: list[str]
) -> MsgGenerator[FloatArray]:
    name = machine.rf.info.name
    if name in measured.actuators:
        return measured.block(labels, [name])[:, 0]
    log.warning("correct_orbit: the response holds no RF; using the design model's")
    column = yield from ask(lambda: machine.design.orbit_response(bpms, ["rf"]))
    return column[:, 0]


def _goal(goal: OrbitResult | None, bpms: list[str]) -> FloatArray:
    if goal is None:
        return np.zeros(2 * len(bpms))
    index = {name: i for i, name in enumerate(goal.names)}
    missing = [name for name in bpms if name not in index]
    if missing:
        raise PlanError(f"the goal has no value for {', '.join(missing[:5])}")
    rows = [index[name] for name in bpms]
    return np.concatenate([goal.x[rows], goal.y[rows]])


def _correct(task: Task, uid: str, preview: bool) -> MsgGenerator[CorrectionResult]:
    before = yield from _orbit(task, uid)
    start = yield from setpoints(task.devices)
    history = [task.residual(before)]
    total, orbit, kept = np.zeros(len(task.knobs)), before, 0
    stopped = "all iterations were used"
    for _ in range(1 if preview else task.options.iterations):
        solution = task.solve(history[-1])
        wanted = total + task.options.gain * solution.steps
        kept = solution.kept
        moves = task.applied(start, wanted)
        _check(moves, kept)
        if preview:
            stopped = "preview: nothing was set"
            history.append(history[-1] + task.matrix @ (wanted - total))
            orbit, total = _predicted(task, before, history[-1]), wanted
            break
        yield Msg("checkpoint")
        yield from move(moves)
        orbit_now = yield from _orbit(task, uid)
        now = task.residual(orbit_now)
        if rms(now) > rms(history[-1]):
            yield from move(task.applied(start, total))
            stopped = "the last iteration made it worse and was taken back"
            break
        gained = 1.0 - rms(now) / rms(history[-1]) if rms(history[-1]) else 0.0
        orbit, total = orbit_now, wanted
        history.append(now)
        if gained < WORTHWHILE:
            stopped = f"an iteration gained less than {WORTHWHILE:.0%}"
            break
    return CorrectionResult(
        before=before,
        after=orbit,
        actuators=task.knobs,
        steps=total,
        setpoints=_values(task, task.applied(start, total)),
        rms_x=np.array([rms(h[: len(h) // 2]) for h in history]),
        rms_y=np.array([rms(h[len(h) // 2 :]) for h in history]),
        kept=kept,
        iterations=0 if preview else len(history) - 1,
        stopped=stopped,
        is_preview=preview,
        uid=uid,
    )


def _orbit(task: Task, uid: str) -> MsgGenerator[OrbitResult]:
    events: list[Reading] = []
    for _ in range(task.readings):
        yield Msg("checkpoint")
        events.append((yield from take([task.machine.bpms, *task.devices])))
    return orbit_from_events(task.machine.bpms, events, uid)


def _check(moves: list[tuple[Any, Any]], kept: int) -> None:
    try:
        check_moves(moves)
    except LimitError as error:
        raise LimitError(
            f"{error}\nthe correction with {kept} singular values leaves the limits; "
            "use fewer (singular_values, cutoff), more tikhonov, or less gain"
        ) from error


def _predicted(task: Task, before: OrbitResult, residual: FloatArray) -> OrbitResult:
    """Return the orbit that a residual stands for, where BPMs are in the matrix."""
    x, y = before.x.copy(), before.y.copy()
    half = len(task.rows)
    x[task.rows] = (residual + task.goal)[:half]
    y[task.rows] = (residual + task.goal)[half:]
    return replace(before, x=x, y=y)


def _values(task: Task, moves: list[tuple[Any, Any]]) -> FloatArray:
    return np.concatenate([
        np.atleast_1d(value)[places]
        for (_, value), places in zip(moves, task.places, strict=True)
    ])


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
