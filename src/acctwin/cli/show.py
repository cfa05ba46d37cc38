"""``acctwin show``: the families of a machine, and the devices of one family."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acctwin.cli.output import console, grid
from acctwin.errors import UnknownName

if TYPE_CHECKING:
    from acctwin.profiles.profile import BpmRow, ElementRef, MagnetRow, Profile


def show(
    profile: Annotated[str, typer.Argument(help="Name of a profile, or its file.")],
    family: Annotated[
        str | None, typer.Argument(help="A family, or the name of one device.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the families of a machine, or the devices of one family.

    Units are those of the machine's tables: SI, and the strengths of pyAT.
    """
    from acctwin.profiles import load_profile

    checked = load_profile(profile, site)
    if family is None:
        title, found = f"{checked.name}: families", families(checked)
    else:
        title, found = f"{checked.name}: {family}", devices(checked, family)
    if json:
        typer.echo(json_module.dumps(found, indent=1))
    else:
        console().print(grid(title, found))


def families(profile: Profile) -> list[dict[str, Any]]:
    """Return a row for each family of a profile, and one for the RF."""
    rows = {row.name: row for row in (*profile.magnets, *profile.bpms)}
    found: list[dict[str, Any]] = []
    for family, names in profile.families().items():
        members = [rows[name] for name in names]
        in_use = sum(member.status for member in members)
        found.append(_family(family, len(members), in_use, *_strength(members)))
    if profile.rf is not None:
        found.append(_family(profile.rf.name, 1, 1, "frequency", "Hz"))
    return found


def devices(profile: Profile, wanted: str) -> list[dict[str, Any]]:
    """Return a row for each device of a family in s order, or for one device.

    Raises:
        UnknownName: No family and no device is called that.
    """
    rows = {row.name: row for row in (*profile.magnets, *profile.bpms)}
    groups = profile.families()
    rf = profile.rf
    if rf is not None and wanted == rf.name:
        return [_device(rf.name, "", None, "Hz", (rf.low, rf.high, rf.delta), True)]
    names = groups.get(wanted) or ((wanted,) if wanted in rows else ())
    if not names:
        known = [*groups, *rows, *([rf.name] if rf else [])]
        raise UnknownName(f"family or device of {profile.name}", wanted, known)
    from acctwin.model.lattice import positions

    s = positions(profile)
    found = [_row(rows[name], s) for name in names]
    return sorted(found, key=lambda row: row["s"])


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
    components = dict.fromkeys(getattr(member, "component", "x, y") for member in members)
    return ", ".join(components), getattr(members[0], "unit", "m")


def _row(row: MagnetRow | BpmRow, s: Mapping[str, float]) -> dict[str, Any]:
    element = _element(row.element)
    unit = getattr(row, "unit", "m")
    numbers = [getattr(row, key, None) for key in ("low", "high", "delta")]
    return _device(row.name, element, s[row.name], unit, numbers, row.status)


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


def _element(ref: ElementRef) -> str:
    if ref.count == 1:
        return f"{ref.family}[{ref.index}]"
    return f"{ref.family}[{ref.index}:{ref.index + ref.count}]"
