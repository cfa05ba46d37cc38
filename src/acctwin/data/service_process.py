"""The data service as its session sees it: a process that is kept alive."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from acctwin.data.folders import ServiceConfig, StoreFolder, read_json
from acctwin.data.room import low_disk

log = logging.getLogger(__name__)

_POLL_S = 0.02


class ServiceProcess:
    """Runs `acctwin.data.service` for one session and starts it again if it dies.

    Args:
        config: What the service is told.
        at_once: Whether it starts now; else when something is waited for.
    """

    def __init__(self, config: ServiceConfig, *, at_once: bool = True) -> None:
        self._config = config
        self._home: Path = StoreFolder(Path(config.root)).journals / config.session
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        if at_once:
            self._process = self._start()

    @property
    def pid(self) -> int | None:
        """Process id of the service; None before it has started."""
        return None if self._process is None else self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def reason(self) -> str:
        """What the service last said, as the end of a sentence."""
        status = read_json(self._home / "status.json")
        # On a full disk the service cannot even say so.
        said = (
            status.get("error")
            or low_disk(self._home)
            or "; ".join(status.get("refused", {}).values())
        )
        return f" ({said or status.get('doing', 'the data service is starting')})"

    def wait(self, is_done: Callable[[], bool], timeout_s: float, what: str) -> bool:
        """Wait for a condition with the service alive; return whether it came true.

        Args:
            is_done: The condition.
            timeout_s: How long to wait [s].
            what: What is waited for, for the log.
        """
        pause = threading.Event()
        begun = time.monotonic()
        next_word = begun + 2.0
        while not is_done():
            now = time.monotonic()
            if now > begun + timeout_s:
                return False
            if now > next_word:
                log.info("waiting for %s%s", what, self.reason)
                next_word = now + 10.0
            self.keep()
            pause.wait(_POLL_S)
        return True

    def keep(self) -> None:
        """Start the service, also again if it died."""
        if self._ended or self.is_alive:
            return
        if self._process is not None:
            log.warning(
                "the data service died (exit code %s), see %s; it is started again",
                self._process.returncode,
                self._home / "service.log",
            )
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process = self._start()

    def kill(self) -> None:
        """End the service at once; nothing more is uploaded."""
        self._ended = True
        if self._process is not None:
            self._process.kill()

    def end(self, timeout_s: float) -> None:
        """Let the service upload what is left, for so long [s], and end it."""
        self._ended = True
        process = self._process
        if process is None:
            return
        assert process.stdin is not None  # noqa: S101  (made with a pipe)
        process.stdin.close()
        if not self.wait(lambda: not self.is_alive, timeout_s, "upload"):
            process.kill()
        process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        with (self._home / "service.log").open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "acctwin.data.service"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=output,
                # The service does its own retries; Tiled's would hide them for 45 s.
                env={**os.environ, "TILED_RETRY_TIMEOUT": "5"},
                process_group=0,  # Ctrl-C in the terminal is for the session alone
            )
        assert process.stdin is not None  # noqa: S101  (made with a pipe)
        process.stdin.write(self._config.to_line())
        process.stdin.flush()
        return process
