"""Faults of the section ``members`` that its keys alone do not show."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import cast

from acctwin.errors import Fault
from acctwin.names import BPMS, MAGNET_FAMILIES
from acctwin.profiles.cells import check_numbers, parse_number
from acctwin.profiles.document import Document, Way

NUMBERS = ("low", "high", "tolerance", "delta")
#: What a machine calls its own devices.
TAKEN = {*MAGNET_FAMILIES, BPMS, "supplies", "rf", "tune", "dcct", "emittance"} | {
    "turns",
    "injection",
    "lifetime",
    "pinger_x",
    "pinger_y",
}


def member_faults(document: Document, names: Collection[str]) -> list[Fault]:
    """Return what is wrong with the names, limits and stand-ins of the members.

    Args:
        document: The profile.
        names: Of the devices and families in the tables.
    """
    members = document.at(("members",))
    if not isinstance(members, dict):
        return []
    others = [("rf", "name"), ("pinger", "x", "name"), ("pinger", "y", "name")]
    taken = {*names, *TAKEN, *(document.at(way) for way in others)}
    faults: list[Fault] = []
    for name in cast("dict[str, object]", members):
        way: Way = ("members", name)
        if name in taken:
            message = f"duplicate name {name!r}; another device or family has it"
            faults.append(document.fault(way, message, at_key=True))
        faults += _setting_faults(document, way)
    return faults


def _setting_faults(document: Document, way: Way) -> list[Fault]:
    setting = (*way, "setting")
    numbers = {key: _number(document, (*setting, key)) for key in NUMBERS}
    faults = [
        document.fault((*setting, key), message)
        for key, message in check_numbers(**numbers)
    ]
    low, high = numbers["low"], numbers["high"]
    value = _number(document, (*way, "simulated", "value"))
    if low < high and (value < low or value > high):
        message = f"value {value:g} is outside the limits {low:g} … {high:g}"
        faults.append(document.fault((*way, "simulated", "value"), message))
    return faults


def _number(document: Document, way: Way) -> float:
    """Return a number of the document; NaN if it is not there or not a number."""
    value = document.at(way)
    return parse_number(value) if isinstance(value, str) else math.nan
