"""``acctwin badger``: Badger's window on the devices of a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acctwin.names import Mode


def badger(
    profile: Annotated[str, typer.Argument(help="Name of a profile, or its file.")],
    mode: Annotated[
        Mode, typer.Option(help="'physics': the simulated machine; 'hardware'.")
    ] = "physics",
    seed: Annotated[
        int | None, typer.Option(help="Draws hidden errors; else the design machine.")
    ] = None,
    catalog: Annotated[
        str | None,
        typer.Option(help="'local', a folder, or a URL; else what the profile says."),
    ] = None,
    site: Annotated[
        Path | None, typer.Option(help="Folder with devices/ plans/ profiles/.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Badger's folder: plug-ins, settings, archive."),
    ] = None,
) -> None:
    """Open Badger on a machine: its environment is called acctwin_PROFILE.

    What Badger sets and reads are runs in the catalogue. Ends with Badger's window.
    """
    from acctwin.data.folders import user_data_folder
    from acctwin.session import badger as window
    from acctwin.session.open import open_session

    with open_session(
        profile, mode, catalog=catalog, site=site, seed=seed, progress=False
    ) as session:
        code = window.start(session, folder or user_data_folder() / "badger")
    raise typer.Exit(code)
