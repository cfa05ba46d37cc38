"""A stream of a run as an xarray dataset: names, positions and units included."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from acctwin.data.runs import Run, Stream

if TYPE_CHECKING:
    import xarray


def dataset(run: Run, stream: str = "primary") -> xarray.Dataset:
    """Return a stream as a dataset.

    Arrays of a family have its name as their dimension, with the names of the devices
    and their positions ``<family>_s`` [m] as coordinates; units are in the attributes.
    Arrays whose lengths change from event to event are left out.

    Args:
        run: The run.
        stream: Which stream.

    Raises:
        UnknownName: There is no such stream.
    """
    import xarray

    source = run[stream]
    families = _families(source)
    coordinates: dict[Hashable, Any] = {
        "time": ("event", source.time, {"units": "s since 1970-01-01T00:00:00Z"}),
        "seq_num": ("event", source.seq_num),
    }
    variables: dict[Hashable, Any] = {}
    for key, values in source.data.items():
        if values.dtype == object:
            continue
        family = _family_of(key, values, families)
        shape = values.shape[1:]
        dims = [family] if family else [f"{key}_dim_{i}" for i in range(len(shape))]
        units = source.units(key)
        attributes = {"units": units} if units else {}
        variables[key] = (("event", *dims), values, attributes)
        if family:
            names, s = families[family]
            coordinates[family] = (family, names)
            coordinates[f"{family}_s"] = (family, s, {"units": "m"})
    attributes = {"uid": run.uid, "stream": stream}
    for name in ("plan_name", "profile", "operational_mode", "mode", "operator"):
        if name in run.start:
            attributes[name] = run.start[name]
    return xarray.Dataset(variables, coordinates, attributes)


def _families(stream: Stream) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the names and positions [m] of the families of a stream."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    configuration: Mapping[str, Any] = {
        key: value
        for device in stream.descriptors[-1].get("configuration", {}).values()
        for key, value in device.get("data", {}).items()
    }
    for key, names in configuration.items():
        family = key.removesuffix("_names")
        if family != key and f"{family}_s" in configuration:
            s = np.asarray(configuration[f"{family}_s"], dtype=np.float64)
            found[family] = np.asarray(names, dtype=str), s
    return found


def _family_of(
    key: str, values: np.ndarray, families: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> str | None:
    """Return the family that an array is of: the longest name that it begins with."""
    for family in sorted(families, key=len, reverse=True):
        count = len(families[family][0])
        if key.startswith(f"{family}_") and values.shape[1:] == (count,):
            return family
    return None
