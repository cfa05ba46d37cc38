"""Runs of a bundle into a store: on the way of every run, once, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from acctwin.data.export.content import content_hash
from acctwin.data.export.reading import Bundle, read_bundle
from acctwin.data.folders import DONE, OPEN, UPLOADED, FileLock
from acctwin.data.frames import Document, encode_frame
from acctwin.data.journal import finish_file, read_journal
from acctwin.data.replay import documents
from acctwin.data.store import WAIT_S, Store
from acctwin.data.upload import find
from acctwin.errors import DataError

Status: TypeAlias = Literal["imported", "was there"]


@dataclass(frozen=True)
class Imported:
    """What became of a run of a bundle.

    Attributes:
        uid: The run.
        plan_name: The plan that made it.
        status: ``"imported"``, or ``"was there"``: the same run, to the bit.
    """

    uid: str
    plan_name: str
    status: Status


def import_bundle(
    path: str | Path,
    store: Store,
    *,
    timeout_s: float = WAIT_S,
    tell: Callable[[str], None] | None = None,
) -> tuple[Imported, ...]:
    """Put the runs of a bundle into a store, and wait until Tiled has them.

    They keep their uids. A run that the store has is left alone.

    Args:
        path: The bundle.
        store: Where to.
        timeout_s: How long to wait for Tiled [s].
        tell: Called with the uid of each run when its documents are safe.

    Raises:
        DataError: The bundle is damaged, the store has another run with the uid of
            one in it, or somebody else is importing; then nothing was imported. Or
            Tiled has not got it all in time; then it gets it later.
    """
    bundle = read_bundle(path)
    lock = FileLock(store.folder.root / "import.lock")
    if not lock.acquire():
        raise DataError(
            f"another import into {store.folder.root} is going on; wait for its end"
        )
    try:
        new = _new_runs(bundle, store)
        for uid in new:
            _write(uid, bundle.documents(uid), store)
            if tell is not None:
                tell(uid)
        if new:
            store.flush(timeout_s)
    finally:
        lock.release()
    return tuple(
        Imported(
            uid=uid,
            plan_name=str(run.get("plan_name", "")),
            status="imported" if uid in new else "was there",
        )
        for uid, run in zip(bundle.uids, bundle.manifest["runs"], strict=True)
    )


def _new_runs(bundle: Bundle, store: Store) -> list[str]:
    """Return the runs that a store has not.

    Raises:
        DataError: It has others with the same uid.
    """
    new, others = list[str](), list[str]()
    for uid in bundle.uids:
        stored = _stored(uid, store)
        if stored is None:
            new.append(uid)
        elif content_hash(stored) != content_hash(bundle.documents(uid)):
            others.append(uid)
    if others:
        raise DataError(
            f"{store.folder.root} has runs with the same uid and other documents: "
            f"{', '.join(others)}. Nothing was imported; one of the two was changed "
            "after it was measured, compare them in a store of its own: "
            f"acctwin data import {bundle.path} --catalog FOLDER"
        )
    return new


def _stored(uid: str, store: Store) -> Sequence[Document] | None:
    """Return the documents of a run, wherever in the store it is; None: nowhere."""
    for pattern in (f"*/{uid}.*", f"*/{UPLOADED}/{uid}.*"):
        for path in store.folder.journals.glob(pattern):
            try:
                return list(read_journal(path))
            except FileNotFoundError:
                continue  # uploaded meanwhile
    found = find(store.connect(), uid)
    return None if found is None else list(documents(found))


def _write(uid: str, run: Sequence[Document], store: Store) -> None:
    """Put a run into the journal of a session, whole, for the uploader to find."""
    try:
        with tempfile.TemporaryDirectory(
            dir=store.folder.root, prefix="import-"
        ) as scratch:
            path = Path(scratch) / f"{uid}{OPEN}"
            with path.open("wb") as file:
                file.writelines(encode_frame(name, doc) for name, doc in run)
                file.flush()
                os.fsync(file.fileno())
            finish_file(path).replace(store.journal.folder / f"{uid}{DONE}")
    except OSError as error:
        raise DataError(
            f"cannot write run {uid} to {store.journal.folder}: {error.strerror}. "
            "The runs before it are imported; make room and import again"
        ) from error
