"""A run as an HDF5 file in the conventions of NeXus.

One ``NXentry`` with an ``NXdata`` for each stream, which h5web and silx plot as they
are, and beside them what else the run holds::

    /entry                     NXentry: title, times, uid, program and its version
        <stream>               NXdata: data keys, time, seq_num, names and s positions
        configuration/<stream> NXcollection: what was the same for all events
        timestamps/<stream>    NXcollection: when each value was read
        documents              NXcollection: start, stop and descriptors in JSON
        versions               NXcollection: versions of packages
        user                   NXuser
        instrument/source      NXsource: the machine
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acctwin.data.export.axes import Axes, Axis
from acctwin.data.export.plain import iso_time, new_path, to_json, unique_names
from acctwin.data.runs import Run, Stream

EPOCH = "seconds since 1970-01-01T00:00:00Z"
OWN = ("time", "elapsed", "seq_num")
"""Fields of a stream that are no data key."""
_INTERPRETATION = {1: "scalar", 2: "spectrum", 3: "image"}


def to_hdf5(run: Run, path: str | Path) -> Path:
    """Write a run as an HDF5 file in the conventions of NeXus.

    Args:
        run: The run.
        path: The file to make.

    Returns:
        The file.

    Raises:
        DataError: The file exists, or cannot be written.
    """
    import h5py

    axes = Axes(run)
    with new_path(path) as part, h5py.File(part, "w") as file:
        _describe_file(file, Path(path).name)
        entry = _group(file, "entry", "NXentry")
        _describe_run(entry, run)
        names = unique_names(run.streams, link_name, taken=entry)
        for name, stream in run.streams.items():
            _write_stream(entry, names[name], stream, axes)
        _choose_default(entry, run, names)
    return Path(path)


def link_name(key: str) -> str:
    """Return a name that HDF5 takes: no slash, and not just dots."""
    name = key.replace("/", "_").replace("\0", "_")
    return name if name.strip(".") else f"_{name}"


def _describe_file(file: Any, name: str) -> None:
    import h5py

    file.attrs.update(
        NX_class="NXroot",
        default="entry",
        file_name=name,
        file_time=iso_time(time.time()),
        creator="acctwin",
        creator_version=version("acctwin"),
        HDF5_Version=h5py.version.hdf5_version,
        h5py_version=h5py.version.version,
    )


def _describe_run(entry: Any, run: Run) -> None:
    start, stop = run.start, run.stop or {}
    plan, profile = start.get("plan_name", ""), start.get("profile", "")
    entry["title"] = f"{plan} on {profile}" if profile else str(plan)
    entry["start_time"] = iso_time(start["time"])
    entry["entry_identifier"] = run.uid
    entry["entry_identifier_uuid"] = run.uid
    entry["program_name"] = "acctwin"
    entry["program_name"].attrs["version"] = str(start.get("acctwin_version", ""))
    if "time" in stop:
        entry["end_time"] = iso_time(stop["time"])
        entry["duration"] = float(stop["time"]) - float(start["time"])
        entry["duration"].attrs["units"] = "s"
    _group(entry, "user", "NXuser")["name"] = str(start.get("operator", ""))
    source = _group(_group(entry, "instrument", "NXinstrument"), "source", "NXsource")
    source["name"] = str(profile)
    if "energy" in start:
        source["energy"] = float(start["energy"])
        source["energy"].attrs["units"] = "eV"
    versions = _group(entry, "versions", "NXcollection")
    for package, found in (start.get("versions_of") or {}).items():
        versions[link_name(package)] = str(found)
    documents = _group(entry, "documents", "NXcollection")
    documents["start"] = to_json(start)
    documents["stop"] = to_json(run.stop)
    for name in ("configuration", "timestamps"):
        _group(entry, name, "NXcollection")


def _write_stream(entry: Any, name: str, stream: Stream, axes: Axes) -> None:
    group = _group(entry, name, "NXdata")
    found = {key: axes.of(stream, key) for key in stream.names}
    scales = [_scale_names(axis) for dims in found.values() for axis in dims if axis]
    taken = {*OWN, *(name for pair in scales for name in pair)}
    names = unique_names(stream.names, link_name, taken=taken)
    _write_times(group, stream)
    shown: list[tuple[str, list[str]]] = []
    for key in stream.names:
        field = _write_values(group, names[key], stream[key])
        field.attrs.update(_field_attributes(stream, key))
        if stream[key].dtype.kind in "biuf" and stream[key].size:
            shown.append((names[key], _write_axes(group, found[key])))
    _choose_signals(group, shown)
    _write_configuration(_group(entry["configuration"], name, "NXcollection"), stream)
    stamps = _group(entry["timestamps"], name, "NXcollection")
    for key in stream.names:
        stamps[names[key]] = stream.timestamps[key]
        stamps[names[key]].attrs["units"] = EPOCH
    entry["documents"][f"descriptors_{name}"] = to_json(list(stream.descriptors))


def _write_times(group: Any, stream: Stream) -> None:
    group["time"] = stream.time
    group["time"].attrs["units"] = EPOCH
    group["elapsed"] = stream.time - stream.time[:1].sum()
    group["elapsed"].attrs["units"] = "s"
    group["elapsed"].attrs["long_name"] = "time since the first event [s]"
    group["seq_num"] = stream.seq_num


def _field_attributes(stream: Stream, key: str) -> dict[str, Any]:
    described = stream.descriptors[-1]["data_keys"].get(key, {})
    units = stream.units(key)
    values = stream[key]
    found = {
        "data_key": key,
        "long_name": f"{key} [{units}]" if units else key,
        "source": str(described.get("source", "")),
        "interpretation": _INTERPRETATION.get(values.ndim, ""),
    }
    return found | ({"units": units} if units else {})


def _write_values(group: Any, name: str, values: NDArray[Any]) -> Any:
    """Write an array; one of arrays of unequal shapes as a group of them."""
    import h5py

    if values.dtype.kind in "US":
        return group.create_dataset(
            name, data=values.astype(object), dtype=h5py.string_dtype()
        )
    if values.dtype.kind == "O":
        ragged = _group(group, name, "NXcollection")
        for row, value in enumerate(values):
            _write_values(ragged, str(row), np.asarray(value))
        return ragged
    return group.create_dataset(name, data=values)


def _scale_names(axis: Axis) -> tuple[str, str]:
    """Return what the names and the places of an axis are called in a stream."""
    names = link_name(axis.key)
    return names, f"{names.removesuffix('_names')}_s"


def _write_axes(group: Any, axes: Sequence[Axis | None]) -> list[str]:
    """Write names and places of an array's dimensions; return what to plot against."""
    return ["." if axis is None else _write_axis(group, axis) for axis in axes]


def _write_axis(group: Any, axis: Axis) -> str:
    names, places = _scale_names(axis)
    if names not in group:
        _write_values(group, names, np.array(axis.names))
        if np.isfinite(axis.s).any():
            group[places] = axis.s
            group[places].attrs.update(units="m", long_name="s [m]")
    return places if axis.is_ordered else "."


def _choose_signals(group: Any, shown: Sequence[tuple[str, list[str]]]) -> None:
    """Say what a viewer plots first: the widest array, and its likes."""
    if not shown:
        return
    best, places = max(shown, key=lambda item: group[item[0]].ndim)
    shape, units = group[best].shape, group[best].attrs.get("units")
    alike = [
        name
        for name, _ in shown
        if name != best
        and group[name].shape == shape
        and group[name].attrs.get("units") == units
    ]
    group.attrs["signal"] = best
    group.attrs["axes"] = ["elapsed", *places]
    group.attrs["elapsed_indices"] = 0
    for dim, place in enumerate(places, start=1):
        if place != ".":
            group.attrs[f"{place}_indices"] = dim
    if alike:
        group.attrs["auxiliary_signals"] = alike


def _write_configuration(group: Any, stream: Stream) -> None:
    for device, found in stream.descriptors[-1].get("configuration", {}).items():
        own = _group(group, link_name(device), "NXcollection")
        names = unique_names(found.get("data", {}), link_name)
        for key, value in found.get("data", {}).items():
            field = _write_setting(own, names[key], value)
            units = found.get("data_keys", {}).get(key, {}).get("units")
            if units:
                field.attrs["units"] = units


def _write_setting(group: Any, name: str, value: Any) -> Any:
    """Write a configuration value; one that is no array in JSON."""
    is_array = isinstance(value, np.ndarray | list | tuple) and not _is_ragged(value)
    if is_array or isinstance(value, bool | int | float | str | np.generic):
        array = np.asarray(value)
        if array.dtype.kind in "biufcU":
            return _write_values(group, name, array)
    group[name] = to_json(value)
    group[name].attrs["media_type"] = "application/json"
    return group[name]


def _is_ragged(value: Any) -> bool:
    try:
        np.asarray(value)
    except ValueError:
        return True
    return False


def _choose_default(entry: Any, run: Run, names: Mapping[str, str]) -> None:
    """Open with the readings, else with the first stream that can be plotted."""
    able = [name for name in run.streams if "signal" in entry[names[name]].attrs]
    if able:
        first = "primary" if "primary" in able else able[0]
        entry.attrs["default"] = names[first]


def _group(parent: Any, name: str, kind: str) -> Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group
