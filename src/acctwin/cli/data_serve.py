"""``acctwin data serve``: a store for every client of Tiled."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer


def serve(
    path: Annotated[
        Path | None, typer.Option(help="Folder of the store; else the user's own.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="The last one or any free one if not given.")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="TILED_SINGLE_USER_API_KEY",
            help="What clients must give; kept in the store. Made up if not given.",
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            envvar="ACCTWIN_DATABASE",
            help="postgresql://user:password@host/name instead of files.",
        ),
    ] = None,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="End when the standard input ends.")
    ] = False,
) -> None:
    """Serve a store to other computers or processes, with its web page.

    Prints READY and the address. Ends on Ctrl-C or SIGTERM.
    """
    from acctwin.data.folders import user_data_folder
    from acctwin.data.server import serve as serve_store
    from acctwin.servers.serving import end_on_eof, end_on_signals, ready

    ended = threading.Event()
    end_on_signals(ended.set)
    if until_eof:
        end_on_eof()
    root = (path or user_data_folder()).expanduser().resolve()

    def tell(uri: str) -> None:
        ready(f"{uri} serves {root}")
        typer.echo(
            f"  KEY         is in {root / 'api_key'}\n"
            f'  in Python   acctwin.open_session(…, catalog="{uri}?api_key=KEY")\n'
            f"  in browsers {uri}/ui/?api_key=KEY"
        )

    serve_store(
        root,
        ended,
        host=host,
        port=port,
        api_key=api_key,
        database=database,
        tell=tell,
    )
