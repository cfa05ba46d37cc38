"""Bundles: runs in one file that another lab can check, read and take over.

A zip file; `docs/reference/bundle.md` is its specification::

    manifest.json              format, versions, runs, and the SHA-256 of every file
    documents/<uid>.done       the documents as emitted, in the journal's frames
    metadata/<uid>.json        start, stop and descriptors, for people
    arrays/<uid>/<stream>/     the data keys, time and seq_num as numpy's .npy
    site/                      the profile of the runs with its tables
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from acctwin.data.export.plain import iso_time, new_path, to_json, unique_names
from acctwin.data.export.profile_files import PackedProfile, pack_profiles
from acctwin.data.export.tables import file_name
from acctwin.data.folders import DONE
from acctwin.data.frames import Document, encode_frame
from acctwin.data.runs import Run
from acctwin.errors import DataError

FORMAT, VERSION = "acctwin-bundle", 1
MANIFEST, DOCUMENTS = "manifest.json", "documents/"
_EXTERNAL = {"resource", "datum", "datum_page", "stream_resource", "stream_datum"}
Tell = Callable[[str], None]
"""Called with the uid of a run when it is done."""


@dataclass(frozen=True)
class Bundled:
    """What was put into a bundle.

    Attributes:
        path: The file.
        uids: Its runs.
        profiles: The profiles that are in it, and those that could not be, and why.
    """

    path: Path
    uids: tuple[str, ...]
    profiles: tuple[PackedProfile, ...]


def to_bundle(
    runs: Iterable[Sequence[Document]],
    path: str | Path,
    *,
    site: str | Path | None = None,
    tell: Tell | None = None,
) -> Bundled:
    """Write runs into one file that :func:`import_bundle` takes.

    Args:
        runs: The documents of each run as they were emitted: ``store.documents(uid)``.
        path: The file to make.
        site: Where the profiles are; default: ``$ACCTWIN_SITE``, or what ships with
            acctwin. A profile goes in if it is still the one of the run.
        tell: Called with the uid of each run that is in.

    Raises:
        DataError: The file exists or cannot be written, a run is open or is there
            twice, or has data in files of its own.
    """
    starts: dict[str, Mapping[str, Any]] = {}
    with new_path(path) as part, zipfile.ZipFile(part, "w") as archive:
        writer = _Writer(archive)
        entries: list[Mapping[str, Any]] = []
        for documents in runs:
            start = _check(documents, starts)
            starts[start["uid"]] = start
            entries.append(_write_run(writer, documents))
            if tell is not None:
                tell(start["uid"])
        if not starts:
            raise DataError(f"{path} would be a bundle without runs; choose some")
        profiles = pack_profiles(starts.values(), site)
        for packed in profiles:
            for name, content in packed.files.items():
                writer.add(name, content)
        manifest = _manifest(entries, profiles, writer.files)
        writer.add(MANIFEST, to_json(manifest, indent=1).encode())
    return Bundled(Path(path), tuple(starts), profiles)


class _Writer:
    """Adds files to an archive and keeps their checksums."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, content: bytes) -> None:
        found = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        self._archive.writestr(name, content, zipfile.ZIP_DEFLATED, compresslevel=1)
        self.files[name] = found


def _check(
    documents: Sequence[Document], others: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the start document of a run that can be bundled."""
    if not documents or documents[0][0] != "start":
        raise DataError("these documents do not begin with a start document")
    start = documents[0][1]
    if start["uid"] in others:
        raise DataError(f"run {start['uid']} is there twice; name it once")
    if documents[-1][0] != "stop":
        raise DataError(f"run {start['uid']} is still open; export it when it stopped")
    if external := {name for name, _ in documents} & _EXTERNAL:
        raise DataError(
            f"run {start['uid']} has data in files of its own ({sorted(external)}), "
            "which a bundle does not hold; export it to hdf5, without them"
        )
    return start


def _write_run(writer: _Writer, documents: Sequence[Document]) -> dict[str, Any]:
    run = Run.from_documents(documents)
    frames = b"".join(encode_frame(name, doc) for name, doc in documents)
    writer.add(f"{DOCUMENTS}{run.uid}{DONE}", frames)
    streams = {name: list(stream.descriptors) for name, stream in run.streams.items()}
    metadata = {"start": run.start, "stop": run.stop, "descriptors": streams}
    writer.add(f"metadata/{run.uid}.json", to_json(metadata, indent=1).encode())
    for name, content in _arrays(run):
        writer.add(f"arrays/{run.uid}/{name}", content)
    return {
        "uid": run.uid,
        "plan_name": run.start.get("plan_name", ""),
        "time": iso_time(run.start["time"]),
        "profile": run.start.get("profile", ""),
        "documents": len(documents),
    }


def _arrays(run: Run) -> Iterator[tuple[str, bytes]]:
    """Yield the arrays of a run as .npy; those of unequal shapes one by one."""
    folders = unique_names(run.streams, file_name)
    for stream in run.streams.values():
        own = {"time": stream.time, "seq_num": stream.seq_num}
        names = unique_names(stream.names, file_name, taken=own)
        values = own | {names[key]: stream[key] for key in stream.names}
        for name, array in values.items():
            where = f"{folders[stream.name]}/{name}"
            if array.dtype.kind != "O":
                yield f"{where}.npy", _npy(array)
                continue
            for row, value in enumerate(array):
                yield f"{where}/{row}.npy", _npy(np.asarray(value))


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _manifest(
    runs: Sequence[Mapping[str, Any]],
    profiles: Sequence[PackedProfile],
    files: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": iso_time(time.time()),
        "acctwin_version": version("acctwin"),
        "runs": list(runs),
        "profiles": [
            {"name": p.name, "hash": p.hash, "missing": p.missing} for p in profiles
        ],
        "files": dict(files),
    }


def parse_manifest(content: bytes, path: Path) -> dict[str, Any]:
    """Return the manifest of a bundle.

    Raises:
        DataError: It is none, or that of a later version of acctwin.
    """
    try:
        manifest = json.loads(content)
        found = manifest["format"], int(manifest["version"])
        runs, files = manifest["runs"], manifest["files"]
        sums = [(file["sha256"], file["bytes"]) for file in files.values()]
        uids = [str(run["uid"]) for run in runs]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path}: {MANIFEST} is not that of a bundle ({error!r}); ask for it again"
        ) from None
    if found[0] != FORMAT or found[1] > VERSION or not sums or not uids:
        raise DataError(
            f"{path} is {found[0]!r}, version {found[1]}, with {len(uids)} runs; "
            f"this acctwin reads {FORMAT!r} up to version {VERSION}: update acctwin, "
            "or ask for the file again"
        )
    return manifest
