"""Set the chromaticity: measure, solve, move sextupole families, measure again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.chromaticity import ChromaticityResult, SetChromaticityResult
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.names import FloatArray
from acctwin.plans.call import plan
from acctwin.plans.group_knobs import all_moves, recorded, supplies_behind
from acctwin.plans.guards import restoring_on_failure
from acctwin.plans.momentum.chromaticity_knobs import chromaticity_knobs
from acctwin.plans.momentum.chromaticity_scan import fit_stored, scan_options
from acctwin.plans.momentum.chromaticity_task import Aim, Task, next_steps, prepare_task
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits.inputs import MODEL, name_of, sources
from acctwin.plans.stubs import in_run, move
from acctwin.plans.targets import Target, title

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
    aim = Aim(
        xi_x,
        xi_y,
        default.tolerance if tolerance is None else tolerance,
        default.iterations if iterations is None else iterations,
        max_step,
    )
    aim.check()
    knobs = chromaticity_knobs(machine, families)
    response = None if response == MODEL else response

    def body(uid: str) -> MsgGenerator[SetChromaticityResult]:
        task = yield from prepare_task(machine, options, knobs, response, aim, uid)

        def setting() -> MsgGenerator[SetChromaticityResult]:
            result = yield from _set(task)
            yield from write_result(_result_note(result))
            return result

        return (yield from restoring_on_failure(supplies_behind(knobs), setting))

    metadata = {
        "plan_name": "set_chromaticity",
        "plan_args": {
            **aim.to_document(),
            "families": [title(f) for f in families] if families else None,
            "response": name_of(response),
            **options.to_document(),
        },
        "num_points": (aim.iterations + 1) * options.events,
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


def _set(task: Task) -> MsgGenerator[SetChromaticityResult]:
    number = Note("iteration", {"number": 0})
    devices = recorded(task.knobs)
    total, stopped = np.zeros(len(task.knobs)), ""
    history = [(yield from task.scan.measure(task.uid, [number], devices))]
    while not stopped:
        if task.is_reached(history[-1]):
            stopped = REACHED
        elif len(history) > task.aim.iterations:
            stopped = "all iterations were used"
        else:
            wanted, in_the_way = next_steps(task, total, history[-1])
            if not wanted.any():
                stopped = in_the_way
                break
            number.values["number"] = len(history)
            yield Msg("checkpoint")
            yield from move(all_moves(task.knobs, task.start, total + wanted))
            seen = yield from task.scan.measure(task.uid, [number], devices)
            if task.missing(seen) > task.missing(history[-1]):
                yield from move(all_moves(task.knobs, task.start, total))
                stopped = "the last iteration made it worse and was taken back"
                break
            history.append(seen)
            total = total + wanted
            stopped = in_the_way
    return _result(task, history, total, stopped)


def _result(
    task: Task,
    history: Sequence[ChromaticityResult],
    total: FloatArray,
    stopped: str,
) -> SetChromaticityResult:
    return SetChromaticityResult(
        target=task.aim.target,
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
