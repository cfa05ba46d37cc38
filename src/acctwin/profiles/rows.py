"""From table lines to magnets and BPMs: cells are checked, templates expanded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from acctwin.errors import Fault, did_you_mean
from acctwin.names import COMPONENT_UNITS, Component
from acctwin.profiles.cells import (
    attempt,
    check_numbers,
    read_number,
    read_status,
)
from acctwin.profiles.feeds import read_feeds
from acctwin.profiles.profile import BpmRow, ElementRef, MagnetRow
from acctwin.profiles.tables import Cell, Row
from acctwin.profiles.templates import (
    Fields,
    device_fields,
    parse_element,
    placeholder,
)

BPM_COLUMNS: Final = ("name", "families", "element", "status")
MAGNET_COLUMNS: Final = (
    *("name", "families", "element", "component", "unit"),
    *("low", "high", "tolerance", "delta", "status"),
)


@dataclass(frozen=True)
class Spot:
    """One device of a line.

    Attributes:
        name: Its name.
        element: The lattice elements behind it.
        fields: What the placeholder stands for.
    """

    name: str
    element: ElementRef
    fields: Fields


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
    spots = _expand(row, cells, faults)
    families = _families(found.get("families"), faults)
    component = _component(found.get("component"), faults)
    unit = _unit(found.get("unit"), component, faults)
    numbers = {
        name: read_number(found.get(name), faults)
        for name in ("low", "high", "tolerance", "delta")
    }
    for name, message in check_numbers(**numbers):
        faults.append(found[name].fault(message))
    status = read_status(found.get("status"), faults)
    feeds = read_feeds(row, component, len(spots), faults)
    names = tuple(spot.name for spot in spots)
    complete = all(column in found for column in MAGNET_COLUMNS)
    if len(faults) > before or component is None or not complete:
        return Line(row, names, ())
    origin = row.origin()
    magnets = (
        MagnetRow(
            name=spot.name,
            families=families,
            element=spot.element,
            component=component,
            unit=unit,
            status=status,
            origin=origin,
            feeds=feeds.of_device(number, spot.fields),
            length=feeds.length,
            **numbers,
        )
        for number, spot in enumerate(spots)
    )
    return Line(row, names, tuple(magnets))


def read_bpm(row: Row, cells: Sequence[int] | None, faults: list[Fault]) -> Line:
    """Return the BPMs of a line; see :func:`read_magnet`."""
    before = len(faults)
    spots = _expand(row, cells, faults)
    families = _families(row.cells.get("families"), faults)
    status = read_status(row.cells.get("status"), faults)
    names = tuple(spot.name for spot in spots)
    if len(faults) > before or len(row.cells) < len(BPM_COLUMNS):
        return Line(row, names, ())
    origin = row.origin()
    bpms = (BpmRow(s.name, families, s.element, status, origin) for s in spots)
    return Line(row, names, tuple(bpms))


def _expand(row: Row, cells: Sequence[int] | None, faults: list[Fault]) -> list[Spot]:
    name, element = row.cells.get("name"), row.cells.get("element")
    if name is not None and not name.text:
        faults.append(name.fault("a device needs a name"))
    if element is None or name is None or not name.text:
        return []
    before = len(faults)
    attempt(lambda: placeholder(name.text), name, faults)
    pattern = attempt(lambda: parse_element(element.text), element, faults)
    if pattern is None or len(faults) > before:
        return []
    fields = attempt(lambda: device_fields(name.text, pattern, cells), name, faults)
    elements = pattern.elements(len(fields or ()))
    return [
        Spot(name.text.format(**values), element, values)
        for values, element in zip(fields or (), elements, strict=True)
    ]


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
