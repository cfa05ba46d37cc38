"""Reading the tables of a machine: what each line stands for, and all faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from acctwin.errors import Fault
from acctwin.profiles.addresses import ADDRESS_COLUMNS
from acctwin.profiles.curve_rows import CURVE_COLUMNS, Curves, read_curves
from acctwin.profiles.families import Named, duplicate_names, mixed_families
from acctwin.profiles.feeds import FEED_COLUMNS, SCALE_COLUMN
from acctwin.profiles.files import read_text
from acctwin.profiles.powering import idle_supplies, unknown_supplies
from acctwin.profiles.profile import BpmRow, MagnetRow, SupplyRow
from acctwin.profiles.rows import (
    BPM_COLUMNS,
    MAGNET_COLUMNS,
    Line,
    read_bpm,
    read_magnet,
)
from acctwin.profiles.supply_rows import SUPPLY_COLUMNS, SupplyLine, read_supply
from acctwin.profiles.tables import Row, read_table

SUPPLIES, CURVES = "supplies.csv", "curves.csv"
ADDRESSES = "addresses.csv"


@dataclass(frozen=True)
class Tables:
    """What the tables of a machine hold.

    Attributes:
        raw: The bytes of each table.
        lines: All lines of magnets and BPMs, with the devices they stand for.
        supply_lines: All lines of supplies.
        has_supplies: Whether there is a table of supplies.
        addresses: All lines of addresses.
        faults: All that is wrong with the tables.
    """

    raw: tuple[bytes, ...] = ()
    lines: tuple[Line, ...] = ()
    supply_lines: tuple[SupplyLine, ...] = ()
    has_supplies: bool = False
    addresses: tuple[Row, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def named(self) -> tuple[Named, ...]:
        """All lines that give names."""
        return (*self.lines, *self.supply_lines)

    @property
    def magnets(self) -> tuple[MagnetRow, ...]:
        """The magnets of lines without faults."""
        devices = (device for line in self.lines for device in line.devices)
        return tuple(device for device in devices if isinstance(device, MagnetRow))

    @property
    def bpms(self) -> tuple[BpmRow, ...]:
        """The BPMs of lines without faults."""
        devices = (device for line in self.lines for device in line.devices)
        return tuple(device for device in devices if isinstance(device, BpmRow))

    @property
    def supplies(self) -> tuple[SupplyRow, ...]:
        """The supplies of lines without faults."""
        return tuple(row for line in self.supply_lines for row in line.supplies)


class _Reader:
    """Reads tables of a folder, and collects their bytes and faults."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw: list[bytes] = []
        self.faults: list[Fault] = []

    def rows(
        self, name: str, columns: Sequence[str], optional: Sequence[str] = ()
    ) -> list[Row]:
        """Return the rows of a table, also those with faults."""
        text = read_text(self.folder / name)
        if isinstance(text, Fault):
            self.faults.append(text)
            return []
        self.raw.append(text.raw)
        rows, wrong = read_table(text, columns, optional)
        self.faults += wrong
        return rows


def read_machine(folder: Path, cells: Sequence[int] | None) -> Tables:
    """Read the tables of a machine.

    Args:
        folder: Where they are.
        cells: Number of each cell of the lattice; None: unknown, because of a fault.
    """
    reader = _Reader(folder)
    has_supplies = (folder / SUPPLIES).exists() or (folder / CURVES).exists()
    feeds = FEED_COLUMNS if has_supplies else ()
    wanted = (*MAGNET_COLUMNS, *feeds)
    optional = (*FEED_COLUMNS, SCALE_COLUMN)
    magnets = reader.rows("magnets.csv", wanted, optional)
    lines = [read_magnet(row, cells, reader.faults) for row in magnets]
    bpms = reader.rows("bpms.csv", BPM_COLUMNS)
    lines += [read_bpm(row, cells, reader.faults) for row in bpms]
    supply_lines = _supplies(reader, cells) if has_supplies else []
    reader.faults += duplicate_names([*lines, *supply_lines])
    reader.faults += mixed_families(lines)
    has_addresses = (folder / ADDRESSES).exists()
    addresses = reader.rows(ADDRESSES, ADDRESS_COLUMNS) if has_addresses else []
    tables = Tables(
        tuple(reader.raw),
        tuple(lines),
        tuple(supply_lines),
        has_supplies,
        tuple(addresses),
    )
    if all(line.names for line in supply_lines):
        reader.faults += unknown_supplies(tables.magnets, supply_lines)
    if not reader.faults:
        reader.faults += idle_supplies(tables.magnets, supply_lines)
    return replace(tables, faults=tuple(reader.faults))


def _supplies(reader: _Reader, cells: Sequence[int] | None) -> list[SupplyLine]:
    curves: Curves = read_curves(reader.rows(CURVES, CURVE_COLUMNS), reader.faults)
    return [
        read_supply(row, cells, curves, reader.faults)
        for row in reader.rows(SUPPLIES, SUPPLY_COLUMNS)
    ]
