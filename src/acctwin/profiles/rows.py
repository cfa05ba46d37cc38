"""From table lines to magnets and BPMs: cells are checked, templates expanded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from acctwin.errors import Fault, did_you_mean
from acctwin.names import COMPONENT_UNITS, Component
from acctwin.profiles.profile import BpmRow, ElementRef, MagnetRow
from acctwin.profiles.tables import Cell, Row
from acctwin.profiles.templates import (
    TemplateError,
    expand,
    parse_element,
    placeholder,
)

BPM_COLUMNS: Final = ("name", "families", "element", "status")
MAGNET_COLUMNS: Final = (
    *("name", "families", "element", "component", "unit"),
    *("low", "high", "tolerance", "delta", "status"),
)

T = TypeVar("T")

#: The names of a line's devices and the lattice elements behind each.
Expanded = list[tuple[str, ElementRef]]


@dataclass(frozen=True)
class Line:
    """A line of a table and what it stands for.

    Attributes:
        row: The line as it was written.
        names: The names it gives, known even where other cells have faults.
        devices: The devices; none if the line has a fault.
    """

    row: Row
    names: tuple[str, ...]
    devices: tuple[MagnetRow | BpmRow, ...]


def read_magnet(row: Row, cells: Sequence[int] | None, faults: list[Fault]) -> Line:
    """Return the magnets of a line; add what is wrong to ``faults``.

    Args:
        row: The line.
        cells: Number of each cell of the lattice, for ``{cell}``; None: unknown,
            because of a fault, so ``{cell}`` gives no devices.
        faults: Where faults are added.
    """
    before = len(faults)
    found = row.cells
    expanded = _expand(row, cells, faults)
    families = _families(found.get("families"), faults)
    component = _component(found.get("component"), faults)
    unit = _unit(found.get("unit"), component, faults)
    numbers = {
        name: _number(found.get(name), faults)
        for name in ("low", "high", "tolerance", "delta")
    }
    for name, message in check_numbers(**numbers):
        faults.append(found[name].fault(message))
    status = _status(found.get("status"), faults)
    names = tuple(name for name, _ in expanded)
    if len(faults) > before or component is None or len(found) < len(MAGNET_COLUMNS):
        return Line(row, names, ())
    origin = row.origin()
    magnets = (
        MagnetRow(
            name=name,
            families=families,
            element=element,
            component=component,
            unit=unit,
            status=status,
            origin=origin,
            **numbers,
        )
        for name, element in expanded
    )
    return Line(row, names, tuple(magnets))


def read_bpm(row: Row, cells: Sequence[int] | None, faults: list[Fault]) -> Line:
    """Return the BPMs of a line; see :func:`read_magnet`."""
    before = len(faults)
    expanded = _expand(row, cells, faults)
    families = _families(row.cells.get("families"), faults)
    status = _status(row.cells.get("status"), faults)
    names = tuple(name for name, _ in expanded)
    if len(faults) > before or len(row.cells) < len(BPM_COLUMNS):
        return Line(row, names, ())
    origin = row.origin()
    bpms = (BpmRow(name, families, at, status, origin) for name, at in expanded)
    return Line(row, names, tuple(bpms))


def check_numbers(
    low: float, high: float, tolerance: float, delta: float
) -> list[tuple[str, str]]:
    """Return what is wrong with limits, tolerance and step, as (which, message).

    A NaN stands for a number that has a fault already: it is not compared.
    """
    wrong: list[tuple[str, str]] = []
    if low >= high:
        wrong.append(("low", f"low {low:g} is not below high {high:g}"))
    elif delta > high - low:
        message = f"delta {delta:g} is outside the limits {low:g} … {high:g}"
        wrong.append(("delta", message))
    if tolerance <= 0:
        wrong.append(("tolerance", f"tolerance {tolerance:g} must be above 0"))
    if delta <= 0:
        wrong.append(("delta", f"delta {delta:g} must be above 0"))
    return wrong


def parse_number(text: str) -> float:
    """Return a finite number, or NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _expand(row: Row, cells: Sequence[int] | None, faults: list[Fault]) -> Expanded:
    name, element = row.cells.get("name"), row.cells.get("element")
    if name is not None and not name.text:
        faults.append(name.fault("a device needs a name"))
    if element is None or name is None or not name.text:
        return []
    before = len(faults)
    _attempt(lambda: placeholder(name.text), name, faults)
    pattern = _attempt(lambda: parse_element(element.text), element, faults)
    if pattern is None or len(faults) > before:
        return []
    found = _attempt(lambda: list(expand(name.text, pattern, cells)), name, faults)
    return found or []


def _attempt(action: Callable[[], T], cell: Cell, faults: list[Fault]) -> T | None:
    """Return what an action returns; a template error becomes a fault at a cell."""
    try:
        return action()
    except TemplateError as error:
        faults.append(cell.fault(str(error)))
        return None


def _families(cell: Cell | None, faults: list[Fault]) -> tuple[str, ...]:
    if cell is None:
        return ()
    families = tuple(cell.text.split())
    if not families:
        faults.append(cell.fault("a device needs a family; separate several by blanks"))
    for family in sorted({f for f in families if families.count(f) > 1}):
        faults.append(cell.fault(f"duplicate family {family!r}"))
    return families


def _component(cell: Cell | None, faults: list[Fault]) -> Component | None:
    if cell is None:
        return None
    for component in COMPONENT_UNITS:
        if cell.text == component:
            return component
    known = list(COMPONENT_UNITS)
    hint = did_you_mean(cell.text, known) or f"; known are {', '.join(known)}"
    faults.append(cell.fault(f"unknown component {cell.text!r}{hint}"))
    return None


def _unit(cell: Cell | None, component: Component | None, faults: list[Fault]) -> str:
    if cell is None:
        return ""
    if component is not None and cell.text not in COMPONENT_UNITS[component]:
        long, thin = COMPONENT_UNITS[component]
        wanted = long if long == thin else f"{long} ({thin} for a thin magnet)"
        message = f"wrong unit {cell.text!r}: {component} is in {wanted}"
        faults.append(cell.fault(message))
    return cell.text


def _number(cell: Cell | None, faults: list[Fault]) -> float:
    """Return the number in a cell; NaN, with a fault, if there is none."""
    if cell is None:
        return math.nan
    value = parse_number(cell.text)
    if math.isnan(value):
        message = f"bad number {cell.text!r}; write a finite number such as 2.5e-4"
        faults.append(cell.fault(message))
    return value


def _status(cell: Cell | None, faults: list[Fault]) -> bool:
    if cell is None:
        return False
    if cell.text not in ("0", "1"):
        message = f"status {cell.text!r} must be 1 (in use) or 0 (left out)"
        faults.append(cell.fault(message))
    return cell.text == "1"
