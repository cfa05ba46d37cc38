"""From the lines of ``curves.csv`` to calibration curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from acctwin.calibration.curves import Curve, Linear, Polynomial, Table
from acctwin.errors import CalibrationError, Fault, did_you_mean
from acctwin.profiles.cells import parse_number, read_number
from acctwin.profiles.feeds import NOTHING
from acctwin.profiles.tables import Cell, Row

CURVE_COLUMNS: Final = ("name", "kind", "low", "high", "values")

#: The kinds of curve, and what stands in the column ``values``.
KINDS: Final = {
    "linear": "GAIN, or GAIN OFFSET",
    "polynomial": "C0 C1 C2 …",
    "table": "CURRENT:VALUE CURRENT:VALUE …",
}


@dataclass(frozen=True)
class Curves:
    """What ``curves.csv`` says.

    Attributes:
        names: Every name, also of a line that has a fault.
        good: The curves without faults, by name.
    """

    names: tuple[str, ...] = ()
    good: tuple[tuple[str, Curve], ...] = ()

    def find(self, name: str) -> Curve | None:
        """Return a curve without faults, or None."""
        return dict(self.good).get(name)


def read_curves(rows: Sequence[Row], faults: list[Fault]) -> Curves:
    """Return the curves of a table; add what is wrong to ``faults``."""
    names: dict[str, Cell] = {}
    good: list[tuple[str, Curve]] = []
    for row in rows:
        before = len(faults)
        name = row.cells.get("name")
        if name is not None:
            _check_name(name, names, faults)
        curve = _curve(row, faults)
        if name is not None and curve is not None and len(faults) == before:
            good.append((name.text, curve))
    return Curves(tuple(names), tuple(good))


def _check_name(name: Cell, names: dict[str, Cell], faults: list[Fault]) -> None:
    first = names.setdefault(name.text, name)
    if not name.text:
        faults.append(name.fault("a curve needs a name"))
    elif first is not name:
        message = f"duplicate curve {name.text!r}; the first one is at line"
        faults.append(name.fault(f"{message} {first.line}"))


def _curve(row: Row, faults: list[Fault]) -> Curve | None:
    before = len(faults)
    kind, values = row.cells.get("kind"), row.cells.get("values")
    if kind is None or values is None:
        return None
    if kind.text not in KINDS:
        hint = did_you_mean(kind.text, KINDS) or f"; known are {', '.join(KINDS)}"
        faults.append(kind.fault(f"unknown kind {kind.text!r}{hint}"))
        return None
    low, high = _domain(row, kind.text, faults)
    numbers = _numbers(kind.text, values, faults)
    if len(faults) > before:
        return None
    try:
        return _make(kind.text, low, high, numbers)
    except CalibrationError as error:
        faults.append(values.fault(str(error)))
        return None


def _make(
    kind: str, low: float, high: float, numbers: Sequence[Sequence[float]]
) -> Curve:
    if kind == "table":
        currents, values = zip(*numbers, strict=True)
        return Table(currents, values)
    (flat,) = zip(*numbers, strict=True)
    if kind == "polynomial":
        return Polynomial(flat, low, high)
    return Linear(flat[0], flat[1] if len(flat) > 1 else 0.0, low, high)


def _domain(row: Row, kind: str, faults: list[Fault]) -> tuple[float, float]:
    """Return the first and the last current; a table says them itself."""
    if kind != "table":
        low, high = (read_number(row.cells.get(c), faults) for c in ("low", "high"))
        return low, high
    for column in ("low", "high"):
        cell = row.cells.get(column)
        if cell is not None and cell.text != NOTHING:
            message = f"a table begins and ends with its points; write {NOTHING}"
            faults.append(cell.fault(message))
    return math.nan, math.nan


def _numbers(kind: str, cell: Cell, faults: list[Fault]) -> list[list[float]]:
    """Return the numbers of a cell: pairs of a table, else one at a time."""
    width = 2 if kind == "table" else 1
    found: list[list[float]] = []
    for text in cell.text.split():
        numbers = [parse_number(part) for part in text.split(":")]
        if len(numbers) != width or any(math.isnan(number) for number in numbers):
            faults.append(cell.fault(f"bad value {text!r}; a {kind} is {KINDS[kind]}"))
            return []
        found.append(numbers)
    if not found or (kind == "linear" and len(found) > 2):
        faults.append(cell.fault(f"{len(found)} values; a {kind} is {KINDS[kind]}"))
    return found
