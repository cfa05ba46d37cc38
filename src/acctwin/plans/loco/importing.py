"""Responses of other programs in the catalogue, so that they are fitted like ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator, plan

from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.loco.imported import ImportedLoco
from acctwin.data.runs import Run
from acctwin.errors import DataError
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run

NAME = "loco_import"


@plan
def store_import(
    data: LocoData, source: Mapping[str, Any]
) -> MsgGenerator[ImportedLoco]:
    """Store a response that another program has measured.

    Args:
        data: The response.
        source: Where it comes from, for the start document.
    """

    def body(uid: str) -> MsgGenerator[ImportedLoco]:
        yield from write_result(_note(data))
        return replace(ImportedLoco(data), uid=uid)

    return (yield from in_run(body, {"plan_name": NAME, "plan_args": dict(source)}))


def analyse(run: Run) -> ImportedLoco:
    """Return a stored response.

    Raises:
        DataError: The run is none.
    """
    if run.start.get("plan_name") != NAME:
        raise DataError(
            f"run {run.uid} is a {run.start.get('plan_name')}, not a response that was "
            "imported"
        )
    stream = run["result"]

    def words(key: str) -> tuple[str, ...]:
        return tuple(str(word) for word in stream.config(f"{NAME}_{key}"))

    def array(key: str) -> Any:
        return np.asarray(stream[f"{NAME}_{key}"][0])

    data = LocoData(
        words("monitors"),
        words("actuators"),
        array("matrix"),
        array("row_sigma"),
        array("column_sigma"),
        array("good").astype(bool),
    )
    return ImportedLoco(data, run.uid)


def _note(data: LocoData) -> Note:
    return Note(
        NAME,
        {
            "matrix": data.matrix,
            "row_sigma": data.row_sigma,
            "column_sigma": data.column_sigma,
            "good": data.good.astype(np.int8),
        },
        {"row_sigma": "m"},
        {"monitors": list(data.monitors), "actuators": list(data.actuators)},
    )
