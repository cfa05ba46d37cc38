"""The table ``addresses.csv``: channels one by one, where no template fits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from acctwin.errors import Fault, did_you_mean
from acctwin.profiles.control import CHANNELS, devices
from acctwin.profiles.profile import Profile
from acctwin.profiles.tables import Cell, Row

ADDRESS_COLUMNS: Final = ("name", "channel", "address")
#: What is written for a channel that is not in the control system.
NOWHERE: Final = "-"

#: Kind, name and channel of a device.
Place = tuple[str, str, str]


@dataclass(frozen=True)
class AddressTable:
    """Addresses of single channels.

    Attributes:
        texts: The name in the control system; None: it is not there.
        cells: Where each was written.
        faults: Lines that are wrong.
    """

    texts: Mapping[Place, str | None]
    cells: Mapping[Place, Cell]
    faults: tuple[Fault, ...]


def read_addresses(rows: Sequence[Row], profile: Profile) -> AddressTable:
    """Return what a table says.

    Args:
        rows: Its lines.
        profile: The machine; without a section ``control`` it has no addresses.
    """
    kinds = {name or kind: (kind, name) for kind, name in devices(profile)}
    texts, cells = dict[Place, str | None](), dict[Place, Cell]()
    faults = list[Fault]()
    for row in rows:
        if not all(column in row.cells for column in ADDRESS_COLUMNS):
            continue
        place, fault = _place(row, kinds)
        cell = row.cells["address"]
        if place in cells:
            fault = row.cells["name"].fault(
                f"{row.cells['name'].text} has an address for "
                f"{row.cells['channel'].text!r} already, in line {cells[place].line}"
            )
        elif not cell.text:
            fault = cell.fault(f"an address is wanted, or {NOWHERE!r} for none")
        if fault is not None or place is None:
            faults += [fault] if fault else []
            continue
        texts[place] = None if cell.text == NOWHERE else cell.text
        cells[place] = cell
    if rows and profile.control is None:
        first = next(iter(rows[0].cells.values()))
        faults.append(first.fault("the profile has no section 'control' for addresses"))
    return AddressTable(texts, cells, tuple(faults))


def with_addresses(profile: Profile, table: AddressTable) -> Profile:
    """Return the profile with the addresses of a table."""
    if profile.control is None:
        return profile
    return replace(profile, control=replace(profile.control, addresses=table.texts))


def _place(
    row: Row, kinds: Mapping[str, tuple[str, str]]
) -> tuple[Place | None, Fault | None]:
    """Return which channel a line is about, or what is wrong."""
    name, channel = row.cells["name"], row.cells["channel"]
    if name.text not in kinds:
        hint = did_you_mean(name.text, kinds)
        words = f"nothing with addresses is called {name.text!r}{hint}"
        return None, name.fault(words)
    kind, device = kinds[name.text]
    known = CHANNELS[kind]
    if channel.text not in known:
        hint = did_you_mean(channel.text, known) or f"; known are {', '.join(known)}"
        return None, channel.fault(f"a {kind} has no channel {channel.text!r}{hint}")
    return (kind, device, channel.text), None
