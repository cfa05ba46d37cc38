"""What setting the chromaticity works with: an aim, knobs, and the next steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.chromaticity import ChromaticityResult
from acctwin.analysis.correction import solve_correction
from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans.group_knobs import GroupKnob, all_moves, group_starts, room
from acctwin.plans.guards import check_moves
from acctwin.plans.momentum import chromaticity_response
from acctwin.plans.momentum.chromaticity_knobs import design_response, measured_response
from acctwin.plans.momentum.chromaticity_scan import (
    ChromaticityScan,
    ScanOptions,
    prepare_scan,
)
from acctwin.plans.stubs import ask

#: Less than this of what is wanted is not worth a move.
_USELESS = 1e-3
#: Columns that are less unlike than this cannot set both planes.
_UNLIKE = 0.05


@dataclass(frozen=True)
class Aim:
    """What is wanted; see ``set_chromaticity``."""

    xi_x: float
    xi_y: float
    tolerance: float
    iterations: int
    max_step: float | None

    @property
    def target(self) -> FloatArray:
        """Wanted chromaticity, (2,)."""
        return np.array([self.xi_x, self.xi_y])

    def check(self) -> None:
        """Refuse what makes no sense.

        Raises:
            PlanError: It does not.
        """
        if self.iterations < 1:
            raise PlanError(f"at least 1 iteration is needed, not {self.iterations}")
        if not self.tolerance > 0.0:
            raise PlanError(f"tolerance is a positive number, not {self.tolerance!r}")
        if self.max_step is not None and not self.max_step > 0.0:
            raise PlanError(f"max_step is a positive number, not {self.max_step!r}")

    def to_document(self) -> dict[str, Any]:
        """Return it as a start document holds it."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """All that an iteration needs.

    Attributes:
        scan: How the chromaticity is measured.
        knobs: What is moved.
        start: Strengths by name before anything is moved.
        matrix: d(ξx, ξy)/d(knob), (2, n_knobs).
        aim: What is wanted.
        uid: Of the run.
    """

    scan: ChromaticityScan
    knobs: tuple[GroupKnob, ...]
    start: Mapping[str, float]
    matrix: FloatArray
    aim: Aim
    uid: str

    def missing(self, seen: ChromaticityResult) -> float:
        """Return how far the plane that is further off is from its target."""
        return float(np.abs(seen.xi - self.aim.target).max())

    def is_reached(self, seen: ChromaticityResult) -> bool:
        """Tell whether both planes are within the tolerance."""
        return self.missing(seen) <= self.aim.tolerance

    def steps(self, seen: ChromaticityResult) -> FloatArray:
        """Return the smallest changes of the knobs that do what is wanted, (n,)."""
        residual = seen.xi - self.aim.target
        if self.aim.max_step is not None:
            residual = residual * min(1.0, self.aim.max_step / self.missing(seen))
        return solve_correction(self.matrix, residual).steps


def prepare_task(
    machine: Machine,
    options: ScanOptions,
    knobs: tuple[GroupKnob, ...],
    response: ResponseResult | str | None,
    aim: Aim,
    uid: str,
) -> MsgGenerator[Task]:
    """Read where the knobs are, and find out what they do.

    Args:
        machine: The machine.
        options: How the chromaticity is measured.
        knobs: What is moved.
        response: A measured one, or the uid of its run; None: the design model's.
        aim: What is wanted.
        uid: Of the run.

    Raises:
        PlanError: The knobs do not move both planes.
    """
    scan = yield from prepare_scan(machine, options)
    start = yield from group_starts(knobs)
    if response is None:
        matrix = yield from design_response(machine, knobs, start)
    else:
        if isinstance(response, str):
            key = response
            run = yield from ask(lambda: machine.runs.run(key))
            response = chromaticity_response.analyse(run)
        matrix = measured_response(response, knobs)
    _check_both_planes(matrix, knobs)
    return Task(scan, knobs, start, matrix, aim, uid)


def next_steps(
    task: Task, total: FloatArray, seen: ChromaticityResult
) -> tuple[FloatArray, str]:
    """Return the next steps, checked; and the limit that is in their way, if any.

    The steps are nothing where the limits leave no room for more.

    Args:
        task: The task.
        total: Steps so far, (n_knobs,).
        seen: The chromaticity after them.

    Raises:
        LimitError: There is no room at all, and nothing has been moved yet.
    """
    steps = task.steps(seen)
    fraction, words = room(task.knobs, _moved(task, total), steps)
    limit = ""
    if fraction < 1.0:
        limit = f"{words}: there is room for {fraction:.1%} of the last change"
        # A hair less, so that rounding does not lead out of the limits.
        steps = steps * (fraction * (1.0 - 1e-9))
    if fraction > _USELESS:
        check_moves(all_moves(task.knobs, task.start, total + steps))
        return steps, limit
    if total.any():
        return np.zeros_like(steps), limit
    raise LimitError(
        f"{limit}; the chromaticity is {seen.xi[0]:.3f}, {seen.xi[1]:.3f} and "
        f"{task.aim.xi_x:g}, {task.aim.xi_y:g} is wanted; nothing was moved"
    )


def _moved(task: Task, total: FloatArray) -> dict[str, float]:
    """Return the strengths by name after some steps."""
    here = dict(task.start)
    for knob, change in zip(task.knobs, total, strict=True):
        for name, share in zip(knob.names, knob.shares(task.start), strict=True):
            here[name] += float(change * share)
    return here


def _check_both_planes(matrix: FloatArray, knobs: Sequence[GroupKnob]) -> None:
    size = np.linalg.norm(matrix, axis=0)
    scaled = matrix / np.where(size > 0.0, size, 1.0)
    if np.linalg.matrix_rank(scaled, tol=_UNLIKE) < 2:
        names = ", ".join(knob.name for knob in knobs)
        raise PlanError(
            f"{names} cannot set both planes: at least two families with unlike "
            "effects are needed"
        )
