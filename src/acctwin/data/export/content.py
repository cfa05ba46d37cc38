"""Whether two stored copies of a run are the same, whatever they were read from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from acctwin.data.frames import Document, encode_frame


def content_hash(documents: Iterable[Document]) -> str:
    """Return a SHA-256 over the documents of a run: their values to the bit.

    The order of keys does not count, nor whether a number is one of numpy's, nor
    whether events came in pages: that is all that changes on the way through Tiled.
    """
    digest = hashlib.sha256()
    for name, doc in _events_alone(documents):
        digest.update(encode_frame(name, _sorted(doc)))
    return digest.hexdigest()


def _events_alone(documents: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents with the events of each page on their own."""
    from event_model import unpack_event_page

    for name, doc in documents:
        if name == "event_page":
            pages: Any = doc
            for event in unpack_event_page(pages):
                yield "event", dict(event)
        else:
            yield name, doc


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value)
    return value.item() if isinstance(value, np.generic) else value
