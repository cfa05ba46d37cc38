"""The data service: uploads a session's journal and serves the store if nobody does.

A process of its own, ``python -m acctwin.data.service``. It reads one line of
JSON (the fields of `ServiceConfig`) from its standard input and ends when that
input ends, so also when its session dies; Ctrl-C in the terminal is not for it.
Before it ends it uploads what it can; what it cannot stays in the journal, for
the next service on the store.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from acctwin.data.folders import (
    REFUSED,
    FileLock,
    ServiceConfig,
    StoreFolder,
    read_json,
    remove_journal,
    write_json,
)
from acctwin.data.journal import run_files
from acctwin.data.server import TiledServer
from acctwin.data.upload import Uploader, is_temporary

log = logging.getLogger(__name__)

IDLE_S = 0.05
"""How often the journal is looked at [s]."""
BACKOFF_S = (0.25, 5.0)
"""First and longest pause after a failure [s]."""
OLD_S = 60.0
"""After this a folder without runs is that of a dead session [s]."""
ADOPT_EVERY_S = 10.0
"""How often the store is searched for the journals of dead sessions [s]."""


class Service:
    """Owner of the server if the lock is free, and uploader of one session."""

    def __init__(self, config: ServiceConfig) -> None:
        self.config = config
        self.folder = StoreFolder(Path(config.root))
        self.journal = self.folder.journals / config.session
        self._ended = threading.Event()
        self._owner = FileLock(self.folder.owner_lock)
        self._session = FileLock(self.journal / "session.lock")
        self._upload = FileLock(self.journal / "upload.lock")
        self._server: TiledServer | None = None
        self._uploaders = [self._uploader(self.journal)]
        self._adopted: dict[Path, list[FileLock]] = {}
        self._seen: set[Path] = set()
        self._next_adoption = 0.0
        self._states: dict[Path, dict[str, Any]] = {}

    def run(self) -> None:
        """Work until `end` is called and the journal is uploaded, or time is up."""
        self._upload.acquire()
        pause, deadline = BACKOFF_S[0], float("inf")
        while True:
            if self._ended.is_set() and deadline == float("inf"):
                deadline = time.monotonic() + self.config.drain_s
            error = self._cycle()
            self._report(error)
            if time.monotonic() > deadline or (
                self._ended.is_set() and self._is_idle()
            ):
                break
            if error is None:
                pause = BACKOFF_S[0]
                self._ended.wait(IDLE_S)
            else:
                self._ended.wait(pause)
                pause = min(2 * pause, BACKOFF_S[1])
        if self._server is not None:
            self._server.stop()

    def end(self) -> None:
        """Ask the service to finish."""
        self._ended.set()

    def connect(self) -> Any:
        """Return a client of the catalogue, or raise what keeps it from one."""
        from acctwin.data.client import open_catalog

        if self.config.url is not None:
            return open_catalog(self.config.url, self.config.api_key)
        uri = self.folder.server().get("uri")
        if not uri:
            raise ConnectionError("the server of this store is just starting")
        return open_catalog(uri, self.folder.api_key())

    def _is_idle(self) -> bool:
        return all(uploader.is_idle for uploader in self._uploaders)

    def _cycle(self) -> Exception | None:
        """Do all there is to do once; return what went wrong."""
        try:
            self._adopt()
            self._keep_server()
            for uploader in self._uploaders:
                uploader.step()
            self._leave_adopted()
        except Exception as error:
            if not is_temporary(error):
                log.exception("the data service goes on after an error")
            return error
        return None

    def _keep_server(self) -> None:
        """Run the server if this store has none."""
        if self.config.url is not None:
            return
        if self._server is not None and self._server.is_running:
            return
        if (self._ended.is_set() and self._is_idle()) or not self._owner.acquire():
            return
        if database := read_json(self.folder.database_file).get("database"):
            self._owner.release()
            raise ConnectionError(
                f"the runs of this store are in {database} and nobody serves them: "
                f"start `acctwin data serve --path {self.folder.root} --database …`"
            )
        self._report(None, "starting the Tiled server")
        self._server = TiledServer(self.folder)
        self._server.start()

    def _adopt(self) -> None:
        """Take over the journals of sessions that died."""
        is_ours = not self._session.is_held and self._ended.is_set()
        if is_ours and self._session.acquire():
            # Our session has closed or died: its open runs will not go on.
            self._uploaders[0].adopt()
        if time.monotonic() < self._next_adoption:
            return
        self._next_adoption = time.monotonic() + ADOPT_EVERY_S
        for folder in self.folder.journals.iterdir():
            # A young folder without runs may be that of a session just opening.
            is_other = folder != self.journal and folder not in self._seen
            holds_runs = run_files(folder) or any(folder.glob(f"*{REFUSED}"))
            if is_other and (holds_runs or _is_old(folder)):
                self._adopt_folder(folder)

    def _adopt_folder(self, folder: Path) -> None:
        locks = [FileLock(folder / "session.lock"), FileLock(folder / "upload.lock")]
        if not all(lock.acquire() for lock in locks):
            for lock in locks:
                lock.release()
            return
        self._seen.add(folder)
        log.warning("taking over the runs of session %s", folder.name)
        uploader = self._uploader(folder)
        uploader.adopt()
        self._uploaders.append(uploader)
        self._adopted[folder] = locks

    def _uploader(self, journal: Path) -> Uploader:
        arrays = None if self.config.url else self.folder.arrays
        return Uploader(journal, self.connect, arrays)

    def _leave_adopted(self) -> None:
        """Remove the journals that were taken over and are uploaded."""
        for uploader in self._uploaders[1:]:
            if uploader.is_idle:
                self._uploaders.remove(uploader)
                remove_journal(uploader.folder)
                for lock in self._adopted.pop(uploader.folder):
                    lock.release()

    def _report(self, error: Exception | None, doing: str = "ready") -> None:
        """Tell the sessions what goes on, where they and their heirs can read it."""
        said = None if error is None else f"{type(error).__name__}: {error}"
        for uploader in self._uploaders:
            state = {
                "pid": os.getpid(),
                "doing": doing,
                "error": said,
                "refused": uploader.refused,
            }
            if state == self._states.get(uploader.folder):
                continue
            try:
                write_json(uploader.folder / "status.json", state)
            except OSError as fault:  # a full disk must not end the service
                log.warning("no status in %s: %s", uploader.folder, fault)
                continue
            self._states[uploader.folder] = {**state, "refused": {**uploader.refused}}


def _is_old(folder: Path) -> bool:
    return time.time() - folder.stat().st_mtime > OLD_S


def main() -> int:
    """Run the service for the session at the other end of standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = ServiceConfig(**json.loads(sys.stdin.buffer.readline()))
    service = Service(config)
    handler = logging.StreamHandler()
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.getLogger().addHandler(handler)
    logging.getLogger("acctwin").setLevel(logging.INFO)
    worker = threading.Thread(target=_work, args=(service,), name="upload")
    worker.start()
    sys.stdin.buffer.read()
    service.end()
    worker.join()
    return 0


def _work(service: Service) -> None:
    import numpy as np

    # Validating a document formats its arrays; numpy's print options belong to
    # the thread, and a low threshold makes that five times cheaper.
    np.set_printoptions(threshold=16)
    try:
        service.run()
    except BaseException:
        log.exception("the data service ends; its session starts another one")
        os._exit(1)  # the main thread waits for the session


if __name__ == "__main__":
    sys.exit(main())
