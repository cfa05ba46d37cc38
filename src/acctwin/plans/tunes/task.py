"""What ``set_tune`` works with: knobs, what they do, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.response import ResponseResult
from acctwin.analysis.tune import TuneResult
from acctwin.analysis.tune_correction import crossed
from acctwin.defaults import TuneDefaults
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans import response as response_plan
from acctwin.plans.actuators import raw
from acctwin.plans.group_knobs import GroupKnob, all_boxes, all_moves
from acctwin.plans.stubs import ask
from acctwin.plans.tunes import response as tune_response
from acctwin.plans.tunes.knobs import design_response
from acctwin.plans.tunes.reading import TuneView

#: What is said to use the design's response.
MODEL = "model"
_MONITORS = ("tune:qx", "tune:qy")


@dataclass(frozen=True)
class Task:
    """All that an iteration of ``set_tune`` needs.

    Attributes:
        machine: The machine.
        knobs: What is moved.
        start: Strengths of the magnets at the start, by name.
        matrix: What the knobs do to the tunes, (2, n_knobs).
        view: How the tunes are read.
        options: When it ends.
        wanted: Tunes that were asked for, whole or fractional, (2,).
        cross: Whether the way may go through an integer or half-integer.
        uid: Of the run.
    """

    machine: Machine
    knobs: tuple[GroupKnob, ...]
    start: Mapping[str, float]
    matrix: FloatArray
    view: TuneView
    options: TuneDefaults
    wanted: FloatArray
    cross: bool
    uid: str

    @property
    def behind(self) -> list[Any]:
        """What is put back."""
        return raw(all_boxes(self.knobs))

    def moves(self, total: FloatArray) -> list[tuple[Any, float | FloatArray]]:
        """Return where each device goes, given the total steps, (n_knobs,)."""
        return all_moves(self.knobs, self.start, total.tolist())

    def is_reached(self, result: TuneResult, target: FloatArray) -> bool:
        """Tell whether both tunes are within the tolerance."""
        return bool(np.abs(result.tunes - target).max() <= self.options.tolerance)

    def refuse(self, present: TuneResult, target: FloatArray) -> None:
        """Refuse what is not clear, or dangerous.

        Raises:
            PlanError: In a sentence.
        """
        if present.ambiguous:
            raise PlanError(
                f"q{present.ambiguous[0]} may be on either side of the half-integer; "
                "measure with method='turns'"
            )
        line = crossed(present.tunes, target)
        if line is not None and not self.cross:
            raise PlanError(
                f"from {present.qx:.4f}, {present.qy:.4f} to {target[0]:.4f}, "
                f"{target[1]:.4f} a tune goes through {line:g}, where the beam may be "
                "lost; say cross=True if you mean it"
            )


def response_of(
    machine: Machine,
    knobs: Sequence[GroupKnob],
    start: Mapping[str, float],
    response: ResponseResult | str | None,
) -> MsgGenerator[FloatArray]:
    """Return what the knobs do to the tunes, (2, n_knobs).

    Raises:
        PlanError: The response does not know a knob.
    """
    if response is None or response == MODEL:
        return (yield from design_response(machine, knobs, start))
    if isinstance(response, str):
        uid = response
        run = yield from ask(lambda: machine.runs.run(uid))
        is_ours = run.start.get("plan_name") == "measure_tune_response"
        response = (tune_response if is_ours else response_plan).analyse(run)
    names = [knob.name for knob in knobs]
    missing = [name for name in names if name not in response.actuators]
    if missing:
        raise PlanError(
            f"the response does not know {', '.join(missing[:5])}; it is of "
            f"{', '.join(response.actuators[:5])}"
        )
    return response.block(_MONITORS, names)


def checked_options(
    plain: TuneDefaults,
    tolerance: float | None,
    max_step: float | None,
    iterations: int | None,
) -> TuneDefaults:
    """Return the profile's options with those that were given.

    Raises:
        PlanError: One is not positive.
    """
    wanted = replace(
        plain,
        tolerance=plain.tolerance if tolerance is None else tolerance,
        max_step=plain.max_step if max_step is None else max_step,
        iterations=plain.iterations if iterations is None else iterations,
    )
    if not (wanted.tolerance > 0.0 and wanted.max_step > 0.0 and wanted.iterations > 0):
        raise PlanError(
            f"tolerance {wanted.tolerance:g}, max_step {wanted.max_step:g} and "
            f"iterations {wanted.iterations} found; all must be above 0"
        )
    return wanted


def name_of(response: ResponseResult | str | None) -> str:
    """Return how a response is written in a start document."""
    if response is None:
        return MODEL
    return response if isinstance(response, str) else response.uid
