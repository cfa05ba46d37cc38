"""A served machine and a client of it, each in a process of its own, on loopback.

Control-system libraries read their environment when they are loaded, so clients are
not in the process of the tests: :class:`Client` runs a script that answers one JSON
line for each JSON line. All waits have a deadline, and everything is ended also when
a test fails.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
COMMAND = "from acctwin.cli.main import main; main()"
HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def epics_network() -> dict[str, str]:
    """The environment of a private EPICS network on free ports of loopback."""
    ca, repeater, pva, search = (str(free_port()) for _ in range(4))
    return {
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": ca,
        "EPICS_CA_REPEATER_PORT": repeater,
        "EPICS_PVA_SERVER_PORT": pva,
        "EPICS_PVAS_SERVER_PORT": pva,
        "EPICS_PVA_BROADCAST_PORT": search,
        "EPICS_PVAS_BROADCAST_PORT": search,
    }


@contextmanager
def server(*args: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run ``acctwin serve`` with some arguments; gives its READY line."""
    with process("-c", COMMAND, "serve", *args, "--until-eof", env=env) as p:
        yield line_of(p, "READY")


@contextmanager
def process(
    *args: str, env: Mapping[str, str] | None = None, at_end: str = "eof"
) -> Iterator[Any]:
    """Run Python with some arguments; ended at the end, whatever happens.

    Args:
        args: Of Python.
        env: In addition to the environment that there is.
        at_end: ``"eof"``: its standard input ends; ``"kill"``: it is killed.
    """
    child = subprocess.Popen(
        [sys.executable, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )
    try:
        yield child
    finally:
        child.stdin.close()
        if at_end == "kill":
            child.kill()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()


def line_of(child: Any, beginning: str) -> str:
    """Return the next line that begins so; raise when there is none in time."""
    end = time.monotonic() + DEADLINE_S
    os.set_blocking(child.stdout.fileno(), False)
    text = b""
    while time.monotonic() < end:
        select.select([child.stdout], [], [], 0.5)
        new = os.read(child.stdout.fileno(), 1 << 20) if _has(child) else b""
        text += new
        for line in text.split(b"\n")[:-1]:
            if line.startswith(beginning.encode()):
                return line.decode()
        if child.poll() is not None and not new:
            break
    raise TimeoutError(f"no line with {beginning!r}; found {text[-2000:]!r}")


def _has(child: Any) -> bool:
    return bool(select.select([child.stdout], [], [], 0.0)[0])


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(part) for part in text.split()]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
    return True


class Client:
    """A client script; ``client.caget("PV")`` calls its function ``caget``."""

    def __init__(self, child: Any) -> None:
        self._child = child

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            text = json.dumps([name, args, options]) + "\n"
            self._child.stdin.write(text.encode())
            self._child.stdin.flush()
            answer = json.loads(line_of(self._child, "= ")[2:])
            if "error" in answer:
                raise RuntimeError(answer["error"])
            return answer["result"]

        return call


@contextmanager
def client(script: str, env: Mapping[str, str] | None = None) -> Iterator[Client]:
    with process(str(HERE / script), env=env) as child:
        yield Client(child)


def answer(functions: Mapping[str, Any]) -> None:
    """In a client script: call functions as the tests ask for them."""
    for line in sys.stdin:
        name, args, options = json.loads(line)
        try:
            found = {"result": functions[name](*args, **options)}
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(f"= {json.dumps(found, default=_plain)}\n")
        sys.stdout.flush()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
