"""Change the tunes by a little, without measuring them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.response import ResponseResult
from acctwin.analysis.tune_correction import StepTuneResult, solve_tune
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.actuators import raw
from acctwin.plans.call import plan
from acctwin.plans.group_knobs import all_boxes, all_moves, group_starts
from acctwin.plans.guards import check_arrived, check_moves, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run, take
from acctwin.plans.targets import Target
from acctwin.plans.tunes.knobs import ramp_knobs, tune_knobs
from acctwin.plans.tunes.task import MODEL, name_of, response_of

_NAME = "step_tune"
_VALUES = ("change", "steps", "setpoints")
_WORDS = ("knobs", "units", "magnets")


@plan
def step_tune(
    machine: Machine,
    dqx: float,
    dqy: float,
    *,
    quadrupoles: Sequence[Target] | None = None,
    response: ResponseResult | str | None = None,
) -> MsgGenerator[StepTuneResult]:
    """Change the tunes by an increment; nothing is measured before or after.

    Args:
        machine: The machine.
        dqx: Change of the horizontal tune.
        dqy: Change of the vertical tune.
        quadrupoles: As for ``set_tune``.
        response: As for ``set_tune``.

    Raises:
        LimitError: The new strengths are outside the limits; nothing was moved.
        PlanError: No families; or the response does not know them.
    """
    change = np.array([dqx, dqy], dtype=np.float64)
    if not np.all(np.isfinite(change)):
        raise PlanError(f"the change is two numbers, not {dqx!r} and {dqy!r}")
    knobs = tune_knobs(machine, quadrupoles)
    held = all_boxes(knobs)
    behind = raw(held)
    recorded = [*held, *(device for device in behind if device not in held)]

    def body(uid: str) -> MsgGenerator[StepTuneResult]:
        start = yield from group_starts(knobs)
        matrix = yield from response_of(machine, knobs, start, response)
        steps = solve_tune(matrix, change)
        check_moves(all_moves(knobs, start, steps.tolist()))

        def moving() -> MsgGenerator[StepTuneResult]:
            yield from take(recorded)
            yield from ramp_knobs(knobs, start, matrix, np.zeros(len(knobs)), steps)
            event = yield from take(recorded)
            check_arrived(recorded, event)
            now = yield from group_starts(knobs)
            names = tuple(name for knob in knobs for name in knob.names)
            result = StepTuneResult(
                change,
                tuple(knob.name for knob in knobs),
                steps,
                tuple(knob.unit for knob in knobs),
                names,
                np.array([now[name] for name in names]),
                uid,
            )
            yield from write_result(_note(result))
            return result

        return (yield from restoring_on_failure(behind, moving))

    metadata = {
        "plan_name": "step_tune",
        "plan_args": {
            "dqx": dqx,
            "dqy": dqy,
            "quadrupoles": [knob.name for knob in knobs],
            "response": name_of(response),
        },
        "num_points": 2,
        "derived_from": [u for u in [name_of(response)] if u not in (MODEL, "")],
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> StepTuneResult:
    """Return what a stored run of ``step_tune`` did."""
    stream = run["result"]
    change, steps, setpoints = (stream[f"{_NAME}_{key}"][0] for key in _VALUES)
    knobs, units, magnets = (
        tuple(str(word) for word in stream.config(f"{_NAME}_{key}")) for key in _WORDS
    )
    return StepTuneResult(change, knobs, steps, units, magnets, setpoints, run.uid)


def _note(result: StepTuneResult) -> Note:
    return Note(
        _NAME,
        {key: getattr(result, key) for key in _VALUES},
        configuration={key: list(getattr(result, key)) for key in _WORDS},
    )
