"""The design model: what plans may ask is what it has, passed on to its engine."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from acctwin.devices import ring
from acctwin.errors import UnknownName
from acctwin.model import engine
from acctwin.model.at_engine import AtEngine
from acctwin.model.design import Design
from acctwin.model.process import EngineProcess


def methods(kind: type) -> dict[str, list[str]]:
    """Return the public methods of a class and their arguments."""
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [
        (ring.Design, Design),
        (engine.Engine, AtEngine),
        (engine.Engine, EngineProcess),
    ],
)
def test_nothing_is_missing(protocol: type, kind: type) -> None:
    has = methods(kind)
    for name, arguments in methods(protocol).items():
        assert has[name] == arguments, name


class Recorder:
    """An engine that answers every question with the question."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: (name, *args)


@pytest.mark.parametrize(
    ("method", "args", "asked"),
    [
        ("optics", (("B1", "Q1"),), ("local_optics", ["B1", "Q1"])),
        ("tunes", (), ("tunes",)),
        ("chromaticity", (), ("chromaticity",)),
        ("slip_factor", (), ("slip_factor",)),
        ("tune_response", (("Q1",),), ("tune_response", ["Q1"])),
        ("chromaticity_response", (("S1",),), ("chromaticity_response", ["S1"])),
        ("place_response", (("B1",), ("H1",)), ("place_response", ["B1"], ["H1"])),
        (
            "coupling_response",
            (("B1",), ("H1",), ("K1", "K2")),
            ("coupling_response", ["B1"], ["H1"], ["K1", "K2"]),
        ),
    ],
)
def test_questions_are_passed_on(
    method: str, args: tuple[Any, ...], asked: tuple[Any, ...]
) -> None:
    recorder: Any = Recorder()
    assert getattr(Design(recorder), method)(*args) == asked


def test_rows_of_the_orbit_response_are_those_of_the_monitors(toy: Any) -> None:
    names = toy.machine.bpms.names
    design = toy.machine.design
    whole = design.orbit_response(names, ["T/C1-H", "rf"])
    part = design.orbit_response([names[5], names[2]], ["T/C1-H", "rf"])
    assert np.array_equal(part, whole[[5, 2, 13, 10]])
    with pytest.raises(UnknownName, match="no monitor of the model is called 'B9'"):
        design.orbit_response(["B9"], ["rf"])
