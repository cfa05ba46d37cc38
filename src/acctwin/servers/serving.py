"""What both servers do: start the machine, tell when ready, end when told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from acctwin.profiles.profile import Profile


@dataclass(frozen=True)
class Options:
    """How a machine is served.

    Attributes:
        seed: Of the simulated machine's hidden errors; None: the design machine.
        interface: Address of the network interface to serve on.
        read_only: Clients cannot write anything.
        until_eof: End when the standard input ends, e.g. with the parent process.
    """

    seed: int | None = None
    interface: str = "127.0.0.1"
    read_only: bool = False
    until_eof: bool = False


async def together(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run jobs until all are done, or one fails: the others end then.

    Raises:
        Exception: What the first job that failed raised.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def ready(text: str) -> None:
    """Say on the standard output that clients may come; one line, at once."""
    sys.stdout.write(f"READY {text}\n")
    sys.stdout.flush()


def server_id(profile: Profile, started: float) -> str:
    """Return what is different after every start of a server: 39 characters at most."""
    return f"{profile.name[:15]}-{os.getpid()}-{int(started)}"


def end_on_signals(end: Callable[[], None]) -> None:
    """Call a function on SIGINT and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end())


def end_on_eof() -> None:
    """Send this process a SIGTERM when its standard input ends."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="acctwin stdin", daemon=True).start()
