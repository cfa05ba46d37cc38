"""``acctwin check``: every fault of a profile at once, or what is in it."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from acctwin.errors import Fault


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

        faults = [*faults, *match(checked)]
    if faults or checked is None:
        _print_faults(faults, json)
        raise typer.Exit(1)
    summary = _summary(checked)
    if json:
        typer.echo(json_module.dumps({"faults": [], **summary}, indent=1))
    else:
        Console().print(_table(summary))


def _print_faults(faults: list[Fault], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps({"faults": [vars(f) for f in faults]}, indent=1))
        return
    for fault in faults:
        typer.echo(str(fault))
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    typer.echo(count, err=True)
