"""``acctwin runs``: what has been measured."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from acctwin.cli.output import console, grid

if TYPE_CHECKING:
    from acctwin.data.summaries import RunSummary


def runs(
    catalog: Annotated[
        str, typer.Option(help="'local', a folder, or the URL of a Tiled server.")
    ] = "local",
    plan: Annotated[str | None, typer.Option(help="Only runs of this plan.")] = None,
    profile: Annotated[
        str | None, typer.Option(help="Only runs of this machine.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="Only 'physics', 'hardware' or 'replay'.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option(help="Only runs of this user.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Only runs that moved this device.")
    ] = None,
    text: Annotated[
        str | None, typer.Option(help="Only runs with these words in their metadata.")
    ] = None,
    result: Annotated[
        list[str] | None,
        typer.Option(help="Only runs with a result inside, 'tunes_q_0=4.2..4.3'."),
    ] = None,
    derived_from: Annotated[
        str | None, typer.Option(help="Only runs that this run (uid) went into.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only runs from this time on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Only runs before this time.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At the most so many.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List stored runs, newest first."""
    from acctwin.data.store import Store
    from acctwin.data.summaries import summaries

    with Store.open(catalog) as store:
        found = summaries(
            store.catalog,
            plan_name=plan,
            profile=profile,
            mode=mode,
            operator=operator,
            device=device,
            text=text,
            results=_ranges(result or ()),
            derived_from=derived_from,
            since=since.timestamp() if since else None,
            until=until.timestamp() if until else None,
            limit=limit,
        )
    if json:
        typer.echo(json_module.dumps([asdict(run) for run in found], indent=1))
    elif found:
        console().print(grid("", [_row(run) for run in found]))
    else:
        typer.echo("no runs")


def _ranges(given: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Return the range of each number, from words such as ``tunes_q_0=4.2..4.3``."""
    found: dict[str, tuple[float, float]] = {}
    for word in given:
        key, is_given, values = word.partition("=")
        low, is_range, high = values.partition("..")
        try:
            found[key] = float(low), float(high if is_range else low)
        except ValueError:
            is_given = ""
        if not is_given:
            raise typer.BadParameter(
                f"{word!r} is not a number's name and its range, NAME=LOW..HIGH"
            )
    return found


def _row(run: RunSummary) -> dict[str, Any]:
    return {
        "scan_id": run.scan_id,
        "uid": run.uid[:8],
        "time": f"{datetime.fromtimestamp(run.time):%Y-%m-%d %H:%M:%S}",
        "plan": run.plan_name,
        "profile": run.profile,
        "status": run.exit_status,
        "events": run.events,
    }
