"""What a plan itself writes into a run: where a step stands, and its result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bluesky.protocols import Reading
from bluesky.utils import Msg, MsgGenerator
from event_model import DataKey


@dataclass(eq=False)
class Note:
    """A readable that holds what the plan puts into it.

    Lists of words belong into ``configuration``: they are stored as they are
    there, and not in events.

    Attributes:
        name: Prefix of the data keys.
        values: Number or array for each key, changed from event to event.
        units: Unit of each value that has one.
        configuration: What is the same for all events.
    """

    name: str
    values: dict[str, Any]
    units: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    parent: None = None

    def describe(self) -> dict[str, DataKey]:
        """Describe the values."""
        return {
            f"{self.name}_{key}": _data_key(self.name, value, self.units.get(key))
            for key, value in self.values.items()
        }

    def read(self) -> dict[str, Reading[Any]]:
        """Return the values."""
        return _readings(self.name, self.values)

    def describe_configuration(self) -> dict[str, DataKey]:
        """Describe the configuration."""
        return {
            f"{self.name}_{key}": _data_key(self.name, value, None)
            for key, value in self.configuration.items()
        }

    def read_configuration(self) -> dict[str, Reading[Any]]:
        """Return the configuration."""
        return _readings(self.name, self.configuration)


def write_result(note: Note) -> MsgGenerator[None]:
    """Store a result as the only event of the stream ``result``."""
    try:
        yield Msg("create", None, name="result")
        yield Msg("read", note)
    except Exception:
        yield Msg("drop")
        raise
    yield Msg("save")


def _readings(name: str, values: Mapping[str, Any]) -> dict[str, Reading[Any]]:
    now = time.time()
    return {
        f"{name}_{key}": Reading(value=value, timestamp=now)
        for key, value in values.items()
    }


def _data_key(name: str, value: Any, units: str | None) -> DataKey:
    key = DataKey(source=f"plan://{name}", dtype=_dtype(value), shape=_shape(value))
    if isinstance(value, np.ndarray):
        key["dtype_numpy"] = value.dtype.str
    if units:
        key["units"] = units
    return key


def _dtype(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray):
        return "array"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "string"


def _shape(value: Any) -> list[int | None]:
    return list(np.shape(value)) if isinstance(value, list | tuple | np.ndarray) else []
