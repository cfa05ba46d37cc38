"""What the families of a set-up are in acctwin, and the devices in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from acctwin.names import BPMS, HCM, MAGNET_FAMILIES, VCM, Component
from acctwin.profiles.mml.report import Notes
from acctwin.profiles.mml.ring import Ring, Spot
from acctwin.profiles.mml.setup import MmlFamily
from acctwin.profiles.mml.values import column, indices, matrix, texts

#: A position of the AO may differ from the lattice's by this [m].
NEAR_M: Final = 0.01

#: Tags of a family, and what its magnets are; the first that fits counts.
MAGNETS: Final[tuple[tuple[frozenset[str], str, Component], ...]] = (
    (frozenset({"SKEWQUAD"}), "skew_quadrupoles", "a1"),
    (frozenset({"HCM", "HCOR"}), HCM, "hkick"),
    (frozenset({"VCM", "VCOR"}), VCM, "vkick"),
    (frozenset({"QUAD", "QUADRUPOLE", "K", "K1"}), "quadrupoles", "b1"),
    (frozenset({"SEXT", "SEXTUPOLE", "K2"}), "sextupoles", "b2"),
    (frozenset({"OCTU", "OCTUPOLE", "K3"}), "octupoles", "b3"),
    (frozenset({"BEND"}), "bends", "angle"),
)
BPM_X: Final = frozenset({"BPMX", "HBPM"})
BPM_Y: Final = frozenset({"BPMY", "VBPM"})
#: Every machine of acctwin has these.
BUILT_IN: Final = frozenset({"TUNE", "DCCT"})
RF: Final = "RF"

_NAME = re.compile(r"[\w.:/+\-()]+")


@dataclass(frozen=True)
class Device:
    """One device of a family.

    Attributes:
        name: Its name in acctwin.
        row: Which row of the family's lists it is, from 0.
        key: Its row of the DeviceList: sector and number.
        spot: Where it is in the lattice.
        status: Whether it is in use.
    """

    name: str
    row: int
    key: tuple[int, ...]
    spot: Spot
    status: bool


def magnet_kind(family: MmlFamily) -> tuple[str, Component] | None:
    """Return acctwin's family and the component of magnets; None for others."""
    for tags, name, component in MAGNETS:
        if tags & family.tags:
            return name, component
    return None


def device_keys(family: MmlFamily) -> list[tuple[int, ...]]:
    """Return the rows of the DeviceList, or the ElementList; empty without either."""
    for name in ("DeviceList", "ElementList"):
        value = family.values.get(name)
        rows = 1 if value is None else len(value) if hasattr(value, "__len__") else 1
        given = matrix(value, rows)
        if given is not None:
            if name == "ElementList" and len(given) == 1:
                given = given.T
            return [tuple(int(number) for number in row) for row in given]
    return []


def find_devices(
    family: MmlFamily, ring: Ring, taken: set[str], notes: Notes
) -> list[Device]:
    """Return the devices of a family that are in the lattice.

    Args:
        family: The family.
        ring: The lattice.
        taken: Names that are used already; those of the devices are added.
        notes: Where what is left out is added.
    """
    keys = device_keys(family)
    if not keys:
        notes.add("left out", family.name, "it has no DeviceList")
        return []
    rows = len(keys)
    places = indices(family.field("AT").get("ATIndex"), rows)
    status = column(family.values.get("Status", 1), rows)
    if places is None or status is None:
        what = "AT.ATIndex" if places is None else "Status"
        notes.add("left out", family.name, f"{what} does not fit its {rows} devices")
        return []
    names = _names(family, keys, taken, notes)
    found: list[Device] = []
    for row, (name, members) in enumerate(zip(names, places, strict=True)):
        spot = ring.device(members) if members else "it has no ATIndex"
        if isinstance(spot, str):
            notes.add("left out", f"{family.name} {_label(keys[row])} ({name})", spot)
        else:
            found.append(Device(name, row, keys[row], spot, status[row] == 1))
    taken.update(device.name for device in found)
    _check_positions(family, found, rows, notes)
    return found


def reserved_names(families: Sequence[MmlFamily]) -> set[str]:
    """Return the names that no device may have: those of families."""
    return {*MAGNET_FAMILIES, BPMS, RF, *(family.name for family in families)}


def _names(
    family: MmlFamily, keys: list[tuple[int, ...]], taken: set[str], notes: Notes
) -> list[str]:
    """Return the CommonNames, or names made of the DeviceList if they do not do."""
    words = texts(family.values.get("CommonNames"))
    problem = ""
    if len(words) != len(keys):
        problem = "there is not one for each device"
    elif len(set(words)) < len(words) or taken & set(words):
        problem = "they are not unique in the machine"
    elif not all(_NAME.fullmatch(word) for word in words):
        problem = "they have characters that a table cannot hold"
    if not problem:
        return words
    made = [f"{family.name}/{_label(key)}" for key in keys]
    if words:
        reason = f"{problem}; devices are called as in {made[0]!r}"
        notes.add("assumed", family.name, reason, "CommonNames")
    return made


def _label(key: tuple[int, ...]) -> str:
    return "-".join(f"{number:02d}" for number in key)


def _check_positions(
    family: MmlFamily, devices: list[Device], rows: int, notes: Notes
) -> None:
    """Note if the AO has devices elsewhere: ATIndex may be of another lattice."""
    positions = column(family.values.get("Position"), rows)
    if positions is None:
        return
    off = [
        device
        for device in devices
        if not device.spot.begin - NEAR_M
        <= positions[device.row]
        <= device.spot.end + NEAR_M
    ]
    if off:
        first = off[0]
        notes.add(
            "check",
            family.name,
            f"{first.name} is at {positions[first.row]:.4g} m, its ATIndex at "
            f"{first.spot.begin:.4g} m of the lattice ({len(off)} of {len(devices)} "
            "devices differ); is it the lattice that ATIndex counts in?",
            "Position",
        )
