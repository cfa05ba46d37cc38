"""The journal: every Bluesky document on disk before anything else sees it.

One append-only file per run, ``<uid>.run`` while the run is open and
``<uid>.done`` after its stop document. A file is a row of frames: length and
CRC-32 of the payload (two little-endian 32-bit words), then the payload, which
is ``[name, document]`` in msgpack with numpy arrays as they are in memory. So
NaN, dtype and shape come back exactly, and a frame torn by a crash is seen.

Policy: when a document cannot be written, `Journal` raises `DataError`. Bluesky
then ends the run and the plan puts the machine back: data that nobody stores is
not worth beam time. The file keeps all frames before the fault.
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
import msgpack_numpy

from acctwin.data.folders import DONE, OPEN, REFUSED, UPLOADED, make_private
from acctwin.errors import DataError

log = logging.getLogger(__name__)

Document = tuple[str, dict[str, Any]]
_HEADER = struct.Struct("<II")


class Journal:
    """Writes the documents of a RunEngine to a folder: ``RE.subscribe(journal)``.

    An event is flushed to the operating system before the RunEngine goes on, so
    it survives a crash of the process; a stopped run is synced to the disk.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = make_private(Path(folder))
        self._files: dict[str, BinaryIO] = {}
        self._run_of: dict[str, str] = {}
        self._uids: list[str] = []
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
            frame = encode_frame(name, doc)
            run = self._run_uid(name, doc)
            self._append(run, frame)
            if name == "stop":
                self._finish(run)
        except (OSError, TypeError, ValueError, OverflowError, DataError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._error = DataError(
                f"cannot write a {name} document to the journal {self.folder}: "
                f"{reason}. The run is stopped so that no data are lost unseen; "
                "what was written before is kept."
            )
            log.error("%s", self._error)
            raise self._error from error

    def close(self) -> None:
        """Close the files of runs that are still open; they stay ``.run``."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _run_uid(self, name: str, doc: dict[str, Any]) -> str:
        """Return the run of a document; open its file at a start document."""
        if name == "start":
            self._open(doc["uid"])
            return doc["uid"]
        parent = doc.get("run_start") or self._run_of.get(
            doc.get("descriptor") or doc.get("resource", "")
        )
        if parent is None or parent not in self._files:
            raise DataError("its run has no start document here")
        if name in {"descriptor", "resource"}:
            self._run_of[doc["uid"]] = parent
        return parent

    def _open(self, uid: str) -> None:
        self._files[uid] = (self.folder / f"{uid}{OPEN}").open("xb", buffering=0)
        self._uids.append(uid)

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
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        length, checksum = _HEADER.unpack(header)
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
    return sorted(found, key=_start_time)


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


def decode(payload: bytes) -> Document:
    """Return name and document of a frame's payload."""
    name, doc = msgpack.unpackb(
        payload, object_hook=msgpack_numpy.decode, strict_map_key=False
    )
    return name, doc


def encode_frame(name: str, doc: dict[str, Any]) -> bytes:
    """Return the frame of a document."""
    payload = msgpack.packb([name, doc], default=_encode)
    assert isinstance(payload, bytes)  # noqa: S101  (None only with autoreset off)
    return _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _encode(value: Any) -> Any:
    """Encode numpy values; refuse object arrays, which would be pickled."""
    if getattr(getattr(value, "dtype", None), "hasobject", False):
        raise TypeError(f"an array of Python objects, {value!r:.80}, has no data type")
    encoded = msgpack_numpy.encode(value)
    if encoded is value:
        raise TypeError(
            f"{type(value).__name__} {value!r:.80} is not a document value; "
            "use numbers, text, lists, mappings or numpy arrays"
        )
    return encoded


def _start_time(path: Path) -> float:
    """Return when the run started, for sorting; 0 when it cannot be read."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            payload = file.read(_HEADER.unpack(header)[0])
        return float(decode(payload)[1]["time"])
    except (
        FileNotFoundError,
        struct.error,
        ValueError,
        KeyError,
        msgpack.UnpackException,
    ):
        return 0.0
