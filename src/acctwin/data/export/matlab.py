"""A run as a MATLAB file: one variable ``run``, its data keys as MML has them.

``run.primary.bpms_x`` is a structure like those of the Matlab Middle Layer: ``Data``
with a row for each device and a column for each event, ``FamilyName``, ``Field``,
``DeviceName``, ``Status``, ``UnitsString``, ``DataTime``, and the device's ``Position``
[m]. ``run.Start`` and ``run.Stop`` are the documents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acctwin.data.export.axes import Axes, Axis, object_of
from acctwin.data.export.plain import new_path, unique_names
from acctwin.data.runs import Run, Stream
from acctwin.errors import DataError

LONGEST = 63
"""Characters in a MATLAB name."""
_KEYWORDS = re.compile(
    "break|case|catch|classdef|continue|else|elseif|end|for|function|global|if|"
    "otherwise|parfor|persistent|return|spmd|switch|try|while"
)
_OWN = (
    "UID",
    "PlanName",
    "Profile",
    "OperationalMode",
    "Operator",
    "Mode",
    "GeV",
    "TimeStamp",
    "CreatedBy",
    "Start",
    "Stop",
)
_LARGEST = 2**63 - 1
_MODES = {"physics": "Simulator", "hardware": "Online"}


def to_mat(run: Run, path: str | Path) -> Path:
    """Write a run as a MATLAB file (version 5, for every MATLAB and for Octave).

    Args:
        run: The run.
        path: The file to make.

    Returns:
        The file.

    Raises:
        DataError: The file exists, cannot be written, or holds what MATLAB has not.
    """
    from scipy.io import savemat
    from scipy.io.matlab import MatWriteError

    axes = Axes(run)
    content = _header(run)
    names = unique_names(run.streams, valid_name, taken=_OWN)
    for name, stream in run.streams.items():
        content[names[name]] = _stream(run, stream, axes)
    with new_path(path) as part, part.open("wb") as file:
        try:
            savemat(file, {"run": content}, long_field_names=True, do_compression=True)
        except (MatWriteError, TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"run {run.uid} cannot be a MATLAB file: {error}; export it to HDF5"
            ) from error
    return Path(path)


def valid_name(key: str) -> str:
    """Return a name that MATLAB takes: letters, digits and underscores, 63 at most."""
    name = re.sub(r"[^0-9A-Za-z_]", "_", key)
    if not name[:1].isalpha() or _KEYWORDS.fullmatch(name):
        name = f"x_{name}"
    return name[:LONGEST]


def _header(run: Run) -> dict[str, Any]:
    start = run.start
    mode = start.get("mode", "")
    content = {
        "UID": run.uid,
        "PlanName": start.get("plan_name", ""),
        "Profile": start.get("profile", ""),
        "OperationalMode": start.get("operational_mode", ""),
        "Operator": start.get("operator", ""),
        "Mode": _MODES.get(mode, mode),
        "GeV": start.get("energy", np.nan) / 1e9,
        "TimeStamp": _clock(start["time"]),
        "CreatedBy": f"acctwin {start.get('acctwin_version', '')}",
        "Start": start,
        "Stop": run.stop,
    }
    return {key: _value(value) for key, value in content.items()}


def _clock(time_s: float) -> NDArray[np.float64]:
    """Return a time as MATLAB's clock does: year to seconds, local, shape (1, 6)."""
    t = datetime.fromtimestamp(time_s)
    seconds = t.second + t.microsecond / 1e6
    return np.array([[t.year, t.month, t.day, t.hour, t.minute, seconds]])


def _stream(run: Run, stream: Stream, axes: Axes) -> dict[str, Any]:
    names = unique_names(stream.names, valid_name, taken=("Time", "SeqNum", "Setup"))
    content: dict[str, Any] = {
        "SeqNum": stream.seq_num[None, :].astype(float),
        "Time": stream.time[None, :],
    }
    for key in stream.names:
        content[names[key]] = _data_structure(run, stream, key, axes)
    found = stream.descriptors[-1].get("configuration", {})
    setup = {name: own.get("data", {}) for name, own in found.items()}
    content["Setup"] = _value(setup)
    return content


def _data_structure(run: Run, stream: Stream, key: str, axes: Axes) -> dict[str, Any]:
    """Return a data key as MML's getx and getpv return it."""
    device, units = object_of(stream, key), stream.units(key)
    found = axes.of(stream, key)
    content: dict[str, Any] = {
        "Data": _data(stream[key]),
        "DataKey": key,
        "FamilyName": device,
        "Field": key.removeprefix(f"{device}_"),
        "Units": "Hardware" if units == "A" else "Physics",
        "UnitsString": units,
        "DataTime": stream.timestamps[key][None, :],
        "DataDescriptor": str(run.start.get("plan_name", "")),
    }
    if found and found[0] is not None:
        content |= _devices(found[0])
    if len(found) > 1 and found[1] is not None:
        content["ColumnName"] = _words(found[1].names)
    return content


def _devices(axis: Axis) -> dict[str, Any]:
    content: dict[str, Any] = {"DeviceName": _words(axis.names)}
    if np.isfinite(axis.s).any():
        content["Position"] = axis.s[:, None]
    if axis.status is not None:
        content["Status"] = axis.status[:, None].astype(float)
    return content


def _data(values: NDArray[Any]) -> Any:
    """Return all events of a data key, the event last: (n_devices, n_events)."""
    if values.dtype.kind in "OUS":
        cells = np.empty((1, len(values)), object)
        cells[0, :] = [_value(value) for value in values]
        return cells
    return values[None, :] if values.ndim == 1 else np.moveaxis(values, 0, -1)


def _value(value: Any) -> Any:
    """Return a document value as MATLAB has it: None is [], words are cells."""
    if value is None:
        return np.zeros((0, 0))
    if isinstance(value, Mapping):
        names = unique_names(map(str, value), valid_name)
        return {names[str(key)]: _value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return _column(value)
    if isinstance(value, int) and abs(value) > _LARGEST:
        return float(value)
    return value


def _column(value: Any) -> Any:
    """Return a list as a column of numbers, else as a cell array."""
    try:
        array = np.asarray(value)
    except ValueError:
        return _words([_value(item) for item in value])
    if array.dtype.kind not in "biufc":
        return _words([_value(item) for item in value])
    return array[:, None] if array.ndim == 1 else array


def _words(words: Any) -> NDArray[Any]:
    """Return a column of words, MATLAB's cell array."""
    cells = np.empty((len(words), 1), object)
    cells[:, 0] = list(words)
    return cells
