"""From the lines of ``supplies.csv`` to power supplies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from acctwin.calibration.curves import Curve
from acctwin.errors import Fault, did_you_mean
from acctwin.profiles.cells import attempt, check_limits, read_number, read_status
from acctwin.profiles.curve_rows import Curves
from acctwin.profiles.profile import SupplyRow
from acctwin.profiles.tables import Cell, Row
from acctwin.profiles.templates import MOST, Fields, counted_fields

SUPPLY_COLUMNS: Final = (
    *("name", "count", "unit", "low", "high"),
    *("tolerance", "ramp_a_per_s", "curve", "status"),
)


@dataclass(frozen=True)
class SupplyLine:
    """A line of the table and the supplies it stands for.

    Attributes:
        row: The line as it was written.
        names: The names it gives, known even where other cells have faults.
        supplies: The supplies; none if the line has a fault.
    """

    row: Row
    names: tuple[str, ...]
    supplies: tuple[SupplyRow, ...]


def read_supply(
    row: Row, cells: Sequence[int] | None, curves: Curves, faults: list[Fault]
) -> SupplyLine:
    """Return the supplies of a line; add what is wrong to ``faults``.

    Args:
        row: The line.
        cells: Number of each cell of the lattice; None: unknown, because of a fault.
        curves: What ``curves.csv`` says.
        faults: Where faults are added.
    """
    before, found = len(faults), row.cells
    names = _names(found.get("name"), found.get("count"), cells, faults)
    _check_unit(found.get("unit"), faults)
    numbers = {
        column: read_number(found.get(column), faults)
        for column in ("low", "high", "tolerance", "ramp_a_per_s")
    }
    low, high = numbers["low"], numbers["high"]
    for column, message in check_limits(low, high, numbers["tolerance"]):
        faults.append(found[column].fault(message))
    if numbers["ramp_a_per_s"] <= 0:
        faults.append(found["ramp_a_per_s"].fault("the ramp must be above 0"))
    curve = _curve(found.get("curve"), curves, faults)
    if curve is not None:
        _check_domain(row, curve, low, high, faults)
    status = read_status(found.get("status"), faults)
    complete = all(column in found for column in SUPPLY_COLUMNS)
    if len(faults) > before or curve is None or not complete:
        return SupplyLine(row, names, ())
    origin = row.origin()
    tolerance, ramp = numbers["tolerance"], numbers["ramp_a_per_s"]
    supplies = (
        SupplyRow(name, low, high, tolerance, ramp, curve, status, origin)
        for name in names
    )
    return SupplyLine(row, names, tuple(supplies))


def _names(
    name: Cell | None,
    count: Cell | None,
    cells: Sequence[int] | None,
    faults: list[Fault],
) -> tuple[str, ...]:
    if name is None or count is None:
        return ()
    if not name.text or set(name.text) & set(" *"):
        message = f"bad name {name.text!r}; a supply needs one, without blanks and *"
        faults.append(name.fault(message))
        return ()
    number = int(count.text) if count.text.isdecimal() and count.text.isascii() else 0
    if not 1 <= number <= MOST:
        message = f"bad count {count.text!r}; write how many supplies, 1 to {MOST}"
        faults.append(count.fault(message))
        return ()
    fields: list[Fields] | None = attempt(
        lambda: counted_fields(name.text, number, cells), name, faults
    )
    return tuple(name.text.format(**values) for values in fields or ())


def _check_unit(cell: Cell | None, faults: list[Fault]) -> None:
    if cell is not None and cell.text != "A":
        faults.append(cell.fault(f"wrong unit {cell.text!r}: supplies are in A"))


def _curve(cell: Cell | None, curves: Curves, faults: list[Fault]) -> Curve | None:
    """Return a curve; a curve that has faults of its own gives none here."""
    if cell is None:
        return None
    if cell.text not in curves.names:
        hint = did_you_mean(cell.text, curves.names)
        faults.append(cell.fault(f"no curve is called {cell.text!r}{hint}"))
    return curves.find(cell.text)


def _check_domain(
    row: Row, curve: Curve, low: float, high: float, faults: list[Fault]
) -> None:
    begin, end = curve.domain
    for column, value in (("low", low), ("high", high)):
        if not math.isnan(value) and not begin <= value <= end:
            message = (
                f"{column} {value:g} A is outside the curve "
                f"{row.cells['curve'].text!r}, {begin:g} to {end:g} A"
            )
            faults.append(row.cells[column].fault(message))
