"""Stored runs as plain arrays, wherever they are stored.

`Run` is a run in memory: metadata and one `Stream` for each kind of event, with
one array per data key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acctwin.data.journal import Document
from acctwin.errors import DataError, UnknownName


@dataclass(frozen=True)
class Stream:
    """The events of one stream, a row each, in the order of ``seq_num``.

    An event that was measured again after a pause counts once: the last one.

    Attributes:
        name: Name of the stream, such as ``primary`` or ``baseline``.
        descriptors: Its descriptor documents; more than one if a configuration
            changed during the run.
        data: Data key → array, shape (n_events, …).
        time: When each event was made [s since 1970], shape (n_events,).
        seq_num: Number of each event, from 1, shape (n_events,).
        timestamps: Data key → when each value was read [s], shape (n_events,).
    """

    name: str
    descriptors: tuple[Mapping[str, Any], ...]
    data: Mapping[str, NDArray[Any]]
    time: NDArray[np.float64]
    seq_num: NDArray[np.int64]
    timestamps: Mapping[str, NDArray[np.float64]] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The data keys."""
        return tuple(self.data)

    def __len__(self) -> int:
        return len(self.seq_num)

    def __getitem__(self, key: str) -> NDArray[Any]:
        """Return the array of a data key, shape (n_events, …)."""
        try:
            return self.data[key]
        except KeyError:
            raise UnknownName("data key", key, self.data) from None

    def units(self, key: str) -> str:
        """Return the unit of a data key, empty when it has none."""
        keys = self.descriptors[-1]["data_keys"]
        if key not in keys:
            raise UnknownName("data key", key, keys)
        return keys[key].get("units") or ""

    def config(self, key: str) -> Any:
        """Return a configuration value, such as the names behind an array.

        Where a configuration changed during the run, this is the last value.
        """
        values = {
            name: value
            for device in self.descriptors[-1].get("configuration", {}).values()
            for name, value in device.get("data", {}).items()
        }
        if key not in values:
            raise UnknownName("configuration value", key, values)
        return values[key]


@dataclass(frozen=True)
class Run:
    """One run in memory.

    Attributes:
        uid: Its identity.
        start: The start document.
        stop: The stop document, None while the run is open.
        streams: Name → stream.
    """

    uid: str
    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None
    streams: Mapping[str, Stream]

    def __getitem__(self, name: str) -> Stream:
        """Return a stream."""
        try:
            return self.streams[name]
        except KeyError:
            raise UnknownName("stream", name, self.streams) from None

    @classmethod
    def from_documents(cls, source: Iterable[Document]) -> Run:
        """Build a run from its documents.

        Raises:
            DataError: There is no start document, or an event lacks a key.
        """
        start: dict[str, Any] | None = None
        stop: dict[str, Any] | None = None
        streams: dict[str, _Columns] = {}
        by_descriptor: dict[str, _Columns] = {}
        for name, doc in source:
            match name:
                case "start":
                    start = doc
                case "descriptor":
                    columns = streams.setdefault(doc["name"], _Columns(doc["name"]))
                    columns.descriptors.append(doc)
                    by_descriptor[doc["uid"]] = columns
                case "event":
                    by_descriptor[doc["descriptor"]].events[doc["seq_num"]] = doc
                case "event_page":
                    by_descriptor[doc["descriptor"]].add_page(doc)
                case "stop":
                    stop = doc
        if start is None:
            raise DataError("these documents hold no start document, so no run")
        built = {name: columns.stream() for name, columns in streams.items()}
        return cls(start["uid"], start, stop, MappingProxyType(built))


class _Columns:
    """Gathers the events of one stream; a repeated seq_num replaces the earlier."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.descriptors: list[dict[str, Any]] = []
        self.events: dict[int, dict[str, Any]] = {}

    def add_page(self, page: dict[str, Any]) -> None:
        for row, seq_num in enumerate(page["seq_num"]):
            self.events[seq_num] = {
                "seq_num": seq_num,
                "time": page["time"][row],
                "data": {key: values[row] for key, values in page["data"].items()},
                "timestamps": {k: v[row] for k, v in page["timestamps"].items()},
            }

    def stream(self) -> Stream:
        events = [self.events[number] for number in sorted(self.events)]
        keys = [
            key
            for key, meta in self.descriptors[0]["data_keys"].items()
            if "external" not in meta
        ]
        try:
            data = {key: _column([e["data"][key] for e in events]) for key in keys}
            stamps = {
                key: np.array([e["timestamps"][key] for e in events], float)
                for key in keys
            }
        except KeyError as error:
            raise DataError(
                f"an event of stream {self.name!r} has no value for {error}, which "
                "its descriptor promises"
            ) from None
        return Stream(
            name=self.name,
            descriptors=tuple(self.descriptors),
            data=MappingProxyType(data),
            time=np.array([e["time"] for e in events], float),
            seq_num=np.array([e["seq_num"] for e in events], np.int64),
            timestamps=MappingProxyType(stamps),
        )


def _column(values: list[Any]) -> NDArray[Any]:
    """Return one array of all values, of objects when their shapes differ."""
    arrays = [np.asarray(value) for value in values]
    if len({array.shape for array in arrays}) <= 1:
        return np.array(arrays)
    ragged = np.empty(len(arrays), object)
    ragged[:] = arrays
    return ragged
