"""Opening a bundle: nothing is believed before its checksum was seen."""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from acctwin.data.export.bundle import DOCUMENTS, MANIFEST, parse_manifest
from acctwin.data.folders import DONE
from acctwin.data.frames import HEADER, Document, decode
from acctwin.errors import DataError, UnknownName

_UID = re.compile(r"[\w.-]*\w[\w.-]*")
_BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    struct.error,
    msgpack.UnpackException,
)
_MOST_NAMED = 5
"""Damaged files that a message names."""
_LARGEST_MANIFEST = 100_000_000


@dataclass(frozen=True)
class Bundle:
    """A bundle that was found whole.

    Attributes:
        path: The file.
        manifest: What it says about itself.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def uids(self) -> tuple[str, ...]:
        """Its runs, in its order."""
        return tuple(str(run["uid"]) for run in self.manifest["runs"])

    def documents(self, uid: str) -> list[Document]:
        """Return the documents of a run as they were emitted, each found valid.

        Raises:
            UnknownName: It has no such run.
            DataError: The file is damaged, or is another one by now.
        """
        if uid not in self.uids:
            raise UnknownName(f"run of {self.path}", uid, self.uids)
        with _opened(self.path) as archive:
            name = f"{DOCUMENTS}{uid}{DONE}"
            content, fault = _member(archive, name, self.manifest["files"][name])
        if fault:
            raise DataError(f"{self.path} is damaged: {fault}")
        try:
            found = list(_decoded(content))
            check_run(uid, found)
        except _BROKEN as error:
            raise DataError(
                f"{self.path}, run {uid}: {type(error).__name__}: {str(error)[:300]}; "
                "ask for it again"
            ) from error
        return found


def read_bundle(path: str | Path) -> Bundle:
    """Check a bundle: its files, their checksums, and every document.

    Raises:
        DataError: It cannot be read, or something in it is damaged, missing, too
            much, or no document. The message says what.
    """
    file = Path(path)
    with _opened(file) as archive:
        bundle = Bundle(file, _manifest(archive, file))
        faults = list(_faults(archive, bundle))
    if faults:
        more = len(faults) - _MOST_NAMED
        listed = "; ".join(faults[:_MOST_NAMED]) + (f"; {more} more" * (more > 0))
        raise DataError(f"{file} is damaged: {listed}; ask for it again")
    for uid in bundle.uids:
        bundle.documents(uid)
    return bundle


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{file} cannot be read as a bundle: {reason}") from error


def _manifest(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    names = archive.namelist()
    if MANIFEST not in names:
        raise DataError(f"{file} is not a bundle of acctwin: it has no {MANIFEST}")
    if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise DataError(f"{file}: {MANIFEST} is too long to be one")
    content, fault = _member(archive, MANIFEST)
    if fault:
        raise DataError(f"{file} is damaged: {fault}")
    return parse_manifest(content, file)


def _faults(archive: zipfile.ZipFile, bundle: Bundle) -> Iterator[str]:
    """Yield what in a bundle is not as its manifest says."""
    wanted, names = bundle.manifest["files"], archive.namelist()
    for uid in bundle.uids:
        if not _UID.fullmatch(uid) or bundle.uids.count(uid) > 1:
            yield f"{uid!r} cannot be the uid of a run, or is there twice"
        elif f"{DOCUMENTS}{uid}{DONE}" not in wanted:
            yield f"run {uid} has no documents"
    for name in sorted({*names, *wanted} - {MANIFEST}):
        if name not in names:
            yield f"{name} is missing"
        elif name not in wanted or names.count(name) > 1:
            yield f"{name} is not in its {MANIFEST}, or is there twice"
        elif fault := _member(archive, name, wanted[name])[1]:
            yield fault


def _member(
    archive: zipfile.ZipFile, name: str, expected: Mapping[str, Any] | None = None
) -> tuple[bytes, str]:
    """Return a file of an archive, and what is wrong with it."""
    size = archive.getinfo(name).file_size
    if expected is not None and size != expected["bytes"]:
        return b"", f"{name} has {size} bytes, not {expected['bytes']}"
    try:
        content = archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        return b"", f"{name}: {error}"
    except (NotImplementedError, RuntimeError) as error:  # compression, password
        return b"", f"{name} cannot be unpacked: {error}"
    digest = hashlib.sha256(content).hexdigest()
    if expected is not None and digest != expected["sha256"]:
        return b"", f"{name} has another checksum"
    return content, ""


def _decoded(frames: bytes) -> Iterator[Document]:
    place = 0
    while place < len(frames):
        length, checksum = HEADER.unpack_from(frames, place)
        payload = frames[place + HEADER.size : place + HEADER.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            raise ValueError(f"the documents are damaged at byte {place}")
        yield decode(payload)
        place += HEADER.size + length


def check_run(uid: str, documents: Sequence[Document]) -> None:
    """Check that documents are one whole run, in an order that a RunEngine has.

    Raises:
        ValueError: They are not, or one is no document as Bluesky defines it.
        KeyError: They lack what tells so.
    """
    from event_model import DocumentNames, schema_validators

    names = [name for name, _ in documents]
    starts, stops = names.count("start"), names.count("stop")
    if (starts, stops) != (1, 1):
        raise ValueError(
            f"a run has a start and a stop, not these {starts} start and {stops} stop "
            "documents"
        )
    if (names[0], names[-1]) != ("start", "stop"):
        raise ValueError(
            f"it goes from {_a(names[0])} to {_a(names[-1])} document, not from start "
            "to stop"
        )
    descriptors: set[str] = set()
    # Validating a document formats each of its arrays: let that be short.
    with np.printoptions(threshold=16):
        for name, doc in documents:
            for fault in schema_validators[DocumentNames[name]].iter_errors(doc):
                raise ValueError(f"{_a(name)} document is not valid: {fault.message}")
            if name == "descriptor":
                descriptors.add(doc["uid"])
            if not _belongs(name, doc, uid, descriptors):
                raise ValueError(f"{_a(name)} document in it is of another run")


def _belongs(
    name: str, doc: Mapping[str, Any], uid: str, descriptors: Collection[str]
) -> bool:
    if name in {"event", "event_page"}:
        return doc["descriptor"] in descriptors
    return doc["uid" if name == "start" else "run_start"] == uid


def _a(name: str) -> str:
    return f"an {name}" if name.startswith("e") else f"a {name}"
