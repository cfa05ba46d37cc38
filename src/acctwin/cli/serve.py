"""``acctwin serve``: the simulated machine for any client of a control room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

serve = typer.Typer(
    no_args_is_help=True,
    help="Serve the simulated machine as a virtual accelerator.",
)

Machine = Annotated[str, typer.Argument(help="Name of a profile, or its file.")]
Seed = Annotated[
    int | None, typer.Option(help="Draws hidden errors; else the design machine.")
]
Site = Annotated[
    Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
]
Interface = Annotated[str, typer.Option(help="Address of the interface to serve on.")]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Nobody can write.")]
LogPuts = Annotated[
    bool, typer.Option("--log-puts", help="Write every put to the standard error.")
]
UntilEof = Annotated[
    bool, typer.Option("--until-eof", help="End when the standard input ends.")
]


@serve.command()
def epics(
    profile: Machine,
    seed: Seed = None,
    site: Site = None,
    interface: Interface = "127.0.0.1",
    read_only: ReadOnly = False,
    log_puts: LogPuts = False,
    until_eof: UntilEof = False,
) -> None:
    """Serve a machine over Channel Access and PV Access.

    Ports are those of the EPICS environment variables. Ends on Ctrl-C or SIGTERM.
    """
    from acctwin.profiles import load_profile
    from acctwin.servers import epics_ioc
    from acctwin.servers.serving import Options

    _begin(log_puts)
    options = Options(seed, interface, read_only, until_eof)
    epics_ioc.serve(load_profile(profile, site), options)


@serve.command()
def tango(
    profile: Machine,
    seed: Seed = None,
    site: Site = None,
    interface: Interface = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Of the server; 10000, any with a database.")
    ] = None,
    database: Annotated[
        bool, typer.Option("--database", help="Use the database of $TANGO_HOST.")
    ] = False,
    read_only: ReadOnly = False,
    log_puts: LogPuts = False,
    until_eof: UntilEof = False,
) -> None:
    """Serve a machine over Tango, without a database unless told otherwise.

    Ends on Ctrl-C or SIGTERM.
    """
    from acctwin.profiles import load_profile
    from acctwin.servers import tango_server
    from acctwin.servers.serving import Options

    _begin(log_puts)
    options = Options(seed, interface, read_only, until_eof)
    checked = load_profile(profile, site)
    tango_server.serve(checked, options, port=port, database=database)


def _begin(log_puts: bool) -> None:
    """Have the puts of clients written, if that is wanted."""
    if not log_puts:
        return
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s put %(message)s"))
    logger = logging.getLogger("acctwin.served_puts")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
