"""Which runs go together: those asked for, and those they were derived from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from acctwin.data.frames import Document
from acctwin.data.store import Store
from acctwin.errors import DataError, UnknownName


def choose_runs(
    store: Store, keys: Iterable[str | int], *, derived: bool = False
) -> Iterator[list[Document]]:
    """Yield the documents of runs as they were emitted, each run once.

    Args:
        store: Where they are.
        keys: uids, their beginnings, or indices, as for ``store.documents``.
        derived: Whether to yield the runs that these were derived from, too, and
            those that these were derived from, and so on.

    Raises:
        UnknownName: There is no such run.
        DataError: A run that one was derived from is not in the store.
    """
    seen: set[str] = set()
    sources: dict[str, str] = {}
    for key in keys:
        documents = store.documents(key)
        yield from _if_new(documents, seen, sources)
    while derived and sources:
        uid, origin = sources.popitem()
        if uid in seen:
            continue
        try:
            documents = store.documents(uid)
        except UnknownName as error:
            raise DataError(
                f"run {origin} was derived from {uid}, which is not in "
                f"{store.folder.root}: import it first, or leave out --derived"
            ) from error
        yield from _if_new(documents, seen, sources)


def _if_new(
    documents: list[Document], seen: set[str], sources: dict[str, str]
) -> Iterator[list[Document]]:
    """Yield a run that was not yet, and note what it was derived from."""
    start = documents[0][1]
    if start["uid"] in seen:
        return
    seen.add(start["uid"])
    sources.update(dict.fromkeys(start.get("derived_from") or (), start["uid"]))
    yield documents
