"""``acctwin data``: the group of commands on stored runs; each has its own module."""

from __future__ import annotations

import typer

from acctwin.cli.data_export import export, import_file
from acctwin.cli.data_repeat import repeat
from acctwin.cli.data_serve import serve
from acctwin.cli.data_show import show
from acctwin.cli.data_status import flush, status

data = typer.Typer(no_args_is_help=True, help="Serve, look at and share stored runs.")
data.command()(serve)
data.command()(status)
data.command()(flush)
data.command()(show)
data.command()(repeat)
data.command()(export)
data.command("import")(import_file)


@data.callback()
def group() -> None:
    """Serve, look at and share stored runs."""
