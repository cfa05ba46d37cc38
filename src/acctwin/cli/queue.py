"""``acctwin queue``: plans that wait for their turn, through bluesky-queueserver."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from acctwin.cli.output import console, grid

queue = typer.Typer(
    no_args_is_help=True,
    help="Queue plans with bluesky-queueserver, on this computer.",
)

Mode = Literal["physics", "hardware"]


@queue.command()
def start(
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
    redis: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A Redis server; else a built-in one that forgets at the end.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(help="For clients, on loopback; else 60615, or any free one."),
    ] = None,
) -> None:
    """Start a manager and its worker in the background; wait until they are ready.

    Clients use bluesky-queueserver-api with the address that is printed.
    """
    from acctwin.profiles.site import profile_path, site_of
    from acctwin.session.queue import control
    from acctwin.session.queue.folder import QueueConfig

    home = site_of(profile, site)
    profile_path(profile, home)
    config = QueueConfig(
        profile=profile,
        mode=mode,
        seed=seed,
        catalog=catalog,
        site=str(home),
        startup=str(control.startup_folder(home)),
        redis=redis,
        port=port,
    )
    state = control.start(config)
    typer.echo(f"READY {state.control} queues plans for {profile} ({mode})")
    typer.echo(
        f'  in Python   REManagerAPI(zmq_control_addr="{state.control}")\n'
        f"  console     qserver-console-monitor --zmq-info-addr {state.info}"
    )
    if state.built_in:
        typer.echo("  The queue ends with `acctwin queue stop`; --redis keeps it.")


@queue.command()
def stop() -> None:
    """End the queue; a plan that runs is aborted and puts back what it moved."""
    from acctwin.session.queue import control

    typer.echo(control.stop())


@queue.command()
def status(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs and what waits, and what happened to the worker.

    Exits with 1 when no queue runs.
    """
    from acctwin.session.queue import control

    found = control.status()
    if json:
        typer.echo(json_module.dumps(found, indent=1))
    else:
        _print(found)
    if found["state"] != "ready":
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    for key, value in found.items():
        if key not in ("events", "left") and value != "":
            typer.echo(f"{key:<10} {value}")
    for event in found.get("events", ()):
        typer.echo(event)
    if left := found.get("left"):
        title = f"left moved by run {left['run']} ({left['plan']})"
        console().print(grid(title, left["moved"]))
