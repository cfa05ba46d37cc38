"""How the coupling is corrected: what is solved, set, measured and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.correction import Solution, solve_correction
from acctwin.analysis.coupling import CrossResponse, CrossTerms, SetCouplingResult
from acctwin.errors import LimitError
from acctwin.names import FloatArray
from acctwin.plans.actuators import raw
from acctwin.plans.coupling.response import CrossJob
from acctwin.plans.guards import check_moves, restore
from acctwin.plans.knobs import Knobs
from acctwin.plans.stubs import ask, move, setpoints

#: An iteration that gains less than this fraction is the last one.
WORTHWHILE = 0.01


@dataclass(frozen=True)
class Options:
    """How a correction is solved and applied; see ``set_coupling``."""

    singular_values: int | None
    cutoff: float
    dispersion_weight: float
    gain: float
    iterations: int


@dataclass(frozen=True)
class Task:
    """All that an iteration needs.

    Attributes:
        job: How the coupling is measured.
        knobs: Skew quadrupoles.
        derivative: Of the response by the skews, (2·n_bpm, n_act, n_skew).
        start: Setpoint of each device of the knobs.
        options: How it is solved and applied.
        uid: Of the run.
    """

    job: CrossJob
    knobs: Knobs
    derivative: FloatArray
    start: Sequence[Any]
    options: Options
    uid: str

    def next(
        self, terms: CrossTerms, total: FloatArray, found: CrossResponse
    ) -> tuple[FloatArray, Solution]:
        """Return the total steps after the next iteration, checked, and the solution.

        Raises:
            LimitError: They leave the limits.
        """
        solution = solve_correction(
            terms.select(self.derivative),
            terms.select(found.response.matrix),
            singular_values=self.options.singular_values,
            cutoff=self.options.cutoff,
        )
        wanted = total + self.options.gain * solution.steps
        try:
            check_moves(self.knobs.moves(self.start, wanted))
        except LimitError as error:
            raise LimitError(
                f"{error}\nthe correction with {solution.kept} singular values leaves "
                "the limits; use fewer (singular_values, cutoff), or less gain"
            ) from error
        return wanted, solution


def prepare(
    job: CrossJob, knobs: Knobs, options: Options, uid: str
) -> MsgGenerator[Task]:
    """Ask the design what the skews do, and the skews where they are."""
    design = job.machine.design
    derivative = yield from ask(
        lambda: design.coupling_response(job.bpms, job.model_actuators, knobs.names)
    )
    start = yield from setpoints(knobs.devices)
    return Task(job, knobs, derivative, start, options, uid)


def correct(task: Task) -> MsgGenerator[SetCouplingResult]:
    """Measure, solve, set, measure again; take back what makes it worse.

    Raises:
        LimitError: The first solution leaves the limits; nothing of it was set.
    """
    note = yield from task.job.note()
    before = yield from task.job.measure(note, task.uid)
    terms = CrossTerms.of(before, task.options.dispersion_weight)
    after, total, kept = before, np.zeros(len(task.knobs)), 0
    history = [_size(terms, before)]
    stopped = "all iterations were used"
    for number in range(1, task.options.iterations + 1):
        try:
            wanted, solution = task.next(terms, total, after)
        except LimitError as error:
            if number == 1:
                raise
            stopped = f"another iteration would leave the limits: {error}"
            break
        behind = raw(task.knobs.devices)
        here = yield from setpoints(behind)
        yield Msg("checkpoint")
        yield from move(task.knobs.moves(task.start, wanted))
        note.values["pass"] = number
        found = yield from task.job.measure(note, task.uid)
        size = _size(terms, found)
        if size > history[-1]:
            yield from restore(list(zip(behind, here, strict=True)))
            stopped = "the last iteration made it worse and was taken back"
            break
        after, total, kept = found, wanted, solution.kept
        history.append(size)
        if size > (1.0 - WORTHWHILE) * history[-2]:
            stopped = f"an iteration gained less than {WORTHWHILE:.0%}"
            break
    return _result(task, before, after, total, history, kept, stopped)


def predict(task: Task) -> MsgGenerator[SetCouplingResult]:
    """Measure and solve; say what would be set, and what should come of it.

    Raises:
        LimitError: The solution leaves the limits.
    """
    before = yield from task.job.measure((yield from task.job.note()), task.uid)
    terms = CrossTerms.of(before, task.options.dispersion_weight)
    steps, solution = task.next(terms, np.zeros(len(task.knobs)), before)
    after = before.with_matrix(before.response.matrix + task.derivative @ steps)
    history = [_size(terms, before), _size(terms, after)]
    words = "preview: nothing was set"
    result = _result(task, before, after, steps, history, solution.kept, words)
    return replace(result, iterations=0, is_preview=True)


def _size(terms: CrossTerms, found: CrossResponse) -> float:
    return float(np.linalg.norm(terms.select(found.response.matrix)))


def _result(
    task: Task,
    before: CrossResponse,
    after: CrossResponse,
    steps: FloatArray,
    history: Sequence[float],
    kept: int,
    stopped: str,
) -> SetCouplingResult:
    return SetCouplingResult(
        before=before,
        after=after,
        skews=task.knobs.names,
        steps=steps,
        setpoints=task.knobs.setpoints(task.start, steps),
        unit=task.knobs.devices[0].bounds.unit,
        residual=np.array(history),
        kept=kept,
        iterations=len(history) - 1,
        stopped=stopped,
        is_preview=False,
        uid=task.uid,
    )
