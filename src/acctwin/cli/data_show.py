"""``acctwin data show``: where a run comes from."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping
from typing import Annotated, Any

import typer

#: Longest text of a value.
WIDTH = 100


def show(
    uid: Annotated[str, typer.Argument(help="uid of a run, or its beginning.")],
    catalog: Annotated[
        str, typer.Option(help="'local', a folder, or the URL of a Tiled server.")
    ] = "local",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what was run, on which machine, with what, from what, and what came of it."""
    from acctwin.data.provenance import provenance
    from acctwin.data.search import search
    from acctwin.data.store import Store

    with Store.open(catalog) as store:
        run = store.run(uid)
        derived = tuple(search(store.catalog, derived_from=run.uid))
        found = provenance(run, derived)
    if json:
        typer.echo(json_module.dumps(found, indent=1, default=str))
        return
    for topic, values in found.items():
        typer.echo(f"{topic}:")
        for line in _lines(values):
            typer.echo(f"  {line}")


def _lines(values: Any) -> list[str]:
    if isinstance(values, Mapping):
        return [f"{key}: {_short(value)}" for key, value in values.items()]
    return [_short(values)] if values else ["none"]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, list) and len(value) > 6:
        head = ", ".join(str(item) for item in value[:5])
        return f"{head} and {len(value) - 5} more"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    text = str(value)
    return text if len(text) <= WIDTH else f"{text[:WIDTH]}…"
