"""The journal: every Bluesky document on disk before anything else sees it.

One append-only file per run, ``<uid>.run`` while the run is open and
``<uid>.done`` after its stop document. A file is a row of frames: length and
CRC-32 of the payload (two little-endian 32-bit words), then the payload, which
is ``[name, document]`` in msgpack with numpy arrays as they are in memory. So
NaN, dtype and shape come back exactly, and a frame torn by a crash is seen.

Policy: when a document cannot be written, `Journal` raises `DataError`. Bluesky
then ends the run and the plan puts the machine back: data that nobody stores is
not worth beam time. The file keeps all frames before the fault, takes none after
it but the stop document, and that says that the run failed and why. For it some
room on the disk is kept in reserve.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgpack

from acctwin.data.folders import DONE, OPEN, REFUSED, UPLOADED, make_private
from acctwin.data.frames import HEADER, Document, decode, encode_frame
from acctwin.data.room import Backlog, Reserve
from acctwin.data.stops import failed_stop
from acctwin.errors import DataError

log = logging.getLogger(__name__)


class Journal:
    """Writes the documents of a RunEngine to a folder: ``RE.subscribe(journal)``.

    An event is flushed to the operating system before the RunEngine goes on, so
    it survives a crash of the process; a stopped run is synced to the disk.
    """

    def __init__(self, folder: Path | str, backlog: Backlog | None = None) -> None:
        """Prepare to write.

        Args:
            folder: Folder of the session; made if there is none.
            backlog: What waits in the store and how much may; any if not given.
        """
        self.folder = make_private(Path(folder))
        self._backlog = backlog
        self._reserve = Reserve(self.folder / "reserve")
        self._files: dict[str, BinaryIO] = {}
        self._run_of: dict[str, str] = {}
        self._uids: list[str] = []
        self._broken: dict[str, str] = {}
        self._error: DataError | None = None

    @property
    def uids(self) -> tuple[str, ...]:
        """Runs of this journal in start order."""
        return tuple(self._uids)

    @property
    def open_uids(self) -> tuple[str, ...]:
        """Runs that have not stopped."""
        return tuple(self._files)

    @property
    def error(self) -> DataError | None:
        """The last write that failed, or None."""
        return self._error

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Write one document.

        Raises:
            DataError: The document could not be written.
        """
        try:
            if name == "stop":
                self._stop(doc)
            else:
                self._write(name, doc)
        except (OSError, TypeError, ValueError, OverflowError, DataError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._error = DataError(
                f"cannot write a {name} document to the journal {self.folder}: "
                f"{reason}. The run is stopped so that no data are lost unseen; "
                "what was written before is kept."
            )
            if (run := self._known_run(name, doc)) is not None:
                self._broken.setdefault(run, str(self._error))
            log.error("%s", self._error)
            raise self._error from error

    def close(self) -> None:
        """Close the files of runs that are still open; they stay ``.run``."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._reserve.free()

    def _write(self, name: str, doc: dict[str, Any]) -> None:
        frame = encode_frame(name, doc)
        run = self._open(doc["uid"]) if name == "start" else self._run_uid(name, doc)
        if run in self._broken:
            raise DataError("a document before it could not be written")
        if self._backlog is not None and name != "start":
            self._backlog.add(len(frame))
        self._append(run, frame)
        if name in {"descriptor", "resource"}:
            self._run_of[doc["uid"]] = run

    def _stop(self, doc: dict[str, Any]) -> None:
        run = self._run_uid("stop", doc)
        if run in self._broken:
            written = read_journal(self.folder / f"{run}{OPEN}")
            doc = failed_stop(doc, written, self._broken[run])
        frame = encode_frame("stop", doc)
        try:
            self._append(run, frame)
        except OSError:
            self._reserve.free()
            self._append(run, frame)
        self._finish(run)

    def _known_run(self, name: str, doc: dict[str, Any]) -> str | None:
        """Return the open run of a document, None when there is none."""
        uid = doc.get("run_start") or self._run_of.get(
            doc.get("descriptor") or doc.get("resource", "")
        )
        return uid if name != "start" and uid in self._files else None

    def _run_uid(self, name: str, doc: dict[str, Any]) -> str:
        """Return the open run of a document."""
        run = self._known_run(name, doc)
        if run is None:
            raise DataError("its run has no start document here")
        return run

    def _open(self, uid: str) -> str:
        """Make the file of a run that starts."""
        if self._backlog is not None:
            self._backlog.look()
            self._backlog.add(0)
        self._reserve.take()
        self._files[uid] = (self.folder / f"{uid}{OPEN}").open("xb", buffering=0)
        self._uids.append(uid)
        return uid

    def _append(self, run: str, frame: bytes) -> None:
        """Write a frame whole or not at all."""
        file = self._files[run]
        before = file.tell()
        try:
            if file.write(frame) != len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(before)
            file.seek(before)
            if before == 0:
                self._abandon(run)
            raise

    def _abandon(self, run: str) -> None:
        """Forget a run whose start document could not be written."""
        self._files.pop(run).close()
        self._uids.remove(run)
        (self.folder / f"{run}{OPEN}").unlink()

    def _finish(self, run: str) -> None:
        file = self._files.pop(run)
        os.fsync(file.fileno())
        file.close()
        self._run_of = {key: uid for key, uid in self._run_of.items() if uid != run}
        self._broken.pop(run, None)
        finish_file(self.folder / f"{run}{OPEN}")


class JournalReader:
    """Reads a journal file that may still grow.

    Attributes:
        path: The file.
        offset: Bytes read so far, always at the start of a frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def new_documents(self) -> Iterator[Document]:
        """Yield the documents added since the last call.

        Stops before a frame that is not whole: it is being written, or was torn.

        Raises:
            DataError: A frame is damaged and others follow it.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while (payload := self._next_payload(file)) is not None:
                name, doc = decode(payload)
                self.offset = file.tell()
                yield name, doc

    def _next_payload(self, file: BinaryIO) -> bytes | None:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        length, checksum = HEADER.unpack(header)
        payload = file.read(length)
        if len(payload) < length:
            return None
        if length and zlib.crc32(payload) == checksum:
            return payload
        # A crash of the machine can leave zeros at the end: torn, not damaged.
        if any(file.read()):
            raise DataError(
                f"the journal {self.path} is damaged at byte {self.offset}; "
                "the documents before it can be read"
            )
        return None


def read_journal(path: Path | str) -> Iterator[Document]:
    """Yield the documents of a journal file; a torn last frame is left out."""
    yield from JournalReader(Path(path)).new_documents()


def run_files(folder: Path) -> list[Path]:
    """Return the files of runs that wait for upload, oldest first."""
    found = [path for path in folder.glob("*.*") if path.suffix in {OPEN, DONE}]
    return sorted(found, key=start_time)


def find_run_file(folder: Path, uid: str) -> Path | None:
    """Return the file of a run of this session, uploaded or not, if it is kept."""
    # In the order in which a file is renamed: a move under our feet is not missed.
    for suffix in (OPEN, DONE, REFUSED):
        if (path := folder / f"{uid}{suffix}").exists():
            return path
    path = folder / UPLOADED / f"{uid}{DONE}"
    return path if path.exists() else None


def finish_file(path: Path) -> Path:
    """Rename ``<uid>.run`` to ``<uid>.done`` and sync the folder."""
    done = path.rename(path.with_suffix(DONE))
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return done


def start_time(path: Path) -> float:
    """Return when the run started, for sorting; 0 when it cannot be read."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER.size)
            payload = file.read(HEADER.unpack(header)[0])
        return float(decode(payload)[1]["time"])
    except (
        FileNotFoundError,
        struct.error,
        ValueError,
        KeyError,
        msgpack.UnpackException,
    ):
        return 0.0
