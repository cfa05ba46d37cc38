"""Set the chromaticity: measure, solve, move sextupole families, measure again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.analysis.chromaticity import ChromaticityResult, SetChromaticityResult
from acctwin.analysis.correction import solve_correction
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans import chromaticity_response
from acctwin.plans.chromaticity_knobs import (
    chromaticity_knobs,
    design_response,
    measured_response,
)
from acctwin.plans.chromaticity_scan import (
    ChromaticityScan,
    fit_stored,
    prepare_scan,
    scan_options,
)
from acctwin.plans.group_knobs import (
    GroupKnob,
    all_moves,
    group_starts,
    recorded,
    room,
    supplies_behind,
)
from acctwin.plans.guards import check_moves, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbit_inputs import MODEL, name_of, sources
from acctwin.plans.stubs import ask, in_run, move
from acctwin.plans.targets import Target, title

#: Less than this of what is wanted is not worth a move.
_USELESS = 1e-3
REACHED = "the chromaticity is within the tolerance"


@plan
def set_chromaticity(
    machine: Machine,
    xi_x: float,
    xi_y: float,
    *,
    families: Sequence[Target] | None = None,
    response: ResponseResult | str | None = None,
    tolerance: float | None = None,
    iterations: int | None = None,
    max_step: float | None = None,
    span: float | None = None,
    points: int | None = None,
    order: int | None = None,
    readings: int | None = None,
    settle_s: float | None = None,
    max_step_hz: float | None = None,
) -> MsgGenerator[SetChromaticityResult]:
    """Bring the chromaticity to a value with sextupole families.

    Each iteration measures, solves, and changes the strength of all good members of a
    family by the same amount; of all changes that do it, the smallest are taken. What
    the limits do not leave room for is done as far as they do, and ``stopped`` names
    the limit. An iteration that makes it worse is taken back.

    Args:
        machine: The machine.
        xi_x: Wanted horizontal chromaticity dQ/dδ, not normalised.
        xi_y: Wanted vertical.
        families: Families, selections or magnets, a knob each; default: the profile's.
        response: A measured response of these families, or the uid of its run;
            default, and ``"model"``: the design model's.
        tolerance: It is set when both planes are this near; default: the profile's.
        iterations: At most this many; default: the profile's.
        max_step: Largest change of a plane's chromaticity in one iteration; default:
            all at once.
        span: See ``measure_chromaticity``.
        points: See there.
        order: See there.
        readings: See there.
        settle_s: See there.
        max_step_hz: See there.

    Returns:
        Chromaticity before and after, and what was changed.

    Raises:
        LimitError: There is no room for any change at all; nothing was moved.
        PlanError: There are no knobs, or they do not move both planes.
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
    default = machine.defaults.chromaticity
    limit = default.iterations if iterations is None else iterations
    near = default.tolerance if tolerance is None else tolerance
    _check(limit, near, max_step)
    knobs = chromaticity_knobs(machine, families)
    response = None if response == MODEL else response

    def body(uid: str) -> MsgGenerator[SetChromaticityResult]:
        scan = yield from prepare_scan(machine, options)
        start = yield from group_starts(knobs)
        matrix = yield from _matrix(machine, knobs, start, response)
        task = _Task(
            scan, knobs, matrix, np.array([xi_x, xi_y]), near, limit, max_step, uid
        )

        def setting() -> MsgGenerator[SetChromaticityResult]:
            result = yield from _set(task, start)
            yield from write_result(_result_note(result))
            return result

        return (yield from restoring_on_failure(supplies_behind(knobs), setting))

    metadata = {
        "plan_name": "set_chromaticity",
        "plan_args": {
            "xi_x": xi_x,
            "xi_y": xi_y,
            "families": [title(f) for f in families] if families else None,
            "response": name_of(response),
            "tolerance": near,
            "iterations": limit,
            "max_step": max_step,
            **options.to_document(),
        },
        "num_points": (limit + 1) * options.events,
        "derived_from": sources(response),
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> SetChromaticityResult:
    """Return what a stored run of ``set_chromaticity`` did.

    The chromaticities are computed again from its readings; what was decided is in
    its result.
    """
    stream, result = run["primary"], run["result"]
    number = np.asarray(stream["iteration_number"], dtype=np.int64)
    kept = int(result["set_chromaticity_iterations"][0])
    seen = [fit_stored(stream, run.uid, number == i) for i in range(kept + 1)]
    return SetChromaticityResult(
        target=result["set_chromaticity_target"][0],
        before=seen[0],
        after=seen[-1],
        knobs=tuple(str(k) for k in result.config("set_chromaticity_knobs")),
        steps=result["set_chromaticity_steps"][0],
        units=tuple(str(u) for u in result.config("set_chromaticity_units")),
        history=np.array([one.xi for one in seen]),
        iterations=kept,
        reached=bool(result.config("set_chromaticity_reached")),
        stopped=str(result.config("set_chromaticity_stopped")),
        uid=run.uid,
    )


@dataclass(frozen=True)
class _Task:
    """All that an iteration needs."""

    scan: ChromaticityScan
    knobs: tuple[GroupKnob, ...]
    matrix: FloatArray
    target: FloatArray
    tolerance: float
    iterations: int
    max_step: float | None
    uid: str

    def missing(self, seen: ChromaticityResult) -> float:
        """Return how far the plane that is further off is from its target."""
        return float(np.abs(seen.xi - self.target).max())

    def is_reached(self, seen: ChromaticityResult) -> bool:
        """Tell whether both planes are within the tolerance."""
        return self.missing(seen) <= self.tolerance

    def steps(self, seen: ChromaticityResult) -> FloatArray:
        """Return the smallest changes of the knobs that do what is wanted, (n,)."""
        residual = seen.xi - self.target
        if self.max_step is not None:
            residual = residual * min(1.0, self.max_step / self.missing(seen))
        return solve_correction(self.matrix, residual).steps


def _set(
    task: _Task, start: Mapping[str, float]
) -> MsgGenerator[SetChromaticityResult]:
    number = Note("iteration", {"number": 0})
    devices = recorded(task.knobs)
    total, stopped = np.zeros(len(task.knobs)), ""
    history = [(yield from task.scan.measure(task.uid, [number], devices))]
    while not stopped:
        if task.is_reached(history[-1]):
            stopped = REACHED
        elif len(history) > task.iterations:
            stopped = "all iterations were used"
        else:
            wanted, in_the_way = _next(task, start, total, history[-1])
            if not wanted.any():
                stopped = in_the_way
                break
            number.values["number"] = len(history)
            yield Msg("checkpoint")
            yield from move(all_moves(task.knobs, start, total + wanted))
            seen = yield from task.scan.measure(task.uid, [number], devices)
            if task.missing(seen) > task.missing(history[-1]):
                yield from move(all_moves(task.knobs, start, total))
                stopped = "the last iteration made it worse and was taken back"
                break
            history.append(seen)
            total = total + wanted
            stopped = in_the_way
    return _result(task, history, total, stopped)


def _next(
    task: _Task,
    start: Mapping[str, float],
    total: FloatArray,
    seen: ChromaticityResult,
) -> tuple[FloatArray, str]:
    """Return the next steps, checked; and the limit that is in their way, if any.

    The steps are nothing where the limits leave no room for more.
    """
    steps = task.steps(seen)
    here = dict(start)
    for knob, change in zip(task.knobs, total, strict=True):
        moved = change * knob.shares(start)
        here |= {n: start[n] + d for n, d in zip(knob.names, moved, strict=True)}
    fraction, words = room(task.knobs, here, steps)
    if fraction >= 1.0:
        check_moves(all_moves(task.knobs, start, total + steps))
        return steps, ""
    limit = f"{words}: there is room for {fraction:.1%} of the last change"
    if fraction > _USELESS:
        steps = steps * fraction * (1.0 - 1e-9)
        check_moves(all_moves(task.knobs, start, total + steps))
        return steps, limit
    if not total.any():
        raise LimitError(
            f"{limit}; the chromaticity is {seen.xi[0]:.3f}, {seen.xi[1]:.3f} and "
            f"{task.target[0]:g}, {task.target[1]:g} is wanted; nothing was moved"
        )
    return np.zeros_like(steps), limit


def _matrix(
    machine: Machine,
    knobs: Sequence[GroupKnob],
    start: Mapping[str, float],
    response: ResponseResult | str | None,
) -> MsgGenerator[FloatArray]:
    if response is None:
        matrix = yield from design_response(machine, knobs, start)
    else:
        if isinstance(response, str):
            uid = response
            run = yield from ask(lambda: machine.runs.run(uid))
            response = chromaticity_response.analyse(run)
        matrix = measured_response(response, knobs)
    size = np.abs(matrix).max(axis=0)
    if np.linalg.matrix_rank(matrix / np.where(size > 0.0, size, 1.0), tol=0.05) < 2:
        names = ", ".join(knob.name for knob in knobs)
        raise PlanError(
            f"{names} cannot set both planes: at least two families with unlike "
            "effects are needed"
        )
    return matrix


def _check(iterations: int, tolerance: float, max_step: float | None) -> None:
    if iterations < 1:
        raise PlanError(f"at least 1 iteration is needed, not {iterations}")
    if not tolerance > 0.0:
        raise PlanError(f"tolerance is a positive number, not {tolerance!r}")
    if max_step is not None and not max_step > 0.0:
        raise PlanError(f"max_step is a positive number, not {max_step!r}")


def _result(
    task: _Task,
    history: Sequence[ChromaticityResult],
    total: FloatArray,
    stopped: str,
) -> SetChromaticityResult:
    return SetChromaticityResult(
        target=task.target,
        before=history[0],
        after=history[-1],
        knobs=tuple(knob.name for knob in task.knobs),
        steps=total,
        units=tuple(knob.unit for knob in task.knobs),
        history=np.array([seen.xi for seen in history]),
        iterations=len(history) - 1,
        reached=task.is_reached(history[-1]),
        stopped=stopped,
        uid=task.uid,
    )


def _result_note(result: SetChromaticityResult) -> Note:
    return Note(
        "set_chromaticity",
        {
            "target": result.target,
            "steps": result.steps,
            "history": result.history,
            "iterations": result.iterations,
        },
        {},
        {
            "knobs": list(result.knobs),
            "units": list(result.units),
            "reached": result.reached,
            "stopped": result.stopped,
        },
    )
