"""What the places in an array are: names of devices and where they stand.

A family's array has ``<family>_names``, ``<family>_s`` and ``<family>_status`` in
the configuration of its stream, a result the lists that its plan gave it, such as
``response_monitors`` and ``response_actuators``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acctwin.data.runs import Run, Stream


@dataclass(frozen=True)
class Axis:
    """One dimension of an array whose places have names.

    Attributes:
        key: Configuration value with the names, such as ``bpms_names``.
        names: Name of each place.
        s: Where each of them stands [m], NaN where that is not in the run.
        status: 1 for good, 0 for bad; None if the run does not say.
    """

    key: str
    names: tuple[str, ...]
    s: NDArray[np.float64]
    status: NDArray[np.int64] | None = None

    @property
    def is_ordered(self) -> bool:
        """Whether every device stands behind the one before, so s is a scale."""
        return bool(np.isfinite(self.s).all() and (np.diff(self.s) > 0).all())


class Axes:
    """Finds the axes of the arrays of one run."""

    def __init__(self, run: Run) -> None:
        self._places: dict[str, float] = {}
        for stream in run.streams.values():
            for values in _configuration(stream).values():
                self._places.update(_positions(values))

    def of(self, stream: Stream, key: str) -> tuple[Axis | None, ...]:
        """Return the axes of a data key, one for each dimension of one event.

        A dimension that no list, or more than one, has the names for has None.

        Args:
            stream: A stream of the run.
            key: One of its data keys.
        """
        shape = stream[key].shape[1:]
        device = object_of(stream, key)
        values = _configuration(stream).get(device, {})
        lists = {k: v for k, v in values.items() if _are_names(v)}
        found: list[Axis | None] = [None] * len(shape)
        for length in set(shape):
            fit = [name for name, value in lists.items() if len(value) == length]
            if f"{device}_names" in fit:
                fit = [f"{device}_names"]
            dims = [dim for dim, size in enumerate(shape) if size == length]
            if len(fit) == 1:  # as many turns as BPMs: the BPMs come last
                dims = dims[-1:]
            if len(fit) == len(dims):
                for dim, name in zip(dims, fit, strict=True):
                    found[dim] = self._axis(device, name, values)
        return tuple(found)

    def _axis(self, device: str, key: str, values: Mapping[str, Any]) -> Axis:
        names = tuple(map(str, values[key]))
        s = dict(_positions(values)) if key == f"{device}_names" else {}
        known = {**self._places, **s}
        status = values.get(f"{device}_status") if s else None
        return Axis(
            key=key,
            names=names,
            s=np.array([_place(known, name) for name in names], float),
            status=None if status is None else np.asarray(status, np.int64),
        )


def object_of(stream: Stream, key: str) -> str:
    """Return the object that gave a data key; empty if the stream does not say."""
    for name, keys in stream.descriptors[-1].get("object_keys", {}).items():
        if key in keys:
            return name
    return ""


def labels(axis: Axis | None, length: int) -> tuple[str, ...]:
    """Return names of the places of one dimension; numbers from 0 without an axis."""
    return tuple(map(str, range(length))) if axis is None else axis.names


def _place(known: Mapping[str, float], name: str) -> float:
    # A row of an orbit response is called after its BPM and plane: C01/BPM1:x.
    return known.get(name, known.get(name.rpartition(":")[0], np.nan))


def _configuration(stream: Stream) -> dict[str, Mapping[str, Any]]:
    found = stream.descriptors[-1].get("configuration", {})
    return {name: device.get("data", {}) for name, device in found.items()}


def _positions(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield name and place for each device that a configuration has both of."""
    for key, names in values.items():
        where = values.get(f"{key.removesuffix('_names')}_s")
        if where is None or not key.endswith("_names") or not _are_names(names):
            continue
        if len(where) == len(names):
            yield from zip(map(str, names), map(float, where), strict=True)


def _are_names(value: Any) -> bool:
    """Tell whether a value is a list of different words."""
    if not isinstance(value, list | tuple | np.ndarray) or np.ndim(value) != 1:
        return False
    words = [word for word in value if isinstance(word, str)]
    return 0 < len(words) == len(value) == len(set(words))
