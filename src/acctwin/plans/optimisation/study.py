"""Simulation studies in the catalogue: all evaluations as one event."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from bluesky.utils import MsgGenerator, plan

from acctwin.analysis.optimisation import OptimisationResult, Output
from acctwin.data.runs import Run
from acctwin.errors import DataError
from acctwin.plans.note import Note, write_result
from acctwin.plans.optimisation.history import OPTIMISATION
from acctwin.plans.optimisation.problem import Setting
from acctwin.plans.stubs import in_run

NAME = "optimisation_study"


@plan
def store_study(
    setting: Setting, result: OptimisationResult, state: str
) -> MsgGenerator[OptimisationResult]:
    """Store a study; return it with the uid of its run.

    Args:
        setting: The problem, and where the machine was.
        result: What was found.
        state: Run that holds the state of the machine.
    """

    def body(uid: str) -> MsgGenerator[OptimisationResult]:
        yield from write_result(
            Note(
                NAME,
                {
                    "candidates": result.candidates,
                    "outputs": np.hstack([result.values, result.bounded]),
                },
                configuration={"variables": list(result.variables)},
            )
        )
        return replace(result, uid=uid)

    def words(outputs: tuple[Output, ...]) -> list[dict[str, object]]:
        return [vars(output) for output in outputs]

    metadata = {
        "plan_name": NAME,
        "plan_args": {"problem": setting.problem.name, "generator": result.generator},
        OPTIMISATION: {
            "problem": setting.problem.name,
            "generator": result.generator,
            "variables": list(result.variables),
            "units": list(result.units),
            "low": setting.low.tolist(),
            "high": setting.high.tolist(),
            "objectives": words(result.objectives),
            "constraints": words(result.constraints),
        },
        "derived_from": [state],
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> OptimisationResult:
    """Return a stored study.

    Raises:
        DataError: The run is none.
    """
    if run.start.get("plan_name") != NAME or "result" not in run.streams:
        raise DataError(f"run {run.uid} is not a study of an optimisation")
    words, stream = run.start[OPTIMISATION], run["result"]
    outputs = np.asarray(stream[f"{NAME}_outputs"][0], dtype=np.float64)
    candidates = np.asarray(stream[f"{NAME}_candidates"][0], dtype=np.float64)
    count = len(words["objectives"])
    return OptimisationResult(
        variables=tuple(words["variables"]),
        units=tuple(words["units"]),
        objectives=tuple(Output(**one) for one in words["objectives"]),
        constraints=tuple(Output(**one) for one in words["constraints"]),
        candidates=candidates,
        values=outputs[:, :count],
        bounded=outputs[:, count:],
        origins=("start", *["generator"] * (len(candidates) - 1)),
        generator=words["generator"],
        finish="start",
        uid=run.uid,
    )
