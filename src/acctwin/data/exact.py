"""What Tiled drops of documents, kept beside them, so that they come back exactly.

Tiled keeps the data, times and number of an event. Its uid, its place among the
documents of the run and its descriptor go with it as one more word, in a column next
to the time stamps that no data key has: other clients neither show nor need it. A
document with something that Tiled or JSON changes, such as NaN in a configuration or
an array of another length than was declared, is kept whole as well, as a frame of the
journal; other clients then see the array cut off or filled up.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from acctwin.data.frames import HEADER, Document, decode, encode_frame

COLUMN = "acctwin_document"
"""Its column of time stamps, ``ts_acctwin_document``, holds the words of events."""
METADATA = "acctwin_documents"
"""In a run's metadata: uid → frame of the other documents that JSON changes."""
_EVENT = {"uid", "time", "data", "timestamps", "seq_num", "filled", "descriptor"}
_NUMERIC = "biuf"
_SAFE_INTEGER = 2**53
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "integer": (int, np.integer),
    "string": (str,),
}


class Marker:
    """Marks the documents of one run on their way to Tiled, in their order.

    Attributes:
        frames: uid → frame, of start, descriptor and stop documents that JSON changes.
    """

    def __init__(self) -> None:
        self.frames: dict[str, str] = {}
        self._order = 0
        self._streams: dict[str, list[dict[str, Any]]] = {}
        self._owner: dict[str, tuple[dict[str, Any], int]] = {}

    def mark(self, name: str, doc: dict[str, Any]) -> Iterator[Document]:
        """Yield a document as it is to be given to Tiled; a page as its events."""
        if name == "event_page":
            from event_model import unpack_event_page

            pages: Any = doc
            for event in unpack_event_page(pages):
                yield from self.mark("event", dict(event))
            return
        order, self._order = self._order, self._order + 1
        if name == "event":
            doc = self._marked(order, doc)
        elif not self._is_kept(name, doc):
            self.frames[doc["uid"]] = _to_text(name, doc)
        yield name, doc

    def _marked(self, order: int, event: dict[str, Any]) -> dict[str, Any]:
        descriptor, place = self._owner[event["descriptor"]]
        keys, data = descriptor["data_keys"], event["data"]
        word = f"{order} {place} {event['uid']}"
        if not _is_event_kept(event, keys):
            word = f"{word} {_to_text('event', event)}"
            # TiledWriter adds NaN to arrays of unequal lengths instead of appending.
            data = {key: _fitted(value, keys[key]) for key, value in data.items()}
        stamps = {**event["timestamps"], COLUMN: word}
        return {**event, "data": data, "timestamps": stamps}

    def _is_kept(self, name: str, doc: dict[str, Any]) -> bool:
        """Tell whether Tiled gives a document that is no event back as it is."""
        if name != "descriptor":
            return _is_json(doc)
        siblings = self._streams.setdefault(doc["name"], [])
        self._owner[doc["uid"]] = doc, len(siblings)
        siblings.append(doc)
        return _is_descriptor_kept(doc, siblings[0])


class Kept:
    """Gives back what :class:`Marker` kept of one run.

    Args:
        metadata: Of the run in Tiled.
    """

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._frames = metadata.get(METADATA) or {}

    def document(self, doc: dict[str, Any]) -> dict[str, Any]:
        """Return a start or stop document as it was emitted."""
        frame = self._frames.get(doc["uid"])
        return doc if frame is None else _from_text(frame)

    def descriptor(self, doc: dict[str, Any]) -> dict[str, Any]:
        """Return a descriptor as it was emitted: arrays in its configuration."""
        frame = self._frames.get(doc["uid"])
        if frame is not None:
            return _from_text(frame)
        for device in doc.get("configuration", {}).values():
            keys = device["data_keys"]
            device["data"] = {
                key: np.array(value, keys[key]["dtype_numpy"])
                if _is_numeric_array(keys[key])
                else value
                for key, value in device["data"].items()
            }
        return doc


def restore_event(
    event: dict[str, Any], word: str, descriptors: list[dict[str, Any]]
) -> tuple[int, dict[str, Any]]:
    """Return the place of an event among the documents of its run, and itself.

    Args:
        event: As Tiled has it.
        word: What was kept of it.
        descriptors: Of its stream.
    """
    order, place, uid, *frame = word.split(" ")
    if frame:
        return int(order), _from_text(frame[0])
    own = {"uid": uid, "descriptor": descriptors[int(place)]["uid"]}
    return int(order), {**event, **own}


def in_order(
    events: Iterable[tuple[int, dict[str, Any]]], descriptors: list[dict[str, Any]]
) -> list[Document]:
    """Return the documents between start and stop as they were emitted.

    Args:
        events: With their places; 0 is the start document's.
        descriptors: Of all streams. They have the places that are left, by their time.
    """
    body: dict[int, Document] = {place: ("event", event) for place, event in events}
    left = (place for place in itertools.count(1) if place not in body)
    ordered = sorted(descriptors, key=lambda doc: doc["time"])
    body |= {next(left): ("descriptor", doc) for doc in ordered}
    return [body[place] for place in sorted(body)]


def _fitted(value: Any, key: Mapping[str, Any]) -> Any:
    """Return an array of the declared shape: cut off, filled up with NaN or 0."""
    shape = tuple(key["shape"])
    if not isinstance(value, np.ndarray) or None in shape or value.shape == shape:
        return value
    filling = np.nan if value.dtype.kind == "f" else 0
    fitted = np.full(shape, filling, value.dtype)
    if value.ndim == fitted.ndim:
        both = tuple(slice(min(pair)) for pair in zip(shape, value.shape, strict=True))
        fitted[both] = value[both]
    return fitted


def _is_event_kept(event: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    # TiledWriter keeps scalars in a table, where a number that is not finite may get
    # lost, and arrays as arrays of the declared type.
    return (
        set(event) == _EVENT
        and not event["filled"]
        and all(_is_value_kept(value, keys[k]) for k, value in event["data"].items())
    )


def _is_value_kept(value: Any, key: Mapping[str, Any]) -> bool:
    if isinstance(value, np.ndarray):
        is_as_declared = list(value.shape) == list(key["shape"]) and value.size > 0
        return is_as_declared and _is_as_typed(value, key)
    if isinstance(value, bool):
        return key["dtype"] == "boolean"
    if isinstance(value, float):
        return key["dtype"] == "number" and math.isfinite(value)
    return isinstance(value, _SCALARS.get(key["dtype"], ()))


def _is_as_typed(value: np.ndarray, key: Mapping[str, Any]) -> bool:
    return _is_numeric_array(key) and value.dtype == np.dtype(key["dtype_numpy"])


def _is_numeric_array(key: Mapping[str, Any]) -> bool:
    declared = key.get("dtype_numpy")
    if key["dtype"] != "array" or not isinstance(declared, str):
        return False
    return np.dtype(declared).kind in _NUMERIC


def _is_descriptor_kept(doc: Mapping[str, Any], first: Mapping[str, Any]) -> bool:
    same = ("data_keys", "hints", "object_keys")
    rest = {key: value for key, value in doc.items() if key != "configuration"}
    return (
        _is_json(rest)
        and all(doc.get(key) == first.get(key) for key in same)
        and all(map(_is_device_kept, doc.get("configuration", {}).values()))
    )


def _is_device_kept(device: Mapping[str, Any]) -> bool:
    """Tell whether one device's configuration comes back as it is."""
    keys, values = device["data_keys"], device["data"]
    rest = {key: value for key, value in device.items() if key != "data"}
    return _is_json(rest) and all(
        isinstance(value, np.ndarray)
        and value.size > 0
        and _is_as_typed(value, keys[key])
        and bool(np.isfinite(value).all())
        if _is_numeric_array(keys[key])
        else _is_json(value)
        for key, value in values.items()
    )


def _is_json(value: Any) -> bool:
    """Tell whether a value is the same after it was JSON."""
    if isinstance(value, Mapping):
        return all(isinstance(k, str) and _is_json(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, bool | str) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) < _SAFE_INTEGER
    if isinstance(value, float):
        return math.isfinite(value) and abs(value) < _SAFE_INTEGER
    return False


def _to_text(name: str, doc: dict[str, Any]) -> str:
    return base64.b64encode(encode_frame(name, doc)[HEADER.size :]).decode()


def _from_text(text: str) -> dict[str, Any]:
    return decode(base64.b64decode(text))[1]
