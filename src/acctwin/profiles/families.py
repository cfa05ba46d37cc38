"""Faults between the parts of a profile: names used twice, families mixed up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from acctwin.errors import Fault
from acctwin.names import BPMS, HCM, VCM, Component
from acctwin.profiles.profile import BpmRow, MagnetRow
from acctwin.profiles.rows import Line
from acctwin.profiles.tables import Row

#: What the magnets of a family with a meaning to the plans are.
FAMILY_COMPONENTS: dict[str, Component] = {
    HCM: "hkick",
    VCM: "vkick",
    "quadrupoles": "b1",
    "sextupoles": "b2",
    "skew_quadrupoles": "a1",
    "octupoles": "b3",
    "bends": "angle",
}


class Named(Protocol):
    """A line of a table that gives names."""

    @property
    def row(self) -> Row:
        """The line as it was written."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The names."""
        ...


def duplicate_names(lines: Iterable[Named]) -> list[Fault]:
    """Return a fault for each line that gives a name another line has given."""
    first: dict[str, Named] = {}
    faults: list[Fault] = []
    for line in lines:
        twice = [name for name in line.names if name in first]
        if twice:
            at = first[twice[0]].row.cells["name"]
            message = (
                f"duplicate name {twice[0]!r}; "
                f"the first one is at {at.file}:{at.line}:{at.column}"
            )
            faults.append(line.row.cells["name"].fault(message))
        first |= {name: line for name in line.names if name not in first}
    return faults


def mixed_families(lines: Sequence[Line]) -> list[Fault]:
    """Return faults of families: a name for two things, kinds or units mixed.

    A family is read and set as one array, so its devices share one unit.
    """
    names = {name for line in lines for name in line.names}
    units: dict[str, tuple[str, Row]] = {}
    faults: list[Fault] = []
    for line in lines:
        for device in line.devices[:1]:
            for family in device.families:
                message = _family_fault(device, family, names)
                message = message or _unit_fault(device, family, line.row, units)
                if message:
                    faults.append(line.row.cells["families"].fault(message))
    return faults


def _family_fault(
    device: MagnetRow | BpmRow, family: str, names: set[str]
) -> str | None:
    wanted = FAMILY_COMPONENTS.get(family)
    if family in names:
        return f"{family!r} is the name of a device; a family needs another name"
    if isinstance(device, BpmRow):
        return f"the family {family!r} is for {wanted} magnets" if wanted else None
    if family == BPMS:
        return f"the family {family!r} is for BPMs"
    if wanted is not None and device.component != wanted:
        return f"the family {family!r} is for {wanted}, not for {device.component}"
    return None


def _unit_fault(
    device: MagnetRow | BpmRow,
    family: str,
    row: Row,
    units: dict[str, tuple[str, Row]],
) -> str | None:
    unit = device.unit if isinstance(device, MagnetRow) else "BPMs"
    first, at = units.setdefault(family, (unit, row))
    if unit == first:
        return None
    return f"the family {family!r} mixes {unit} and {first} (at {at.file}:{at.line})"
