"""``acctwin check``: every fault of a profile at once, or what is in it."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acctwin.cli.output import console, grid
from acctwin.cli.show import families

if TYPE_CHECKING:
    from acctwin.errors import Fault
    from acctwin.profiles.profile import Profile


def check(
    profile: Annotated[str, typer.Argument(help="Name of a profile, or its file.")],
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a profile, its tables and its lattice.

    Prints all faults as file:line:column and exits with 1, or prints a summary.
    """
    from acctwin.profiles import read_profile

    checked, faults = read_profile(profile, site)
    if checked is not None:
        from acctwin.model.lattice import match

        faults = [*faults, *one_a_line(match(checked))]
        faults.sort(key=lambda fault: (fault.file, fault.line, fault.column))
    if faults or checked is None:
        _print_faults(faults, json)
        raise typer.Exit(1)
    machine, found = summary(checked), families(checked)
    if json:
        result = {"faults": [], "machine": machine, "families": found}
        typer.echo(json_module.dumps(result, indent=1))
        return
    for line in _head(machine):
        typer.echo(line)
    console().print(grid("", found))


def one_a_line(faults: Iterable[Fault]) -> list[Fault]:
    """Return one fault for all devices of a template that have the same fault."""
    groups: dict[tuple[str, int, int], list[Fault]] = {}
    for fault in faults:
        groups.setdefault((fault.file, fault.line, fault.column), []).append(fault)
    return [_first_of(group) for group in groups.values()]


def summary(profile: Profile) -> dict[str, Any]:
    """Return what a machine is: lattice, energy, size, RF, beam; in SI and eV."""
    from acctwin.model.lattice import open_lattice

    ring = open_lattice(profile.lattice)
    rf = (element.Frequency for element in ring if hasattr(element, "Frequency"))
    return {
        "profile": profile.name,
        "file": str(profile.path),
        "description": profile.description,
        "operational_mode": profile.operational_mode,
        "lattice": profile.lattice.source,
        "elements": len(ring),
        "energy_ev": float(ring.energy),
        "circumference_m": float(sum(element.Length for element in ring)),
        "rf_hz": next((float(frequency) for frequency in rf), None),
        "current_a": profile.beam_current_a,
    }


def _head(machine: dict[str, Any]) -> list[str]:
    """Return the summary in the units of the control room."""
    rf = machine["rf_hz"]
    shown = {
        "profile": f"{machine['profile']}: {machine['description']}",
        "file": machine["file"],
        "mode": machine["operational_mode"],
        "lattice": f"{machine['lattice']}, {machine['elements']} elements",
        "energy": f"{machine['energy_ev'] / 1e9:g} GeV",
        "circumference": f"{machine['circumference_m']:.6f} m",
        "RF": "none" if rf is None else f"{rf / 1e6:.6f} MHz",
        "current": f"{machine['current_a'] * 1e3:g} mA",
    }
    return [f"{label:14} {text}" for label, text in shown.items()]


def _first_of(group: list[Fault]) -> Fault:
    first, others = group[0], len(group) - 1
    if not others:
        return first
    return replace(first, message=f"{first.message} (and {others} more on this line)")


def _print_faults(faults: list[Fault], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps({"faults": [vars(f) for f in faults]}, indent=1))
        return
    for fault in faults:
        typer.echo(str(fault))
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    typer.echo(count, err=True)
