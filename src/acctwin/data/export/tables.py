"""A run as CSV files: one table for each stream, for spreadsheets and pandas.

A folder with ``<stream>.csv``, a row for each event and a column for each value, for
arrays one for each device: ``bpms_x/C01/BPM1 [m]``. An array of two or more
dimensions, such as a response matrix, has a file of its own, ``<stream>.<key>.csv``.
``metadata.json`` has the documents. Numbers are written so that they come back
exactly; NaN is an empty cell, as spreadsheets have it.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acctwin.data.export.axes import Axes, Axis, labels
from acctwin.data.export.plain import iso_time, new_path, to_json, unique_names
from acctwin.data.runs import Run, Stream

METADATA = "metadata.json"
Column = tuple[str, Sequence[Any]]
"""Heading, and a value for each row."""


def to_csv(run: Run, path: str | Path) -> Path:
    """Write a run as CSV files.

    Args:
        run: The run.
        path: The folder to make.

    Returns:
        The folder.

    Raises:
        DataError: The folder exists, or cannot be written.
    """
    axes = Axes(run)
    with new_path(path) as part:
        part.mkdir()
        names = unique_names(run.streams, file_name)
        for name, stream in run.streams.items():
            _write_stream(part, names[name], stream, axes)
        (part / METADATA).write_text(_metadata(run), encoding="utf-8")
    return Path(path)


def file_name(key: str) -> str:
    """Return a name that every file system takes."""
    found = "".join(c if c.isalnum() or c in "_-." else "_" for c in key)
    return found if found.strip(".") else f"_{found}"


def _metadata(run: Run) -> str:
    streams = {
        name: {"descriptors": list(stream.descriptors), "events": len(stream)}
        for name, stream in run.streams.items()
    }
    content = {"start": run.start, "stop": run.stop, "streams": streams}
    return to_json(content, indent=1)


def _write_stream(folder: Path, name: str, stream: Stream, axes: Axes) -> None:
    columns = _time_columns(stream)
    deep = [key for key in stream.names if _depth(stream[key]) > 1]
    for key in stream.names:
        if key not in deep:
            columns += _columns(stream, key, axes)
    rows = zip(*(values for _, values in columns), strict=True)
    _write(folder / f"{name}.csv", [heading for heading, _ in columns], rows)
    files = unique_names(deep, lambda key: f"{name}.{file_name(key)}")
    for key in deep:
        head, body = _matrix(stream, key, axes.of(stream, key))
        _write(folder / f"{files[key]}.csv", head, body)


def _time_columns(stream: Stream) -> list[Column]:
    times = stream.time.tolist()
    return [
        ("seq_num", stream.seq_num.tolist()),
        ("time [UTC]", [_clock(value) for value in times]),
        ("time [s since 1970]", times),
    ]


def _clock(time_s: float) -> str:
    """Return a time as spreadsheets know it."""
    return iso_time(time_s).replace("T", " ")[:23]


def _depth(values: NDArray[Any]) -> int:
    """Return how many dimensions one event's value has, at the most."""
    if values.dtype.kind != "O":
        return values.ndim - 1
    return max((np.ndim(value) for value in values), default=0)


def _columns(stream: Stream, key: str, axes: Axes) -> Iterator[Column]:
    """Yield the columns of a number or of an array with one dimension."""
    values = stream[key]
    unit = _unit(stream, key)
    if _depth(values) == 0:
        yield f"{key}{unit}", values.tolist()
        return
    rows = [np.atleast_1d(value).tolist() for value in values]
    width = max(map(len, rows), default=0)
    (axis,) = axes.of(stream, key) or (None,)
    for place, name in enumerate(labels(axis, width)):
        column = [row[place] if place < len(row) else None for row in rows]
        yield f"{key}/{name}{unit}", column


def _matrix(
    stream: Stream, key: str, axes: Sequence[Axis | None]
) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the heading and the rows of an array with two dimensions or more."""
    values = [np.atleast_2d(value) for value in stream[key]]
    depth = max((value.ndim for value in values), default=2)
    axes = axes if len(axes) == depth else [None] * depth
    width = max((value.shape[-1] for value in values), default=0)
    places = [axis.key if axis else f"row_{dim}" for dim, axis in enumerate(axes[:-1])]
    names = [f"{name}{_unit(stream, key)}" for name in labels(axes[-1], width)]

    def rows() -> Iterator[list[Any]]:
        for number, value in zip(stream.seq_num.tolist(), values, strict=True):
            ends = zip(axes[:-1], value.shape[:-1], strict=False)
            heads = itertools.product(*(labels(axis, size) for axis, size in ends))
            flat = value.reshape(-1, value.shape[-1]).tolist()
            for head, row in zip(heads, flat, strict=True):
                yield [number, *head, *row]

    return ["seq_num", *places, *names], rows()


def _unit(stream: Stream, key: str) -> str:
    units = stream.units(key)
    return f" [{units}]" if units else ""


def _write(path: Path, heading: list[str], rows: Iterable[Iterable[Any]]) -> None:
    # With the byte order mark, spreadsheets know that it is UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return value
