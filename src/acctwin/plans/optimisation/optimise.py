"""Optimise: vary some knobs until what is read is as good as it gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.optimisation import OptimisationResult
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import raw
from acctwin.plans.call import plan
from acctwin.plans.guards import restore, restoring_on_failure
from acctwin.plans.note import Note, write_result
from acctwin.plans.optimisation.evaluation import NAME, Evaluator, result_of
from acctwin.plans.optimisation.generators import (
    SEQUENTIAL,
    Asker,
    check_generator,
    initial_candidates,
    make_asker,
    replay,
)
from acctwin.plans.optimisation.history import (
    OPTIMISATION,
    Choice,
    Stored,
    analyse,
    stored,
    words_of,
)
from acctwin.plans.optimisation.problem import Problem, Setting, setting_of
from acctwin.plans.optimisation.problems import ready_problem
from acctwin.plans.stubs import ask, in_run, setpoints

__all__ = ["analyse", "optimise"]

#: Directions of RCDS that the design model is asked for.
DESIGN = "design"


@plan
def optimise(
    machine: Machine,
    problem: Problem | str,
    generator: str | None = None,
    *,
    evaluations: int = 100,
    finish: Literal["best", "start"] = "best",
    resume: str | None = None,
    seed: int | None = None,
    initial: int | Sequence[Sequence[float]] | None = None,
    directions: Literal["design"] | Sequence[Sequence[float]] | None = DESIGN,
    options: Mapping[str, Any] | None = None,
) -> MsgGenerator[OptimisationResult]:
    """Vary the knobs of a problem until its objective is as good as it gets.

    Each evaluation is an event with the candidate, what was read, and what it is
    worth. A candidate outside the limits of a device is not set. If the beam is lost,
    the evaluation has failed: the knobs go back to the best so far, and it goes on
    when the beam is back. At the end the best is set and measured once more. When it
    is stopped, aborted, or fails, the knobs go back to where they were.

    Args:
        machine: The machine.
        problem: What is varied and what is wanted, or the name of a ready problem:
            ``"vertical_emittance"``, ``"orbit"``, ``"injection_efficiency"``,
            ``"lifetime"``.
        generator: ``"rcds"`` (the default), ``"neldermead"``, ``"bayesian"``
            (expected improvement), ``"mobo"`` (several objectives), ``"random"``.
        evaluations: How many in all, the start and those of a resumed run included.
        finish: ``"best"``: the best is set at the end; ``"start"``: the start.
        resume: Run of a stopped optimisation that goes on, with its generator.
        seed: For what is random; default: another one each time.
        initial: How many random candidates come before the generator is asked, or
            which ones, (n, n_var); default: what the generator needs.
        directions: In which RCDS searches, (n_var, n_dir); default: what the design
            model knows of the problem; None: along the variables.
        options: Of Xopt's generator.

    Raises:
        UnknownName: There is no such generator or problem.
        MissingExtra: Xopt is not installed: ``pip install 'acctwin[optimise]'``.
        PlanError: The problem, the generator and the options do not go together.
        LimitError: The start is outside the limits of a variable.
        BeamLost: The beam did not come back.
        DeviceError: A device is not where it was set to.
    """
    if isinstance(problem, str):
        problem = ready_problem(machine, problem)
    _check(evaluations, finish)
    setting = yield from setting_of(problem)
    earlier: Stored | None = None
    if resume is None:
        name = generator or "rcds"
        check_generator(name, len(problem.objectives))
        choice = yield from _choice(
            setting, name, finish, seed, initial, directions, options
        )
    else:
        earlier = yield from stored(machine, resume)
        choice = earlier.choice(finish)
        setting = earlier.setting(setting)
        _check_resumed(choice, generator, earlier.uid)
    behind = raw(problem.knobs.devices)

    def body(uid: str) -> MsgGenerator[OptimisationResult]:
        here = yield from setpoints(behind)
        pairs = list(zip(behind, here, strict=True))
        evaluator = Evaluator(machine, setting, pairs)
        search = Search(evaluator, choice, evaluations, earlier, uid)
        return (yield from restoring_on_failure(behind, search.run))

    known = len(earlier.rows) if earlier else 0
    metadata = {
        "plan_name": NAME,
        "plan_args": {
            "problem": problem.name,
            "generator": choice.generator,
            "evaluations": evaluations,
            "finish": finish,
            "seed": choice.seed,
            "resume": earlier.uid if earlier else None,
        },
        "num_points": max(0, evaluations - known) + 1,
        OPTIMISATION: words_of(setting, choice, earlier.uid if earlier else None),
        **({"derived_from": [earlier.uid]} if earlier else {}),
    }
    return (yield from in_run(body, metadata))


@dataclass
class Search:
    """An optimisation that is going on.

    Attributes:
        evaluator: Evaluates candidates.
        choice: How it is done.
        evaluations: How many in all.
        earlier: What it goes on from.
        uid: Of the run.
    """

    evaluator: Evaluator
    choice: Choice
    evaluations: int
    earlier: Stored | None
    uid: str
    resumed: str = ""

    def run(self) -> MsgGenerator[OptimisationResult]:
        """Evaluate until all is used, then go where it is to end."""
        rows = self.evaluator.rows
        if self.earlier is not None:
            rows.extend(self.earlier.rows)
        yield from self._begin()
        if len(rows) < self.evaluations:
            asker = yield from ask(self._asker)
            while len(rows) < self.evaluations:
                candidate = yield from ask(asker.suggest)
                row = yield from self.evaluator.evaluate(candidate, "generator")
                asker.learn(row)
        yield from self._finish()
        result = result_of(
            rows,
            self.evaluator.setting,
            generator=self.choice.generator,
            finish=self.choice.finish,
            resumed=self.resumed,
            uid=self.uid,
        )
        yield from write_result(_note(result))
        return result

    def _begin(self) -> MsgGenerator[None]:
        """Evaluate the start and what comes before the generator is asked.

        Raises:
            PlanError: The start could not be measured.
        """
        planned = [self.evaluator.setting.start, *map(np.array, self.choice.initial)]
        for number, candidate in enumerate(planned[: self.evaluations]):
            if number < len(self.evaluator.rows):
                continue
            origin = "initial" if number else "start"
            row = yield from self.evaluator.evaluate(candidate, origin)
            if not number and not np.isfinite(row.outputs).all():
                raise PlanError(
                    f"{self.evaluator.setting.problem.name} has no value at the start: "
                    "there is nothing to be compared with"
                )

    def _asker(self) -> Asker:
        """Return the generator, told of all that is known."""
        rows, setting = self.evaluator.rows, self.evaluator.setting
        asker = self._fresh()
        if self.earlier is None:
            for row in rows:
                asker.learn(row)
        elif self.choice.generator not in SEQUENTIAL:
            self.resumed = "data"
            for row in rows:
                asker.learn(row)
        elif replay(asker, rows, setting):
            self.resumed = "replay"
        else:
            self.resumed = "restart from best"
            asker = self._fresh()
            best = result_of(rows, setting).best
            asker.learn(rows[0 if best is None else best])
        return asker

    def _fresh(self) -> Asker:
        directions = self.choice.directions
        return make_asker(
            self.choice.generator,
            self.evaluator.setting,
            self.evaluator.rows[0],
            seed=self.choice.seed,
            directions=None if directions is None else np.array(directions),
            options=self.choice.options,
        )

    def _finish(self) -> MsgGenerator[None]:
        """Set the best and measure it once more, or go back to the start."""
        best = self.evaluator.best()
        if self.choice.finish == "best" and best is not None:
            yield from self.evaluator.evaluate(best, "final")
        elif self.earlier is None:
            yield from restore(self.evaluator.raw)
        else:
            yield from self.evaluator.go_to(self.evaluator.setting.start)


def _choice(
    setting: Setting,
    generator: str,
    finish: str,
    seed: int | None,
    initial: int | Sequence[Sequence[float]] | None,
    directions: Literal["design"] | Sequence[Sequence[float]] | None,
    options: Mapping[str, Any] | None,
) -> MsgGenerator[Choice]:
    """Return how it is done, with all that was left open."""
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    along: FloatArray | None = None
    if generator == "rcds" and isinstance(directions, str):
        question = setting.problem.directions
        along = (yield from ask(question)) if question is not None else None
    elif directions is not None and not isinstance(directions, str):
        if generator != "rcds":
            raise PlanError(f"directions are for rcds; {generator} knows none")
        along = np.array(directions, dtype=np.float64)
    first = initial_candidates(generator, setting, initial, seed)
    return Choice(
        generator=generator,
        finish=finish,
        seed=seed,
        initial=[candidate.tolist() for candidate in first],
        directions=None if along is None else along.tolist(),
        options=dict(options or {}),
    )


def _check(evaluations: int, finish: str) -> None:
    if evaluations < 1:
        raise PlanError(f"at least 1 evaluation is needed, not {evaluations}")
    if finish not in ("best", "start"):
        raise PlanError(f"finish is 'best' or 'start', not {finish!r}")


def _check_resumed(choice: Choice, generator: str | None, uid: str) -> None:
    if generator is not None and generator != choice.generator:
        raise PlanError(
            f"run {uid} was made with {choice.generator}: it goes on with that, not "
            f"with {generator}"
        )


def _note(result: OptimisationResult) -> Note:
    best = result.best
    missing = np.full(len(result.variables), np.nan)
    values = np.hstack([result.values, result.bounded])
    return Note(
        NAME,
        {
            "evaluations": result.evaluations,
            "failed": int(result.is_failed.sum()),
            "best": missing if best is None else result.candidates[best],
            "first_output": values[0],
            "best_output": values[0] * np.nan if best is None else values[best],
            "last_output": values[-1],
        },
        configuration={
            "variables": list(result.variables),
            "outputs": [o.name for o in (*result.objectives, *result.constraints)],
            "finish": result.finish,
            "resumed": result.resumed,
        },
    )
