"""Where a store keeps its files, and the locks that say who works on them.

::

    <store>/
        owner.lock            held by the process that runs the Tiled server
        server.json           address of that server
        api_key               its key, readable by the user only
        database.json         the PostgreSQL database of the runs, if any
        tiled/                catalog.db, arrays/, tables.duckdb
        journal/<session>/
            session.lock      held by the session that writes here
            upload.lock       held by the process that uploads from here
            <uid>.run         a run that is open
            <uid>.done        a run that has stopped and is not in Tiled yet
            <uid>.refused     a run that Tiled would not take; nothing was deleted
            uploaded/         the newest runs that Tiled has, for quick reading
            reserve           room to close runs with when the disk is full
            service.log, status.json
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from acctwin.errors import DataError

OPEN, DONE, REFUSED = ".run", ".done", ".refused"
UPLOADED = "uploaded"
_BESIDE_RUNS = {
    "session.lock",
    "upload.lock",
    "status.json",
    "service.log",
    "reserve",
}


@dataclass(frozen=True)
class StoreFolder:
    """The paths inside one store.

    Attributes:
        root: The folder of the store.
    """

    root: Path

    @property
    def owner_lock(self) -> Path:
        """Held by the process that runs the server of this store."""
        return self.root / "owner.lock"

    @property
    def server_file(self) -> Path:
        """Address and process of the server, in JSON."""
        return self.root / "server.json"

    @property
    def tiled(self) -> Path:
        """What the Tiled server writes."""
        return self.root / "tiled"

    @property
    def arrays(self) -> Path:
        """Where the Tiled server keeps arrays: a folder for each run."""
        return self.tiled / "arrays"

    @property
    def catalogue_file(self) -> Path:
        """The catalogue, unless it is in a database elsewhere."""
        return self.tiled / "catalog.db"

    @property
    def database_file(self) -> Path:
        """Which database has the runs, in JSON."""
        return self.root / "database.json"

    @property
    def journals(self) -> Path:
        """One folder for each session that is open or was not uploaded."""
        return self.root / "journal"

    def api_key(self) -> str:
        """Return the server's key; make one on the first call."""
        path = self.root / "api_key"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _wait_free_read(path)
        key = secrets.token_hex(32)
        with os.fdopen(descriptor, "w") as file:
            file.write(key)
        return key

    def set_api_key(self, key: str) -> None:
        """Replace the server's key."""
        (self.root / "api_key").unlink(missing_ok=True)
        descriptor = os.open(self.root / "api_key", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key)

    def server(self) -> dict[str, Any]:
        """Return ``uri`` and ``pid`` of the server, empty when none has started."""
        return read_json(self.server_file)


def _wait_free_read(path: Path) -> str:
    key = path.read_text().strip()
    if not key:
        raise DataError(
            f"{path} is empty: another process is just writing it, or the disk was "
            "full. Try again; if it stays empty, delete it."
        )
    return key


@dataclass(frozen=True)
class ServiceConfig:
    """What a session tells its service.

    Attributes:
        root: Folder of the store.
        session: Name of the session's journal folder.
        url: A Tiled server elsewhere; None for the store's own.
        api_key: The key for that server.
        drain_s: How long to go on uploading after the session has ended [s].
    """

    root: str
    session: str
    url: str | None = None
    api_key: str | None = None
    drain_s: float = 30.0

    def to_line(self) -> bytes:
        """Return the line that the service reads."""
        return json.dumps(asdict(self)).encode() + b"\n"


class FileLock:
    """An exclusive lock on a file, freed by the kernel when the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether this object holds it."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Free the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, empty when there is no file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step, readable by the user only."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
        scratch.replace(path)
    except OSError:
        scratch.unlink()
        raise


def remove_journal(folder: Path) -> None:
    """Remove the folder of a session that has ended, unless a run is still in it."""
    for path in (folder / UPLOADED).glob("*"):
        path.unlink()
    if (folder / UPLOADED).is_dir():
        (folder / UPLOADED).rmdir()
    names = {path.name for path in folder.iterdir()}
    if names <= _BESIDE_RUNS:
        for name in names:
            (folder / name).unlink()
        folder.rmdir()


def user_data_folder() -> Path:
    """Return ``$ACCTWIN_DATA``, or ``acctwin`` in the user's data folder."""
    if chosen := os.environ.get("ACCTWIN_DATA"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "acctwin"


def locate(where: str | Path) -> tuple[Path, str | None]:
    """Return the folder of a store, and the URL when Tiled is elsewhere.

    Args:
        where: ``"local"``, ``"temporary"``, a folder, or the URL of a Tiled server,
            whose journal is in the user's data folder.
    """
    text = str(where)
    if text.startswith(("http://", "https://")):
        return user_data_folder() / "remote" / _folder_name(text), text
    if text == "temporary":
        return Path(tempfile.mkdtemp(prefix="acctwin-")), None
    return user_data_folder() if text == "local" else Path(where).expanduser(), None


def _folder_name(url: str) -> str:
    """Return a readable folder name for a URL, different for different ones."""
    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(query="", fragment=""))
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    return f"{parts.hostname}-{parts.port or parts.scheme}-{digest}"


def make_private(folder: Path) -> Path:
    """Make a folder that only the user can enter, with its parents.

    Raises:
        DataError: The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataError(
            f"cannot make the data folder {folder}: {error.strerror}. "
            "Choose another one with catalog=FOLDER."
        ) from error
    if not os.access(folder, os.W_OK):
        raise DataError(
            f"cannot write in the data folder {folder}. "
            "Choose another one with catalog=FOLDER."
        )
    return folder
