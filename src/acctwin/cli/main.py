"""The ``acctwin`` command: its sub-commands, and how errors reach the user."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from acctwin.cli.badger import badger
from acctwin.cli.check import check
from acctwin.cli.data import data
from acctwin.cli.demo import demo
from acctwin.cli.import_mml import import_mml
from acctwin.cli.ipython import ipython
from acctwin.cli.loco import loco
from acctwin.cli.queue import queue
from acctwin.cli.runs import runs
from acctwin.cli.serve import serve
from acctwin.cli.show import show
from acctwin.errors import AcctwinError, UnknownName


class Commands(TyperGroup):
    """Sub-commands whose own errors are a plain message, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; exit with 2 for an unknown name, 1 for other errors."""
        try:
            return super().invoke(ctx)
        except AcctwinError as error:
            typer.echo(f"acctwin: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, UnknownName) else 1) from error


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(check)
app.command()(show)
app.command()(runs)
app.command()(badger)
app.command()(ipython)
app.command()(loco)
app.command("import-mml")(import_mml)
app.add_typer(serve, name="serve")
app.add_typer(data, name="data")
app.add_typer(queue, name="queue")


def _print_version(wanted: bool) -> None:
    if wanted:
        from acctwin import __version__

        typer.echo(f"acctwin {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print it."
        ),
    ] = False,
) -> None:
    """Digital twin and middle layer for particle accelerators."""


def main() -> None:
    """Run the command line."""
    app()
