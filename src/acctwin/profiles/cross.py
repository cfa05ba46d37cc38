"""Faults between parts of the YAML file, and between it and the tables.

They are looked for in the document as it was written, so that they are found also
while other parts of the file have faults of their own.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from importlib.resources import files
from pathlib import Path

from acctwin.calibration.rigidity import ELECTRON_REST_MASS_EV
from acctwin.errors import Fault, did_you_mean
from acctwin.profiles.cells import check_numbers, parse_number
from acctwin.profiles.document import Document, Way
from acctwin.profiles.files import shown
from acctwin.profiles.templates import TemplateError, parse_element

NUMBERS = ("low", "high", "tolerance", "delta")


def rf_faults(document: Document, names: Collection[str]) -> list[Fault]:
    """Return what is wrong with the RF's numbers and name."""
    return _setting_faults(document, ("rf",), "hz", names)


def pinger_faults(document: Document, names: Collection[str]) -> list[Fault]:
    """Return what is wrong with the pinger's element, numbers and names."""
    faults = _element_faults(document, ("pinger", "element"))
    taken = {*names, document.at(("rf", "name"))} - {None}
    for plane in ("x", "y"):
        way: Way = ("pinger", plane)
        faults += _setting_faults(document, way, "rad", taken)
        low = _number(document, (*way, "low_rad"))
        high = _number(document, (*way, "high_rad"))
        if low < high and not low <= 0.0 <= high:
            message = f"0 must be within the limits {low:g} … {high:g}: not charged"
            faults.append(document.fault((*way, "low_rad"), message))
        taken.add(document.at((*way, "name")))
    return faults


def _setting_faults(
    document: Document, way: Way, unit: str, names: Collection[str]
) -> list[Fault]:
    """Return what is wrong with the numbers and the name of one thing that is set."""
    numbers = {key: _number(document, (*way, f"{key}_{unit}")) for key in NUMBERS}
    faults = [
        document.fault((*way, f"{key}_{unit}"), message)
        for key, message in check_numbers(**numbers)
    ]
    name = document.at((*way, "name"))
    if name is not None and name in names:
        message = f"duplicate name {name!r}; another device has it"
        faults.append(document.fault((*way, "name"), message))
    return faults


def _element_faults(document: Document, way: Way) -> list[Fault]:
    """Return a fault if an element is not a single one."""
    text = document.at(way)
    if not isinstance(text, str):
        return []
    try:
        pattern = parse_element(text)
    except TemplateError as error:
        return [document.fault(way, str(error))]
    if pattern.stop is not None or pattern.count > 1:
        message = f"bad element {text!r}; write FAMILY or FAMILY[index]: a single one"
        return [document.fault(way, message)]
    return []


def energy_ev(document: Document) -> float:
    """Return the beam energy [eV]; NaN if it is not there or not a number."""
    return 1e9 * _number(document, ("energy_gev",))


def energy_faults(document: Document) -> list[Fault]:
    """Return a fault if a machine with supplies has no energy, or a useless one."""
    way = ("energy_gev",)
    if way not in document.values:
        message = "missing key 'energy_gev': supplies need the beam energy [GeV]"
        return [document.fault(way, message)]
    if 0 < energy_ev(document) <= ELECTRON_REST_MASS_EV:
        return [document.fault(way, "energy_gev: not above the rest mass")]
    return []


def lifetime_faults(document: Document) -> list[Fault]:
    """Return a fault if a lifetime is measured of a beam that stays for ever."""
    way = ("diagnostics", "lifetime")
    there = document.values
    has_lifetime = ("beam", "lifetime_h") in there or ("beam", "touschek") in there
    if document.values.get(way) in (None, False) or has_lifetime:
        return []
    message = (
        "lifetime: the simulated beam has none: give beam: lifetime_h, or touschek"
    )
    return [document.fault(way, message)]


def cell_faults(document: Document) -> list[Fault]:
    """Return a fault if the first cell is none of the cells."""
    first = _number(document, ("cells", "first"))
    count = _number(document, ("cells", "count"))
    if first > count:
        message = f"first {first:g} is above the number of cells {count:g}"
        return [document.fault(("cells", "first"), message)]
    return []


def lattice_faults(document: Document, folder: Path) -> list[Fault]:
    """Return a fault if the lattice's source is of no known kind, or not there.

    Args:
        document: The profile.
        folder: Where a lattice file is looked for.
    """
    way = ("lattice", "source")
    source = document.at(way)
    if not isinstance(source, str):
        return []
    message = _source_fault(source, folder)
    return [document.fault(way, message)] if message else []


def _source_fault(source: str, folder: Path) -> str | None:
    kind, _, name = source.partition(":")
    if not is_named(source):
        path = folder / source
        return None if path.is_file() else f"there is no lattice file {shown(path)}"
    if kind == "at":
        known = sorted(item.name for item in files("machine_data").iterdir())
        hint = did_you_mean(name, known) or f"; known are {', '.join(known)}"
        message = f"accelerator-toolbox has no lattice {name!r}{hint}"
        return None if name in known else message
    if kind == "code":
        return None
    return f"unknown source {source!r}; write at:FILE, code:NAME or a path"


def is_named(source: str) -> bool:
    """Tell ``at:FILE`` and ``code:NAME`` from a path; a drive letter is a path."""
    return source.find(":") > 1


def unknown_families(document: Document, known: Collection[str]) -> list[Fault]:
    """Return a fault for each family that the profile names and no table has."""
    ways = [
        way
        for way in document.values
        if (way[:2] == ("imperfections", "magnets") and way[3:4] == ("families",))
        or (way[:1] == ("defaults",) and way[2:3] == ("families",))
    ]
    at_end = [w for w in ways if len(w) == (5 if w[0] == "imperfections" else 4)]
    faults = _unknown(document, at_end, "family", known)
    section = ("defaults", "cycle", "waveforms")
    for way in document.keys:
        if way[:3] == section and len(way) == 4 and way[3] not in known:
            name = str(way[3])
            message = f"no family is called {name!r}{did_you_mean(name, known)}"
            faults.append(document.fault(way, message, at_key=True))
    return faults


def unknown_devices(document: Document, known: Collection[str]) -> list[Fault]:
    """Return a fault for each device out of service that no table has."""
    ways = [w for w in document.values if w[:1] == ("out_of_service",) and len(w) == 2]
    return _unknown(document, ways, "device", known)


def _unknown(
    document: Document, ways: list[Way], what: str, known: Collection[str]
) -> list[Fault]:
    faults: list[Fault] = []
    for way in ways:
        name = document.at(way)
        if isinstance(name, str) and name not in known:
            message = f"no {what} is called {name!r}{did_you_mean(name, known)}"
            faults.append(document.fault(way, message))
    return faults


def _number(document: Document, way: Way) -> float:
    """Return a number of the document; NaN if it is not there or not a number."""
    value = document.at(way)
    return parse_number(value) if isinstance(value, str) else math.nan
