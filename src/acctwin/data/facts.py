"""What runs are found by: which devices moved, and the numbers of the result.

Both are in the events of a run. They are written into its metadata in Tiled as well,
``moved`` and ``results``, so that the server's index finds runs by them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Endings of data keys that hold setpoints.
SETPOINTS = ("_strength", "_current", "_frequency", "_kick")
#: Longer arrays of a result are data, not figures.
MOST_NUMBERS = 4


class Facts:
    """Gathers the facts of one run from its documents."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, tuple[str, ...]]] = {}
        self._streams: dict[str, str] = {}
        self._first: dict[str, np.ndarray] = {}
        self._moved: dict[str, None] = {}
        self._results: dict[str, float] = {}

    def add(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document into account."""
        if name == "descriptor":
            self._streams[doc["uid"]] = doc["name"]
            self._names[doc["uid"]] = _names(doc)
        elif name == "event":
            self._add_event(doc["descriptor"], doc["data"])
        elif name == "event_page":
            for row in range(len(doc["seq_num"])):
                data = {key: values[row] for key, values in doc["data"].items()}
                self._add_event(doc["descriptor"], data)

    def metadata(self) -> dict[str, Any]:
        """Return what goes into the run's metadata."""
        return {"moved": list(self._moved), "results": dict(self._results)}

    def _add_event(self, descriptor: str, data: Mapping[str, Any]) -> None:
        if self._streams[descriptor] == "result":
            for key, value in data.items():
                self._results.update(_numbers(key, value))
            return
        for key, names in self._names[descriptor].items():
            if key not in data:
                continue
            values = np.atleast_1d(data[key])
            first = self._first.setdefault(key, values)
            if values.shape == first.shape == (len(names),):
                moved = np.flatnonzero(values != first)
                self._moved.update(dict.fromkeys(names[i] for i in moved))


def _names(descriptor: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the names of the devices behind each data key of setpoints."""
    configuration = {
        key: value
        for device in descriptor.get("configuration", {}).values()
        for key, value in device.get("data", {}).items()
    }
    found: dict[str, tuple[str, ...]] = {}
    for key in descriptor["data_keys"]:
        ending = next((e for e in SETPOINTS if key.endswith(e)), None)
        if ending is not None:
            device = key.removesuffix(ending)
            names = configuration.get(f"{device}_names", (device,))
            found[key] = tuple(str(name) for name in names)
    return found


def _numbers(key: str, value: Any) -> dict[str, float]:
    """Return the numbers of a short result; those of an array with their place."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.size > MOST_NUMBERS:
        return {}
    numbers = [float(number) for number in array.ravel()]
    named = (
        {key: numbers[0]}
        if array.ndim == 0
        else {f"{key}_{i}": number for i, number in enumerate(numbers)}
    )
    return {name: number for name, number in named.items() if math.isfinite(number)}
