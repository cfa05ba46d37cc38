"""Stored optimisations: read back, and gone on with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.optimisation import OptimisationResult, Output
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.optimisation.evaluation import FAILED, NAME, ORIGINS, Row
from acctwin.plans.optimisation.problem import Problem, Setting
from acctwin.plans.stubs import ask

#: Key of the start document.
OPTIMISATION = "optimisation"


@dataclass(frozen=True)
class Choice:
    """How an optimisation is done; see ``optimise``."""

    generator: str
    finish: str
    seed: int
    initial: list[list[float]]
    directions: list[list[float]] | None
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """A stored optimisation with all those before it.

    Attributes:
        words: What its start document says.
        rows: All evaluations but final ones.
        uid: Of its run.
    """

    words: Mapping[str, Any]
    rows: tuple[Row, ...]
    uid: str

    def choice(self, finish: str) -> Choice:
        """Return how it was done."""
        names = ("generator", "seed", "initial", "directions")
        same = {name: self.words[name] for name in names}
        return Choice(finish=finish, options=json.loads(self.words["options"]), **same)

    def setting(self, now: Setting) -> Setting:
        """Return the problem with the start and the limits that it had.

        Raises:
            PlanError: It is another problem.
        """
        problem, words = now.problem, self.words
        same = (
            words["problem"] == problem.name
            and tuple(words["knobs"]) == problem.knobs.names
            and _outputs_of(problem) == (words["objectives"], words["constraints"])
            and tuple(words["variables"]) == problem.names
        )
        if not same:
            raise PlanError(
                f"run {self.uid} optimised {words['problem']} of other knobs or with "
                f"other outputs than this {problem.name}: it cannot go on"
            )
        low, high = np.array(words["low"]), np.array(words["high"])
        knobs = problem.knobs
        here = knobs.setpoints(now.places, np.zeros(len(knobs)))
        steps = np.array(words["knob_start"]) - here
        places = [value for _, value in knobs.moves(now.places, steps)]
        start = np.array(words["start"])
        return replace(now, places=places, start=start, low=low, high=high)


def words_of(setting: Setting, choice: Choice, resume: str | None) -> dict[str, Any]:
    """Return what the start document says of an optimisation.

    Names are not keys there, since keys must not have a ``/`` in them.

    Raises:
        PlanError: An option that JSON does not know.
    """
    problem = setting.problem
    knobs = problem.knobs
    objectives, constraints = _outputs_of(problem)
    here = knobs.setpoints(setting.places, np.zeros(len(knobs)))
    try:
        options = json.dumps(dict(choice.options))
    except TypeError as error:
        raise PlanError(f"an option cannot be stored: {error}") from error
    return {
        "problem": problem.name,
        "vocs": json.dumps(setting.vocs()),
        "variables": list(problem.names),
        "low": setting.low.tolist(),
        "high": setting.high.tolist(),
        "units": [variable.unit for variable in problem.variables],
        "objectives": objectives,
        "constraints": constraints,
        "start": setting.start.tolist(),
        "knobs": list(knobs.names),
        "knob_start": here.tolist(),
        **asdict(choice),
        "options": options,
        "resumed_from": resume,
    }


def stored(machine: Machine, uid: str) -> MsgGenerator[Stored]:
    """Return a stored optimisation, with those that it went on from.

    Raises:
        PlanError: The run is none, or holds no evaluation.
    """
    runs: list[Run] = []
    wanted: str | None = uid
    while wanted is not None:
        key = wanted
        run = yield from ask(lambda key=key: machine.runs.run(key))
        if OPTIMISATION not in run.start:
            raise PlanError(f"run {run.uid} is no optimisation: nothing to go on from")
        runs.insert(0, run)
        wanted = run.start[OPTIMISATION]["resumed_from"]
    rows = [row for run in runs for row in rows_of(run) if row.origin != "final"]
    if not rows:
        raise PlanError(f"run {uid} holds no evaluation: begin anew, without resume")
    return Stored(runs[-1].start[OPTIMISATION], tuple(rows), runs[-1].uid)


def rows_of(run: Run) -> list[Row]:
    """Return the evaluations of a stored run, in order."""
    found: dict[int, Row] = {}
    for name in ("primary", FAILED):
        if name not in run.streams:
            continue
        stream = run[name]
        columns = (stream[f"{NAME}_{key}"] for key in _COLUMNS)
        for number, candidate, output, origin in zip(*columns, strict=True):
            found[int(number)] = Row(
                np.array(candidate, dtype=np.float64),
                np.array(output, dtype=np.float64),
                ORIGINS[int(origin)],
            )
    return [found[number] for number in sorted(found)]


_COLUMNS = ("evaluation", "candidate", "output", "origin")


def analyse(run: Run, earlier: Sequence[Run] = ()) -> OptimisationResult:
    """Return what a stored run of ``optimise`` did, also of one that was stopped.

    Args:
        run: The run.
        earlier: Those that it went on from, oldest first.

    Raises:
        PlanError: The run holds no evaluation.
    """
    before = [row for one in earlier for row in rows_of(one) if row.origin != "final"]
    rows = [*before, *rows_of(run)]
    if not rows:
        raise PlanError(f"run {run.uid} holds no evaluation")
    words = run.start[OPTIMISATION]
    outputs: FloatArray = np.array([row.outputs for row in rows])
    count = len(words["objectives"])
    is_done = "result" in run.streams
    return OptimisationResult(
        variables=tuple(words["variables"]),
        units=tuple(words["units"]),
        objectives=tuple(Output(**one) for one in words["objectives"]),
        constraints=tuple(Output(**one) for one in words["constraints"]),
        candidates=np.array([row.candidate for row in rows]),
        values=outputs[:, :count],
        bounded=outputs[:, count:],
        origins=tuple(row.origin for row in rows),
        generator=words["generator"],
        finish=words["finish"],
        resumed=str(run["result"].config(f"{NAME}_resumed")) if is_done else "",
        uid=run.uid,
    )


def _outputs_of(problem: Problem) -> tuple[list[Any], list[Any]]:
    return (
        [asdict(measured.output) for measured in problem.objectives],
        [asdict(measured.output) for measured in problem.constraints],
    )
