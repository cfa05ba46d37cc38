"""The store: where a session's runs go, and where it finds them again."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from acctwin.data.client import open_broker, open_catalog, split_url
from acctwin.data.folders import (
    DONE,
    OPEN,
    REFUSED,
    FileLock,
    ServiceConfig,
    StoreFolder,
    make_private,
    read_json,
    remove_journal,
    user_data_folder,
)
from acctwin.data.journal import Journal, find_run_file, read_journal
from acctwin.data.replay import documents
from acctwin.data.runs import Run
from acctwin.errors import DataError, UnknownName

log = logging.getLogger(__name__)

WAIT_S = 120.0
"""How long readers wait for the server and the upload [s]."""
_POLL_S = 0.02


class Store:
    """The runs of one session and of those before it. Open with `Store.open`.

    Opening takes milliseconds: the server starts in a process of its own, and
    only `catalog` and `db` wait for it.

    Attributes:
        folder: Paths of the store.
        session_id: Name of this session in the store.
        journal: The callback that writes documents: ``RE.subscribe(store.journal)``.
        is_new: Nothing was in Tiled when it was opened.
    """

    def __init__(
        self,
        folder: StoreFolder,
        *,
        url: str | None = None,
        api_key: str | None = None,
        session_id: str | None = None,
        temporary: bool = False,
    ) -> None:
        self.folder = folder
        self.session_id = session_id or _new_session_id()
        self._url, self._api_key, self._temporary = url, api_key, temporary
        self.is_new = url is None and not folder.tiled.exists()
        home = make_private(folder.journals / self.session_id)
        self._lock = FileLock(home / "session.lock")
        if not self._lock.acquire():
            raise DataError(
                f"session {self.session_id!r} is already open in {folder.root}: "
                "give this one another session_id"
            )
        self.journal = Journal(home)
        self._catalog: Any = None
        self._catalog_uri = ""
        self._closing = False
        self._service = self._start_service()

    @classmethod
    def open(
        cls, where: str | Path = "local", *, session_id: str | None = None
    ) -> Self:
        """Open a store.

        Args:
            where: ``"local"``, the user's data folder (``$ACCTWIN_DATA`` or
                ``~/.local/share/acctwin``); ``"temporary"``, a folder that is
                removed at close; another folder; or the URL of a Tiled server,
                ``http://host:8000?api_key=…``.
            session_id: Name of the session in the store; made up if not given.

        Raises:
            DataError: The folder cannot be used, or the session is open already.
        """
        text = str(where)
        if text.startswith(("http://", "https://")):
            url, key = split_url(text)
            root = user_data_folder() / "remote" / _folder_name(url)
            folder = StoreFolder(make_private(root).resolve())
            return cls(folder, url=url, api_key=key, session_id=session_id)
        if text == "temporary":
            root = Path(tempfile.mkdtemp(prefix="acctwin-"))
            return cls(StoreFolder(root), session_id=session_id, temporary=True)
        root = user_data_folder() if text == "local" else Path(where).expanduser()
        folder = StoreFolder(make_private(root).resolve())
        return cls(folder, session_id=session_id)

    @property
    def catalog(self) -> Any:
        """The Tiled client of the runs, with every run of this session that ended.

        Raises:
            DataError: The server cannot be reached, or a run is not there in time.
        """
        self._wait_uploaded(WAIT_S)
        if refused := self._refused():
            log.warning("%s", refused)
        return self.connect(WAIT_S)

    @property
    def db(self) -> Any:
        """The same runs through databroker: ``db[-1].table()``, ``db[uid]``."""
        return open_broker(self.catalog)

    def connect(self, timeout_s: float = WAIT_S) -> Any:
        """Return the Tiled client without waiting for the upload of runs.

        Raises:
            DataError: The server does not answer within `timeout_s`.
        """
        if not self._wait(self._is_server_up, timeout_s, "the Tiled server"):
            raise DataError(
                f"the Tiled server {self._uri()} of {self.folder.root} cannot be "
                f"reached after {timeout_s:g} s{self._reason()}. Runs are kept in "
                f"{self.journal.folder}; store.run(uid) reads those of this session."
            )
        uri = self._uri()
        if uri != self._catalog_uri:
            self._disconnect()
            key = self._api_key if self._url else self.folder.api_key()
            self._catalog, self._catalog_uri = open_catalog(uri, key), uri
        return self._catalog

    def flush(self, timeout_s: float = WAIT_S) -> None:
        """Wait until every run of this session that has ended is in Tiled.

        Raises:
            DataError: Not within `timeout_s`, or Tiled refused a run. The message
                says where the runs are; none is lost.
        """
        self._wait_uploaded(timeout_s)
        if refused := self._refused():
            raise DataError(refused)

    def run(self, key: str | int) -> Run:
        """Return a run, from the journal when it is there, else from Tiled.

        Args:
            key: A uid, its unique beginning (5 characters or more), or an index:
                -1 is the newest run of this session; counting back goes on with
                the runs of earlier sessions, newest first.

        Raises:
            UnknownName: There is no such run.
            DataError: The server cannot be reached.
        """
        if isinstance(key, int):
            return self._run_by_index(key)
        ours = [uid for uid in self.journal.uids if uid.startswith(key)]
        if len(ours) > 1:
            raise UnknownName("run", key, ours)
        if ours and (run := self._run_from_journal(ours[0])) is not None:
            return run
        try:
            return Run.from_documents(documents(self.catalog[key]))
        except (KeyError, ValueError):
            raise UnknownName("run", key, self.journal.uids) from None

    def close(self, timeout_s: float = 60.0) -> None:
        """Upload what is left and stop the service.

        What cannot be uploaded in time stays in the journal for the next session
        on this store, and a warning says so. A temporary store is removed.
        """
        if self._closing:
            return
        self._closing = True
        self.journal.close()
        self._disconnect()
        self._lock.release()
        if self._temporary:
            self._service.kill()
        assert self._service.stdin is not None  # noqa: S101  (made with a pipe)
        self._service.stdin.close()
        if not self._wait(
            lambda: self._service.poll() is not None, timeout_s, "upload"
        ):
            self._service.kill()
        self._service.wait()
        if self._temporary:
            shutil.rmtree(self.folder.root)
        else:
            self._leave()

    def _leave(self) -> None:
        """Remove this session's journal folder, or say what is still in it."""
        home = self.journal.folder
        if refused := self._refused():
            log.warning("%s", refused)
        waiting = [p.stem for s in (OPEN, DONE) for p in home.glob(f"*{s}")]
        if waiting:
            log.warning(
                "%d runs are not in Tiled yet%s. They are safe in %s and the next "
                "session on this store uploads them: %s",
                len(waiting),
                self._reason(),
                home,
                ", ".join(waiting),
            )
        elif home.exists():  # another session's service may have tidied up already
            remove_journal(home)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_by_index(self, index: int) -> Run:
        if index >= 0:
            raise UnknownName("run", str(index), ["-1"])
        ours = self.journal.uids
        if -index <= len(ours):
            if (run := self._run_from_journal(ours[index])) is not None:
                return run
            return Run.from_documents(documents(self.catalog[ours[index]]))
        try:
            return Run.from_documents(documents(self.catalog[index]))
        except (KeyError, IndexError):
            raise UnknownName("run", str(index), ["-1"]) from None

    def _run_from_journal(self, uid: str) -> Run | None:
        """Return a run of this session, None when its file is no longer kept."""
        while (path := find_run_file(self.journal.folder, uid)) is not None:
            try:
                return Run.from_documents(read_journal(path))
            except FileNotFoundError:
                continue  # renamed between finding and opening
        return None

    def _wait_uploaded(self, timeout_s: float) -> None:
        if self._closing:
            raise DataError(f"the store {self.folder.root} is closed")
        home = self.journal.folder
        if not self._wait(lambda: not any(home.glob(f"*{DONE}")), timeout_s, "upload"):
            waiting = sorted(path.stem for path in home.glob(f"*{DONE}"))
            raise DataError(
                f"{len(waiting)} runs are not in Tiled after {timeout_s:g} s"
                f"{self._reason()}. They are safe in {home} and will be uploaded "
                f"when the server can be reached: {', '.join(waiting)}"
            )

    def _refused(self) -> str:
        """Return a sentence on the runs that Tiled would not take, or nothing."""
        home = self.journal.folder
        refused = sorted(path.stem for path in home.glob(f"*{REFUSED}"))
        if not refused:
            return ""
        return (
            f"Tiled refused {len(refused)} runs{self._reason()}. They are safe in "
            f"{home}, and store.run(uid) reads them: {', '.join(refused)}"
        )

    def _disconnect(self) -> None:
        if self._catalog is not None:
            self._catalog.context.close()
        self._catalog, self._catalog_uri = None, ""

    def _uri(self) -> str:
        return self._url or self.folder.server().get("uri", "")

    def _is_server_up(self) -> bool:
        """Whether somebody listens; Tiled's own client would retry for 45 s."""
        parts = urlsplit(self._uri())
        if parts.hostname is None:
            return False
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        try:
            socket.create_connection((parts.hostname, port), timeout=2.0).close()
        except OSError:
            return False
        return True

    def _wait(self, is_done: Callable[[], bool], timeout_s: float, what: str) -> bool:
        """Wait for a condition with the service alive; return whether it came true."""
        pause = threading.Event()
        begun = time.monotonic()
        next_word = begun + 2.0
        while not is_done():
            now = time.monotonic()
            if now > begun + timeout_s:
                return False
            if now > next_word:
                log.info("waiting for %s%s", what, self._reason())
                next_word = now + 10.0
            self._keep_service()
            pause.wait(_POLL_S)
        return True

    def _keep_service(self) -> None:
        """Start the service again if it died."""
        if not self._closing and self._service.poll() is not None:
            log.warning(
                "the data service died (exit code %s), see %s; it is started again",
                self._service.returncode,
                self.journal.folder / "service.log",
            )
            if self._service.stdin is not None:
                self._service.stdin.close()
            self._service = self._start_service()

    def _start_service(self) -> subprocess.Popen[bytes]:
        home = self.journal.folder
        config = ServiceConfig(
            root=str(self.folder.root),
            session=self.session_id,
            url=self._url,
            api_key=self._api_key,
        )
        with (home / "service.log").open("ab") as output:
            service = subprocess.Popen(
                [sys.executable, "-m", "acctwin.data.service"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=output,
                # The service does its own retries; Tiled's would hide them for 45 s.
                env={**os.environ, "TILED_RETRY_TIMEOUT": "5"},
                process_group=0,  # Ctrl-C in the terminal is for the session alone
            )
        assert service.stdin is not None  # noqa: S101  (made with a pipe)
        service.stdin.write(config.to_line())
        service.stdin.flush()
        return service

    def _reason(self) -> str:
        """Return what the service last said, as the end of a sentence."""
        status = read_json(self.journal.folder / "status.json")
        said = status.get("error") or "; ".join(status.get("refused", {}).values())
        return f" ({said or status.get('doing', 'the data service is starting')})"


def _new_session_id() -> str:
    return time.strftime("%Y%m%dT%H%M%S-") + uuid.uuid4().hex[:8]


def _folder_name(url: str) -> str:
    """Return a readable folder name for a URL, different for different ones."""
    parts = urlsplit(url)
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]
    return f"{parts.hostname}-{parts.port or parts.scheme}-{digest}"
