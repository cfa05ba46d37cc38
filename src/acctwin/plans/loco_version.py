"""Fitted models in the catalogue: each a run of its own, with what it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator, plan

from acctwin.analysis.loco.gains import Gains
from acctwin.analysis.loco.version import LocoResult
from acctwin.data.runs import Run
from acctwin.errors import DataError
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run

NAME = "loco_fit"
_ARRAYS = (
    "design",
    "values",
    "sigma",
    "beta_at_bpms",
    "design_beta_at_bpms",
    "tunes",
    "history",
)
_GAINS = ("gains", "gains_sigma")


@plan
def store_loco(
    result: LocoResult, options: Mapping[str, Any]
) -> MsgGenerator[LocoResult]:
    """Store a fitted model; return it with the uid of its run.

    Args:
        result: The fit.
        options: How it was made, for the start document.
    """

    def body(uid: str) -> MsgGenerator[LocoResult]:
        yield from write_result(_note(result))
        return replace(result, model_version=uid)

    metadata = {
        "plan_name": NAME,
        "plan_args": dict(options),
        "derived_from": [result.uid],
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> LocoResult:
    """Return a stored fit.

    Raises:
        DataError: The run is no fit.
    """
    if run.start.get("plan_name") != NAME:
        raise DataError(
            f"run {run.uid} is a {run.start.get('plan_name')}, not a fitted model: "
            "name a run that acctwin.workflows.loco.fit has stored"
        )
    stream = run["result"]

    def array(key: str) -> Any:
        return np.asarray(stream[f"{NAME}_{key}"][0])

    def words(key: str) -> tuple[str, ...]:
        return tuple(str(word) for word in stream.config(f"{NAME}_{key}"))

    gains: dict[str, Any] = {
        name: Gains(*(array(f"{name}_{part.name}") for part in fields(Gains)))
        for name in _GAINS
    }
    return LocoResult(
        model_version=run.uid,
        uid=str(run.start["derived_from"][0]),
        strengths=words("strengths"),
        members=tuple(tuple(group.split()) for group in words("members")),
        kinds=words("kinds"),
        bpms=words("bpms"),
        actuators=words("actuators"),
        chi2_dof=float(array("chi2_dof")),
        kept=int(array("kept")),
        left_out=int(array("left_out")),
        **{key: array(key) for key in _ARRAYS},
        **gains,
    )


def _note(result: LocoResult) -> Note:
    values: dict[str, Any] = {key: getattr(result, key) for key in _ARRAYS}
    for name in _GAINS:
        gains = getattr(result, name)
        for part in fields(Gains):
            values[f"{name}_{part.name}"] = getattr(gains, part.name)
    values |= {
        "chi2_dof": result.chi2_dof,
        "kept": result.kept,
        "left_out": result.left_out,
    }
    configuration = {
        "strengths": list(result.strengths),
        "members": [" ".join(group) for group in result.members],
        "kinds": list(result.kinds),
        "bpms": list(result.bpms),
        "actuators": list(result.actuators),
    }
    units = {"beta_at_bpms": "m", "design_beta_at_bpms": "m"}
    return Note(NAME, values, units, configuration)
