"""Lines of bpms.csv: BPMx and BPMy are one device in acctwin."""

from __future__ import annotations

from collections.abc import Sequence

from acctwin.names import BPMS
from acctwin.profiles.mml.families import BPM_X, BPM_Y, Device, find_devices
from acctwin.profiles.mml.magnets import Line
from acctwin.profiles.mml.report import Notes
from acctwin.profiles.mml.ring import Ring
from acctwin.profiles.mml.setup import MmlFamily


def is_bpm(family: MmlFamily) -> bool:
    """Tell whether a family is BPMs."""
    return bool(family.tags & {"BPM", *BPM_X, *BPM_Y})


def bpm_lines(
    families: Sequence[MmlFamily],
    ring: Ring,
    taken: set[str],
    counts: dict[str, int],
    notes: Notes,
) -> list[Line]:
    """Return a line for each BPM that has both planes.

    BPMs of the two planes belong together if they are the same row of DeviceList.

    Args:
        families: All families that may be mapped.
        ring: The lattice.
        taken: Names that are used; those of the BPMs are added.
        counts: Where the number of each family's BPMs is added.
        notes: Where what is left out is added.
    """
    horizontal: list[tuple[MmlFamily, Device]] = []
    vertical: dict[tuple[int, ...], Device] = {}
    names = set(taken)
    for family in filter(is_bpm, families):
        found = find_devices(family, ring, set(names), notes)
        if _is_vertical(family):
            vertical |= {device.key: device for device in found}
        else:
            horizontal += [(family, device) for device in found]
            names.update(device.name for device in found)
        counts[family.name] = len(found)
    keys = {device.key for _, device in horizontal}
    lines: list[Line] = []
    for family, x in horizontal:
        y = vertical.get(x.key)
        place = f"{family.name} ({x.name})"
        if y is None and vertical:
            notes.add("left out", place, "it has no vertical plane in the same device")
            continue
        if y is not None and y.spot.ref != x.spot.ref:
            reason = f"its vertical plane is at {y.spot.text}; {x.spot.text} is taken"
            notes.add("check", place, reason)
        status = x.status and (y is None or y.status)
        lines.append(_line(x, status))
    for key, device in vertical.items():
        if key not in keys:
            reason = "it has no horizontal plane in the same device"
            notes.add("left out", f"vertical BPM ({device.name})", reason)
    taken.update(line["name"] for line in lines)
    return lines


def _is_vertical(family: MmlFamily) -> bool:
    return bool(family.tags & {*BPM_Y, "Y", "VERTICAL"}) and not family.tags & BPM_X


def _line(device: Device, status: bool) -> Line:
    return {
        "name": device.name,
        "families": BPMS,
        "element": device.spot.text,
        "status": str(int(status)),
    }
