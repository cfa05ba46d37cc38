"""``acctwin data repeat``: a stored run once more, on the twin."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from acctwin.data.runs import Run


def repeat(
    uid: Annotated[str, typer.Argument(help="uid of a run, or its beginning.")],
    catalog: Annotated[
        str, typer.Option(help="'local', a folder, or the URL of a Tiled server.")
    ] = "local",
    seed: Annotated[
        int | None, typer.Option(help="Hidden errors; default: those of the run.")
    ] = None,
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Call the plan of a run again, on the twin, from the setpoints before that run.

    What came of it is printed beside what came of it then; the new run is stored too.
    """
    from acctwin.data.store import Store
    from acctwin.session.open import open_session
    from acctwin.workflows.repeat import call_of
    from acctwin.workflows.repeat import repeat as again

    with Store.open(catalog) as store:
        run = store.run(uid)
    call_of(run)
    profile, drawn = str(run.start.get("profile")), run.start.get("seed")
    with open_session(
        profile,
        catalog=catalog,
        site=site,
        seed=drawn if seed is None else seed,
    ) as session:
        again(session, run.uid)
        new = session.store.run(-1)
    rows = _beside(run, new)
    if json:
        found = {"uid": new.uid, "repeats": run.uid, "results": rows}
        typer.echo(json_module.dumps(found, indent=1))
        return
    table = Table("result", f"then, {run.uid[:8]}", f"now, {new.uid[:8]}")
    for name, values in rows.items():
        table.add_row(name, *(f"{value:.6g}" for value in values))
    Console().print(table if rows else f"run {new.uid}: no short results to compare")


def _beside(run: Run, new: Run) -> dict[str, tuple[float, float]]:
    """Return the figures that both runs have."""
    then, now = _results(run), _results(new)
    return {name: (value, now[name]) for name, value in then.items() if name in now}


def _results(run: Run) -> dict[str, Any]:
    from acctwin.data.provenance import provenance

    return provenance(run)["results"]
