"""Processes of the tests of stores: a server and sessions, ended whatever happens."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEADLINE_S = 120.0
COMMAND = "from acctwin.cli.main import main; main()"
HERE = Path(__file__).parent


class Child:
    """A Python process that answers in lines on its standard output."""

    def __init__(self, *args: object, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.pid = self.process.pid
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def answer(self, word: str, timeout_s: float = DEADLINE_S) -> str:
        """Return the rest of the next line that begins with a word."""
        seen: list[str] = []
        while (line := self._lines.get(timeout=timeout_s)) is not None:
            if line.startswith(word):
                return line.removeprefix(word).strip()
            seen.append(line)
        raise AssertionError(f"ended without {word}: {seen}")

    def go_on(self) -> None:
        """Send the line that the process waits for."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    def end(self, timeout_s: float = DEADLINE_S) -> None:
        """Let it end, by the end of its standard input."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(timeout_s)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            self.process.stdout.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


@contextmanager
def child(*args: object, env: dict[str, str] | None = None) -> Iterator[Child]:
    """Run a Python process to the end of its standard input."""
    one = Child(*args, env=env)
    try:
        yield one
    finally:
        one.end()


@contextmanager
def tiled(root: Path, port: int = 0, *options: object) -> Iterator[tuple[Child, str]]:
    """Serve a store; gives the process and the URL with the key."""
    command = ("-c", COMMAND, "data", "serve", "--path", root, "--port", port)
    with child(*command, "--api-key", "secret", "--until-eof", *options) as server:
        uri, said = server.answer("READY").split(" ", 1)
        assert said == f"serves {root}"
        yield server, f"{uri}?api_key=secret"


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
