"""What a server offers: one record for each channel of each device, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from acctwin.names import FloatArray
from acctwin.profiles.control import (
    Address,
    Protocol,
    addresses,
    devices,
    served_by,
)
from acctwin.profiles.profile import MagnetRow, Profile, SettingRow, SupplyRow

#: Kind and channel.
Key: TypeAlias = tuple[str, str]
#: Of each kind and channel, the values of all devices in the order of the profile.
Values: TypeAlias = Mapping[Key, FloatArray]

#: What clients may write.
SETPOINTS: frozenset[Key] = frozenset({
    ("supply", "current"),
    ("magnet", "strength"),
    ("supplies", "current"),
    ("rf", "frequency"),
    ("pinger_x", "kick"),
    ("pinger_y", "kick"),
    ("turns", "count"),
    ("turns", "acquire"),
})
#: What counts something, or says yes or no.
WHOLE: frozenset[Key] = frozenset({
    ("supply", "moving"),
    ("turns", "count"),
    ("turns", "acquire"),
})
#: Kinds whose channels hold all devices at once.
ARRAYS = ("bpms", "supplies", "turns")
#: Units and digits after the point of what no row of a table describes.
_FORMATS: Mapping[Key | str, tuple[str, int]] = {
    "bpm": ("m", 9),
    "bpms": ("m", 9),
    ("bpms", "sum"): ("A", 6),
    "supplies": ("A", 6),
    "tune": ("", 6),
    "dcct": ("A", 6),
    "emittance": ("m rad", 15),
    "injection": ("", 4),
    "lifetime": ("s", 1),
    "turns": ("m", 9),
    ("turns", "count"): ("", 0),
    ("turns", "acquire"): ("", 0),
}


@dataclass(frozen=True)
class Record:
    """One channel of one device, as a client sees it.

    Attributes:
        address: Where it is, and what.
        index: The device's place among those of its kind, in the profile's order.
        unit: Of the value.
        precision: Digits after the point.
        value: At the start; of arrays the first.
        low: Lowest value that may be written.
        high: Highest value that may be written.
        size: How many numbers it has; 0 for a number that is no array.
        is_setpoint: Whether clients may write it.
        is_whole: Whether it is a whole number.
    """

    address: Address
    index: int
    unit: str
    precision: int
    value: float
    low: float = -math.inf
    high: float = math.inf
    size: int = 0
    is_setpoint: bool = False
    is_whole: bool = False

    @property
    def key(self) -> Key:
        """Kind and channel."""
        return self.address.kind, self.address.channel

    @property
    def name(self) -> str:
        """The record's name in the control system."""
        return self.address.text


def records(
    profile: Profile, start: Values, protocols: tuple[Protocol, ...]
) -> list[Record]:
    """Return what a server of a machine offers.

    Args:
        profile: The checked profile.
        start: The first values; of setpoints at least.
        protocols: What the server speaks, the usual one first.

    Returns:
        A record for every address; where two channels of a device share one, as a
        setpoint without a readback of its own does, the first.
    """
    control = served_by(profile.control, protocols)
    found: dict[str, Record] = {}
    counts: dict[str, int] = {}
    rows = _rows(profile)
    for kind, name in devices(profile):
        index = counts[kind] = counts.get(kind, -1) + 1
        for address in addresses(profile, control, kind, name):
            record = _record(profile, address, index, start, rows.get((kind, name)))
            found.setdefault(address.text, record)
    return list(found.values())


def of_key(items: Sequence[Record]) -> dict[Key, list[Record]]:
    """Return records by kind and channel, each list in the profile's order."""
    found: dict[Key, list[Record]] = {}
    for item in items:
        found.setdefault(item.key, []).append(item)
    return found


def _rows(
    profile: Profile,
) -> dict[tuple[str, str], MagnetRow | SupplyRow | SettingRow]:
    """Return the rows with limits, by kind and name."""
    found: dict[tuple[str, str], MagnetRow | SupplyRow | SettingRow] = {}
    found |= {("supply", row.name): row for row in profile.supplies}
    found |= {("magnet", row.name): row for row in profile.magnets}
    if profile.rf is not None:
        found["rf", profile.rf.name] = profile.rf
    for kind, row in (
        (f"pinger_{plane}", getattr(profile.pinger, plane, None)) for plane in "xy"
    ):
        if row is not None:
            found[kind, row.name] = row
    return found


def _record(
    profile: Profile,
    address: Address,
    index: int,
    start: Values,
    row: MagnetRow | SupplyRow | SettingRow | None,
) -> Record:
    key = address.kind, address.channel
    first = start.get(key, np.zeros(0))
    unit, precision = _format(key, row)
    low, high = -math.inf, math.inf
    if key in SETPOINTS and row is not None:
        low, high = row.low, row.high
    elif key == ("turns", "count"):
        low, high = 1.0, float(profile.diagnostics.turns)
    elif key == ("turns", "acquire"):
        low, high = 0.0, 1.0
    return Record(
        address=address,
        index=index,
        unit=unit,
        precision=precision,
        value=float(first[index]) if index < len(first) else 0.0,
        low=low,
        high=high,
        size=_size(profile, key),
        is_setpoint=key in SETPOINTS,
        is_whole=key in WHOLE,
    )


def _format(
    key: Key, row: MagnetRow | SupplyRow | SettingRow | None
) -> tuple[str, int]:
    """Return unit and digits: a tenth of the tolerance can be seen."""
    if row is None:
        return _FORMATS.get(key) or _FORMATS[key[0]]
    if key in WHOLE:
        return "", 0
    units = {"supply": "A", "rf": "Hz", "pinger_x": "rad", "pinger_y": "rad"}
    unit = row.unit if isinstance(row, MagnetRow) else units[key[0]]
    return unit, max(0, 1 - math.floor(math.log10(row.tolerance)))


def _size(profile: Profile, key: Key) -> int:
    kind, channel = key
    if kind == "supplies":
        return len(profile.supplies)
    if kind == "bpms":
        return len(profile.bpms)
    if kind == "turns" and channel in ("x", "y"):
        return len(profile.bpms) * profile.diagnostics.turns
    return 0
