"""``acctwin show``: the families of a machine, and the devices of one family."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acctwin.cli.output import console, grid
from acctwin.errors import ConfigError, UnknownName
from acctwin.names import BPMS, MAGNET_FAMILIES

if TYPE_CHECKING:
    from acctwin.profiles.profile import (
        BpmRow,
        ElementRef,
        MagnetRow,
        Profile,
        SettingRow,
        SupplyRow,
    )

SUPPLIES = "supplies"


def show(
    profile: Annotated[str, typer.Argument(help="Name of a profile, or its file.")],
    family: Annotated[
        str | None, typer.Argument(help="A family, or the name of one device.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    catalog: Annotated[
        str, typer.Option(help="Store whose marks count: 'local' or a folder.")
    ] = "local",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the families of a machine, or the devices of one family.

    Units are those of the machine's tables: SI, and the strengths of pyAT. Devices
    that sessions have marked good or bad are shown as they were marked.
    """
    from acctwin.data.folders import user_data_folder
    from acctwin.data.marks import load_marks, marks_file
    from acctwin.profiles import load_profile

    checked = load_profile(profile, site)
    store = user_data_folder() if catalog == "local" else Path(catalog)
    checked = marked(checked, load_marks(marks_file(store, checked.name)))
    if family is None:
        title, found = f"{checked.name}: families", families(checked)
    else:
        title, found = f"{checked.name}: {family}", devices(checked, family)
    if json:
        typer.echo(json_module.dumps(found, indent=1))
    else:
        console().print(grid(title, found))


def marked(profile: Profile, marks: Mapping[str, bool]) -> Profile:
    """Return the profile with the status that devices were marked with."""

    def apply(rows: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(replace(r, status=marks.get(r.name, r.status)) for r in rows)

    return replace(
        profile,
        magnets=apply(profile.magnets),
        bpms=apply(profile.bpms),
        supplies=apply(profile.supplies),
    )


def families(profile: Profile) -> list[dict[str, Any]]:
    """Return a row for each family, those that plans ask for first; RF and pinger."""
    rows = {row.name: row for row in (*profile.magnets, *profile.bpms)}
    groups = profile.families()
    first = [family for family in (*MAGNET_FAMILIES, BPMS) if family in groups]
    found: list[dict[str, Any]] = []
    for family in dict.fromkeys([*first, *groups]):
        members = [rows[name] for name in groups[family]]
        in_use = sum(member.status for member in members)
        found.append(_family(family, len(members), in_use, *_strength(members)))
    if profile.supplies:
        good = sum(supply.status for supply in profile.supplies)
        count = len(profile.supplies)
        found.append(_family(SUPPLIES, count, good, "current", "A"))
    for row, component, unit in _settings(profile):
        found.append(_family(row.name, 1, 1, component, unit))
    return found


def devices(profile: Profile, wanted: str) -> list[dict[str, Any]]:
    """Return a row for each device of a family in s order, or for one device.

    Raises:
        UnknownName: No family and no device is called that.
    """
    rows = {row.name: row for row in (*profile.magnets, *profile.bpms)}
    groups = profile.families()
    settings = _settings(profile)
    for row, _, unit in settings:
        if wanted == row.name:
            numbers = (row.low, row.high, row.delta)
            return [_device(row.name, "", None, unit, numbers, True)]
    supplies = [s for s in profile.supplies if wanted in (SUPPLIES, s.name)]
    if supplies:
        return [_supply(row) for row in supplies]
    names = groups.get(wanted) or ((wanted,) if wanted in rows else ())
    if not names:
        supplied = [SUPPLIES, *(supply.name for supply in profile.supplies)]
        known = [*groups, *rows, *supplied, *(row.name for row, _, _ in settings)]
        raise UnknownName(f"family or device of {profile.name}", wanted, known)
    s = _positions(profile)
    found = [_row(rows[name], s) for name in names]
    return sorted(found, key=lambda row: row["s"])


def _settings(profile: Profile) -> list[tuple[SettingRow, str, str]]:
    """Return what is set and is in no table, with its component and unit."""
    pinger = profile.pinger
    found = [
        (profile.rf, "frequency", "Hz"),
        (pinger.x if pinger else None, "hkick", "rad"),
        (pinger.y if pinger else None, "vkick", "rad"),
    ]
    return [(row, component, unit) for row, component, unit in found if row]


def _family(
    name: str, count: int, in_use: int, component: str, unit: str
) -> dict[str, Any]:
    return {
        "family": name,
        "devices": count,
        "in use": in_use,
        "component": component,
        "unit": unit,
    }


def _strength(members: Sequence[MagnetRow | BpmRow]) -> tuple[str, str]:
    """Return component and unit of a family; BPMs read x and y."""
    components = dict.fromkeys(
        getattr(member, "component", "x, y") for member in members
    )
    return ", ".join(components), getattr(members[0], "unit", "m")


def _row(row: MagnetRow | BpmRow, s: Mapping[str, float]) -> dict[str, Any]:
    element = _element(row.element)
    unit = getattr(row, "unit", "m")
    numbers = [getattr(row, key, None) for key in ("low", "high", "delta")]
    shown = _device(row.name, element, s[row.name], unit, numbers, row.status)
    feeds = " ".join(feed.supply for feed in getattr(row, "feeds", ()))
    return {**shown, "supply": feeds} if feeds else shown


def _supply(row: SupplyRow) -> dict[str, Any]:
    return _device(row.name, "", None, "A", (row.low, row.high, None), row.status)


def _device(
    name: str,
    element: str,
    s: float | None,
    unit: str,
    numbers: Sequence[float | None],
    status: bool,
) -> dict[str, Any]:
    low, high, delta = numbers
    return {
        "name": name,
        "element": element,
        "s": None if s is None else round(s, 6),
        "unit": unit,
        "low": low,
        "high": high,
        "delta": delta,
        "status": int(status),
    }


def _positions(profile: Profile) -> dict[str, float]:
    """Return the middle of each device along the lattice [m].

    Raises:
        ConfigError: Devices that the lattice does not have.
    """
    from acctwin.model.lattice import elements_of, match, open_lattice, places_of

    if faults := match(profile):
        raise ConfigError(faults)
    ring = open_lattice(profile.lattice)
    places = places_of(ring)
    s = [0.0, *accumulate(element.Length for element in ring)]
    middle: dict[str, float] = {}
    for row in (*profile.magnets, *profile.bpms):
        found = elements_of(ring, row.element, places)
        middle[row.name] = (s[found[0]] + s[found[-1] + 1]) / 2
    return middle


def _element(ref: ElementRef) -> str:
    if ref.count == 1:
        return f"{ref.family}[{ref.index}]"
    return f"{ref.family}[{ref.index}:{ref.index + ref.count}]"
