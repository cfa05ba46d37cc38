"""The columns of ``magnets.csv`` that say which supplies feed a magnet, and how.

``supply``
    ``PS-QF`` or ``PS-QD*-1``: one supply, and its weight; several, separated by
    blanks, for a function of a combined-function magnet; ``-`` for none. A supply may
    hold the placeholder that the device's name holds.
``length_m``
    What the strength is multiplied by to be integrated; ``-`` where it is integrated.
``scale``
    How much stronger than its supply's curve a magnet is: one number for all devices
    of the line, or several that are taken in turn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from acctwin.errors import Fault
from acctwin.names import COMPONENT_UNITS, Component
from acctwin.profiles.cells import attempt, parse_number, read_number
from acctwin.profiles.profile import Feed
from acctwin.profiles.tables import Cell, Row
from acctwin.profiles.templates import Fields, TemplateError, placeholder

FEED_COLUMNS: Final = ("supply", "length_m")
SCALE_COLUMN: Final = "scale"

#: What stands in a cell that has nothing to say.
NOTHING: Final = "-"

_FEED = re.compile(r"(?P<supply>[^\s*]+)(?:\*(?P<weight>\S+))?")


@dataclass(frozen=True)
class FeedCells:
    """What the columns of a line say.

    Attributes:
        feeds: Supplies, perhaps with a placeholder, and their weights.
        length: Length [m]; 1 where the strength is integrated.
        scales: Taken in turn by the devices of the line.
    """

    feeds: tuple[Feed, ...] = ()
    length: float = 1.0
    scales: tuple[float, ...] = (1.0,)

    def of_device(self, number: int, fields: Fields) -> tuple[Feed, ...]:
        """Return what feeds a device of the line, counted from 0."""
        scale = self.scales[number % len(self.scales)]
        return tuple(
            Feed(feed.supply.format(**fields), feed.weight * scale)
            for feed in self.feeds
        )


def read_feeds(
    row: Row,
    component: Component | None,
    devices: int,
    faults: list[Fault],
) -> FeedCells:
    """Return what the columns of a line say; add what is wrong to ``faults``.

    Args:
        row: The line; a column that is not there says nothing.
        component: What the magnets' strength is, if that is known.
        devices: How many devices the line has, 0 if that is unknown.
        faults: Where faults are added.
    """
    unit = row.cells.get("unit")
    return FeedCells(
        _feeds(row.cells.get("supply"), row.cells.get("name"), faults),
        _length(
            row.cells.get("length_m"), component, unit.text if unit else "", faults
        ),
        _scales(row.cells.get(SCALE_COLUMN), devices, faults),
    )


def _feeds(
    cell: Cell | None, name: Cell | None, faults: list[Fault]
) -> tuple[Feed, ...]:
    if cell is None or name is None or cell.text == NOTHING:
        return ()
    feeds: list[Feed] = []
    for token in cell.text.split():
        feed = attempt(lambda text=token: _feed(text, name.text), cell, faults)
        if feed is not None and any(feed.supply == other.supply for other in feeds):
            faults.append(cell.fault(f"{feed.supply!r} is there twice"))
        elif feed is not None:
            feeds.append(feed)
    if not cell.text:
        faults.append(cell.fault(f"name a supply, or write {NOTHING} for none"))
    return tuple(feeds)


def _feed(text: str, device: str) -> Feed:
    match = _FEED.fullmatch(text)
    weight = parse_number(match["weight"] or "1") if match else math.nan
    if match is None or math.isnan(weight) or weight == 0:
        raise TemplateError(
            f"bad supply {text!r}; write NAME or NAME*WEIGHT, the weight not 0"
        )
    supply = match["supply"]
    kind = placeholder(supply)
    if kind is not None and kind != _kind_of(device):
        raise TemplateError(
            f"the supply {supply!r} has {{{kind}}}, the device {device!r} has not"
        )
    return Feed(supply, weight)


def _kind_of(name: str) -> str | None:
    """Return the placeholder of a name; a bad name has a fault of its own."""
    try:
        return placeholder(name)
    except TemplateError:
        return None


def _length(
    cell: Cell | None, component: Component | None, unit: str, faults: list[Fault]
) -> float:
    if cell is None or component is None or unit not in COMPONENT_UNITS[component]:
        return 1.0
    long, thin = COMPONENT_UNITS[component]
    if unit == thin:
        if cell.text != NOTHING:
            message = f"{component} in {unit} is integrated; write {NOTHING}"
            faults.append(cell.fault(message))
        return 1.0
    if cell.text == NOTHING:
        faults.append(cell.fault(f"{component} in {long} needs the magnet's length"))
        return 1.0
    length = read_number(cell, faults)
    if length <= 0:
        faults.append(cell.fault(f"length {length:g} m must be above 0"))
    return length


def _scales(cell: Cell | None, devices: int, faults: list[Fault]) -> tuple[float, ...]:
    if cell is None:
        return (1.0,)
    scales: Sequence[float] = [parse_number(text) for text in cell.text.split()]
    if not scales or not all(scale > 0 for scale in scales):
        message = f"bad scale {cell.text!r}; write numbers above 0, such as 1.002"
        faults.append(cell.fault(message))
        return (1.0,)
    if devices % len(scales):
        message = f"{len(scales)} scales do not share out among {devices} devices"
        faults.append(cell.fault(message))
    return tuple(scales)
