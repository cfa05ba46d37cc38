"""``acctwin data export`` and ``import``: runs for other programs and other labs."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from acctwin.cli.output import console, grid

if TYPE_CHECKING:
    from acctwin.data.frames import Document

Format = Literal["hdf5", "csv", "mat", "bundle"]
SUFFIXES = {"hdf5": ".h5", "csv": "", "mat": ".mat"}
Catalog = Annotated[
    str, typer.Option(help="'local', a folder, or the URL of a Tiled server.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def export(
    uids: Annotated[list[str], typer.Argument(help="uids, or their beginnings.")],
    out: Annotated[
        Path,
        typer.Option(help="File to make; a folder for csv, or for several runs."),
    ],
    format: Annotated[Format, typer.Option(help="What to write.")] = "hdf5",
    derived: Annotated[
        bool, typer.Option("--derived", help="Also the runs they were derived from.")
    ] = False,
    site: Annotated[
        Path | None, typer.Option(help="Where a bundle's profile is.")
    ] = None,
    catalog: Catalog = "local",
    json: Json = False,
) -> None:
    """Write runs to files: HDF5 in NeXus form, CSV, MATLAB, or a bundle to import."""
    from acctwin.data.export import choose_runs
    from acctwin.data.store import Store

    with Store.open(catalog) as store, progress("exporting") as tell:
        runs = choose_runs(store, uids, derived=derived)
        if format == "bundle":
            rows = _bundle(runs, out, site, tell)
        else:
            several = derived or len(uids) > 1
            rows = _each(runs, out, format, several, tell)
    _print(rows, json)


def import_file(
    file: Annotated[Path, typer.Argument(help="A bundle.")],
    catalog: Catalog = "local",
    timeout: Annotated[float, typer.Option(help="How long to wait [s].")] = 600.0,
    json: Json = False,
) -> None:
    """Take over the runs of a bundle, if all of it is whole; each run once."""
    from acctwin.data.export import import_bundle
    from acctwin.data.store import Store

    with Store.open(catalog) as store, progress("importing") as tell:
        found = import_bundle(file, store, timeout_s=timeout, tell=tell)
    _print([vars(run) for run in found], json)
    if all(run.status == "was there" for run in found):
        typer.echo("nothing to do: all of it was there", err=True)


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show how many runs are done on a terminal; give what to call for each."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} run {task.completed:.0f}"),
        TimeElapsedColumn(),
    )
    screen = Console(stderr=True)
    hidden = not screen.is_terminal
    with Progress(*columns, console=screen, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None)

        def tell(_: str) -> None:
            bar.advance(task)

        yield tell


def _bundle(
    runs: Iterable[list[Document]],
    out: Path,
    site: Path | None,
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    from acctwin.data.export import to_bundle

    done = to_bundle(runs, out, site=site, tell=tell)
    for profile in done.profiles:
        if profile.missing:
            typer.echo(
                f"the profile {profile.name} is not in it: {profile.missing}", err=True
            )
    return [{"uid": uid, "path": str(out)} for uid in done.uids]


def _each(
    runs: Iterable[list[Document]],
    out: Path,
    format: str,
    several: bool,
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Write each run to a file, or folder, of its own."""
    from acctwin.data.export import to_csv, to_hdf5, to_mat
    from acctwin.data.runs import Run

    write = {"hdf5": to_hdf5, "csv": to_csv, "mat": to_mat}[format]
    rows: list[dict[str, Any]] = []
    for documents in runs:
        run = Run.from_documents(documents)
        path = out / f"{run.uid}{SUFFIXES[format]}" if several else out
        rows.append({"uid": run.uid, "path": str(write(run, path))})
        tell(run.uid)
    return rows


def _print(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        typer.echo(json_module.dumps(rows, indent=1))
    else:
        console().print(grid("", rows))
