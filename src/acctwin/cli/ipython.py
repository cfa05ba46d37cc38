"""``acctwin ipython``: a session at the prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acctwin.names import Mode


def ipython(
    profile: Annotated[str, typer.Argument(help="Name of a profile, or its file.")],
    mode: Annotated[
        Mode,
        typer.Option(help="'physics': the simulated machine; 'hardware'; 'replay'."),
    ] = "physics",
    run: Annotated[
        str | None, typer.Option(help="With --mode replay: uid of the run.")
    ] = None,
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
    simple: Annotated[
        bool, typer.Option("--simple", help="A plain prompt, for programs that type.")
    ] = False,
) -> None:
    """Open a machine in IPython: session, machine, RE, catalog and all plans.

    The prompt says which machine, and whether it is simulated, hardware or a replay.
    """
    from acctwin.profiles.site import site_of
    from acctwin.session import ipython as shell
    from acctwin.session.open import open_session

    with open_session(
        profile, mode, run=run, catalog=catalog, site=site, seed=seed
    ) as session:
        shell.start(session, site_of(profile, site), simple=simple)
