"""The store: where a session's runs go, and where it finds them again."""

from __future__ import annotations

import logging
import shutil
import socket
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
    locate,
    make_private,
    remove_journal,
)
from acctwin.data.frames import Document
from acctwin.data.journal import Journal, find_run_file, read_journal
from acctwin.data.replay import documents
from acctwin.data.room import WAITING_BYTES, Backlog
from acctwin.data.runs import Run
from acctwin.data.service_process import ServiceProcess
from acctwin.errors import DataError, UnknownName

log = logging.getLogger(__name__)

WAIT_S = 120.0
"""How long readers wait for the server and the upload [s]."""


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
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        self.folder = folder
        self.session_id = session_id or _new_session_id()
        self._url, self._api_key, self._temporary = url, api_key, temporary
        self.is_new = url is None and not folder.tiled.exists()
        home = make_private(folder.journals / self.session_id)
        self._lock = self._take_lock(home)
        self.journal = Journal(home, Backlog(folder.journals, waiting_bytes))
        self._catalog: Any = None
        self._catalog_uri = ""
        self._closing = False
        # What is removed at close goes to Tiled only if somebody asks for it there.
        self._service = ServiceProcess(
            ServiceConfig(str(folder.root), self.session_id, url, api_key),
            at_once=not temporary,
        )

    @classmethod
    def open(
        cls,
        where: str | Path = "local",
        *,
        session_id: str | None = None,
        waiting_bytes: int = WAITING_BYTES,
    ) -> Self:
        """Open a store.

        Args:
            where: ``"local"``, the user's data folder (``$ACCTWIN_DATA`` or
                ``~/.local/share/acctwin``); ``"temporary"``, a folder that is
                removed at close; another folder; or the URL of a Tiled server,
                ``http://host:8000?api_key=…``; without a key there, the one of
                the environment, ``$TILED_API_KEY``.
            session_id: Name of the session in the store; made up if not given.
            waiting_bytes: What may wait for Tiled in the store; with more, the next
                document ends its run.

        Raises:
            DataError: The folder cannot be used, or the session is open already.
        """
        root, url = locate(where)
        temporary = str(where) == "temporary"
        address, key = split_url(url) if url else (None, None)
        return cls(
            StoreFolder(make_private(root).resolve()),
            url=address,
            api_key=key,
            session_id=session_id,
            temporary=temporary,
            waiting_bytes=waiting_bytes,
        )

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
        if not self._service.wait(self._is_server_up, timeout_s, "the Tiled server"):
            raise DataError(
                f"the Tiled server {self._uri()} of {self.folder.root} cannot be "
                f"reached after {timeout_s:g} s{self._service.reason}. Runs are kept "
                f"in {self.journal.folder}; store.run(uid) reads those of this session."
            )
        uri = self._uri()
        if uri != self._catalog_uri:
            self._disconnect()
            key = self._api_key if self._url else self.folder.api_key()
            self._catalog, self._catalog_uri = open_catalog(uri, key), uri
        return self._catalog

    def wait(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition while uploads go on; return whether it came true."""
        return self._service.wait(is_done, timeout_s, "upload")

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
        return Run.from_documents(self.documents(key))

    def documents(self, key: str | int) -> list[Document]:
        """Return the documents of a run, as they were emitted.

        Args:
            key: As for :meth:`run`.

        Raises:
            UnknownName: There is no such run.
            DataError: The server cannot be reached.
        """
        if isinstance(key, int):
            return self._documents_by_index(key)
        ours = [uid for uid in self.journal.uids if uid.startswith(key)]
        if len(ours) > 1:
            raise UnknownName("run", key, ours)
        if ours and (found := self._journaled(ours[0])) is not None:
            return found
        try:
            return list(documents(self.catalog[key]))
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
        self._service.end(timeout_s)
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
                self._service.reason,
                home,
                ", ".join(waiting),
            )
        elif home.exists():  # another session's service may have tidied up already
            remove_journal(home)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_lock(self, home: Path) -> FileLock:
        lock = FileLock(home / "session.lock")
        try:
            is_ours = lock.acquire()
        except OSError as error:
            raise DataError(f"cannot write in {home}: {error.strerror}") from error
        if is_ours:
            return lock
        raise DataError(
            f"session {self.session_id!r} is already open in {self.folder.root}: "
            "give this one another session_id"
        )

    def _documents_by_index(self, index: int) -> list[Document]:
        if index >= 0:
            raise UnknownName("run", str(index), ["-1"])
        ours = self.journal.uids
        if -index <= len(ours):
            if (found := self._journaled(ours[index])) is not None:
                return found
            return list(documents(self.catalog[ours[index]]))
        try:
            return list(documents(self.catalog[index]))
        except (KeyError, IndexError):
            raise UnknownName("run", str(index), ["-1"]) from None

    def _journaled(self, uid: str) -> list[Document] | None:
        """Return a run of this session, None when its file is no longer kept."""
        while (path := find_run_file(self.journal.folder, uid)) is not None:
            try:
                return list(read_journal(path))
            except FileNotFoundError:
                continue  # renamed between finding and opening
        return None

    def _wait_uploaded(self, timeout_s: float) -> None:
        if self._closing:
            raise DataError(f"the store {self.folder.root} is closed")
        home = self.journal.folder
        if not self._service.wait(
            lambda: not any(home.glob(f"*{DONE}")), timeout_s, "upload"
        ):
            waiting = sorted(path.stem for path in home.glob(f"*{DONE}"))
            raise DataError(
                f"{len(waiting)} runs are not in Tiled after {timeout_s:g} s"
                f"{self._service.reason}. They are safe in {home} and will be uploaded "
                f"when the server can be reached: {', '.join(waiting)}"
            )

    def _refused(self) -> str:
        """Return a sentence on the runs that Tiled would not take, or nothing."""
        home = self.journal.folder
        refused = sorted(path.stem for path in home.glob(f"*{REFUSED}"))
        if not refused:
            return ""
        return (
            f"Tiled refused {len(refused)} runs{self._service.reason}. They are safe "
            f"in {home}, and store.run(uid) reads them: {', '.join(refused)}"
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


def _new_session_id() -> str:
    return time.strftime("%Y%m%dT%H%M%S-") + uuid.uuid4().hex[:8]
