"""``acctwin data status`` and ``flush``: what waits for Tiled."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acctwin.cli.output import console, grid

if TYPE_CHECKING:
    from acctwin.data.waiting import Waiting

Catalog = Annotated[
    str, typer.Option(help="'local', a folder, or the URL of a Tiled server.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(catalog: Catalog = "local", json: Json = False) -> None:
    """Show what waits in the journals of a store, and why.

    Exits with 1 when Tiled refused a run.
    """
    from acctwin.data.folders import StoreFolder, locate
    from acctwin.data.waiting import waiting

    found = waiting(StoreFolder(locate(catalog)[0]))
    _print(found, json)
    if any(item.refused for item in found):
        raise typer.Exit(1)


def flush(
    catalog: Catalog = "local",
    timeout: Annotated[float, typer.Option(help="How long to wait [s].")] = 600.0,
    json: Json = False,
) -> None:
    """Deliver to Tiled what waits in all journals of a store, now.

    Takes over the journals of sessions that died. Exits with 1 when not all was
    delivered.
    """
    from acctwin.data.waiting import deliver

    def tell(left: list[Waiting]) -> None:
        runs = sum(item.runs + item.open_runs for item in left)
        size = sum(item.bytes for item in left) / 1e6
        typer.echo(f"{runs} runs, {size:.1f} MB wait", err=True)

    left = deliver(catalog, timeout, tell)
    _print(left, json)
    if any(item.refused for item in left):
        raise typer.Exit(1)


def _print(found: list[Waiting], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps([asdict(item) for item in found], indent=1))
    elif found:
        console().print(grid("", [_row(item) for item in found]))
        for item in found:
            if item.error:
                typer.echo(f"{item.session}: {item.error}")
    else:
        typer.echo("nothing waits")


def _row(item: Waiting) -> dict[str, Any]:
    return {
        "session": item.session,
        "is": "open" if item.is_open else "ended",
        "runs": item.runs,
        "open": item.open_runs,
        "refused": item.refused,
        "documents": item.documents,
        "MB": round(item.bytes / 1e6, 3),
        "oldest h": round(item.age_s / 3600, 2),
    }
