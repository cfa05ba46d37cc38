"""Bluesky documents of stored runs, and callbacks fed with them.

Tiled's own ``run.documents()`` is not used: after a pause an event comes again
with the same ``seq_num``, and from there on it hands out arrays that belong to
other events (seen with bluesky-tiled-plugins 2.0).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from acctwin.data.exact import COLUMN, Kept, in_order, restore_event
from acctwin.data.frames import Document
from acctwin.data.runs import Run, Stream

Callback = Callable[[str, dict[str, Any]], Any]


def documents(run: Any) -> Iterator[Document]:
    """Yield the Bluesky documents of a run in Tiled, as they were emitted.

    An event that was repeated after a pause comes twice, as it did then. A run that
    something else than acctwin has put there comes in time order, its events with
    uids made up from their descriptor's.

    Args:
        run: A Tiled client of the run: ``catalog[uid]``.
    """
    run = run.v3  # whatever kind of client databroker made of it
    kept = Kept(run.metadata)
    yield "start", kept.document(_plain(run.metadata["start"]))
    descriptors: list[dict[str, Any]] = []
    events: list[tuple[int, dict[str, Any]]] = []
    for name in run:
        own = [kept.descriptor(_plain(doc)) for doc in run[name].descriptors]
        descriptors += own
        events += _stored_events(run[name], own)
    if all(place for place, _ in events):
        yield from in_order(events, descriptors)
    else:
        yield from _in_time_order(descriptors, (event for _, event in events))
    if stop := run.metadata.get("stop"):
        yield "stop", kept.document(_plain(stop))


def _in_time_order(
    descriptors: Iterable[Mapping[str, Any]], events: Iterable[dict[str, Any]]
) -> list[Document]:
    """Return descriptors and events of all streams in time order."""
    body: list[Document] = [("descriptor", _plain(doc)) for doc in descriptors]
    body += [("event", event) for event in events]
    return sorted(body, key=lambda item: (item[1]["time"], item[0] == "event"))


def _stored_events(
    stream: Any, descriptors: list[dict[str, Any]]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the events of a stream in Tiled with their places in the run, or 0."""
    variables = list(stream)
    if "seq_num" not in variables:
        return
    with warnings.catch_warnings():
        # Tiled names axes by their length, and so both of a square array alike; only
        # the values are used here.
        warnings.filterwarnings("ignore", message="Duplicate dimension names")
        table = stream.read(variables)
    columns = {str(key): table[key].values for key in table}
    keys = [key for key in descriptors[0]["data_keys"] if key in columns]
    events = _events(
        descriptors,
        table["time"].values,
        columns["seq_num"],
        {key: columns[key] for key in keys},
        {key: columns[f"ts_{key}"] for key in keys},
    )
    words = columns.get(f"ts_{COLUMN}")
    for row, event in enumerate(events):
        if words is None:
            yield 0, event
        else:
            yield restore_event(event, str(words[row]), descriptors)


def _events(
    descriptors: Sequence[Mapping[str, Any]],
    time: Any,
    seq_num: Any,
    data: Mapping[str, Any],
    timestamps: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Yield an event for each row of the columns."""
    # An event belongs to the last descriptor that was made before it.
    starts = [doc["time"] for doc in descriptors[1:]]
    owner = np.searchsorted(starts, time, side="right")
    for row, number in enumerate(seq_num):
        uid = descriptors[owner[row]]["uid"]
        yield {
            "uid": f"{uid}-{row}",
            "descriptor": uid,
            "seq_num": int(number),
            "time": float(time[row]),
            "data": {key: _scalar(values[row]) for key, values in data.items()},
            "timestamps": {k: float(values[row]) for k, values in timestamps.items()},
            "filled": {},
        }


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _plain(value: Any) -> Any:
    """Return ordinary dicts and lists in place of Tiled's read-only views."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def replay(source: Any, *callbacks: Callback) -> None:
    """Feed a stored run to Bluesky callbacks, as the RunEngine would have done.

    Args:
        source: A `Run`, a Tiled client of a run, or an iterable of documents.
        callbacks: What one would subscribe to a RunEngine: a ``LiveTable``, a
            ``DocumentRouter``, a function of name and document.
    """
    if isinstance(source, Run):
        source = run_documents(source)
    elif hasattr(source, "metadata"):
        source = documents(source)
    for name, doc in source:
        for callback in callbacks:
            callback(name, doc)


def run_documents(run: Run) -> Iterator[Document]:
    """Yield the documents of a run in memory, in time order."""
    yield "start", dict(run.start)
    streams = run.streams.values()
    yield from _in_time_order(
        (doc for stream in streams for doc in stream.descriptors),
        (event for stream in streams for event in _memory_events(stream)),
    )
    if run.stop is not None:
        yield "stop", dict(run.stop)


def _memory_events(stream: Stream) -> Iterator[dict[str, Any]]:
    return _events(
        stream.descriptors, stream.time, stream.seq_num, stream.data, stream.timestamps
    )
