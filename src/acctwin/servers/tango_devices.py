"""Tango device classes of a served machine: one for each set of attributes.

A device's attributes are those of its records. Reads give what was published last;
writes hand the value over and return at once, since a server that waits in a write
while events are pushed comes to a halt. The readback follows as an event.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from acctwin.names import BoolArray, FloatArray
from acctwin.servers.records import Key, Record


class Board:
    """What was published last, and how a client's value is handed over.

    Args:
        put: Takes a record and its new value; returns at once.
        read_only: Nobody can write.
    """

    def __init__(
        self, put: Callable[[Record, FloatArray], None], *, read_only: bool
    ) -> None:
        self.put, self.read_only = put, read_only
        self._values: dict[Key, FloatArray] = {}
        self._stamps: dict[Key, float] = {}

    def keep(self, values: Mapping[Key, FloatArray]) -> dict[Key, BoolArray]:
        """Keep new values; return which of them have changed, where any has."""
        now, changed = time.time(), dict[Key, BoolArray]()
        for key, value in values.items():
            last = self._values.get(key)
            self._values[key], self._stamps[key] = value, now
            if last is None or last.shape != value.shape:
                changed[key] = np.ones(len(value), dtype=bool)
                continue
            differs = (value != last) & ~(np.isnan(value) & np.isnan(last))
            if differs.any():
                changed[key] = differs
        return changed

    def read(self, record: Record) -> tuple[Any, float, bool]:
        """Return value, time stamp, and whether the value is one."""
        values = self._values.get(record.key)
        stamp = self._stamps.get(record.key, time.time())
        if values is None:
            empty = np.zeros(0) if record.size else 0.0
            return _shaped(record, empty), stamp, False
        value = values if record.size else values[record.index]
        return _shaped(record, value), stamp, bool(np.all(np.isfinite(value)))


def _shaped(record: Record, value: Any) -> Any:
    if record.size:
        return np.asarray(value, dtype=np.float64)
    return int(value) if record.is_whole and np.isfinite(value) else float(value)


def signature(records: Sequence[Record]) -> tuple[object, ...]:
    """Return what devices of one class have in common: their attributes."""
    return tuple(
        (r.key, attribute_of(r), r.unit, r.precision, r.size, r.is_setpoint)
        for r in records
    )


def device_of(record: Record) -> str:
    """Return the device of a record: domain/family/member."""
    return record.name.rpartition("/")[0]


def attribute_of(record: Record) -> str:
    """Return the attribute of a record."""
    return record.name.rpartition("/")[2]


def device_class(
    tango: Any, title: str, example: Sequence[Record], known: Mapping[str, Any]
) -> Any:
    """Return a class for all devices with the attributes of an example.

    Args:
        tango: The package.
        title: Name of the class.
        example: The records of one such device.
        known: ``board``, the :class:`Board`; ``records`` of each device by its name
            in lower case; ``devices``, which devices put themselves into.
    """
    server = tango.server
    body: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"A device of a served machine: {title}.",
        "init_device": _init_device(tango, known),
    }
    for place, record in enumerate(example):
        name = attribute_of(record)
        options: dict[str, Any] = {
            "dtype": _dtype(record),
            "unit": record.unit,
            "format": "%d" if record.is_whole else f"%.{record.precision}f",
            "fget": _reader(tango, place),
        }
        if record.size:
            options["max_dim_x"] = record.size
        if record.is_setpoint:
            options["fset"] = _writer(place)
            body[f"is_{name}_allowed"] = _allowed(tango)
            options["fisallowed"] = f"is_{name}_allowed"
        body[name] = server.attribute(**options)
    return type(title, (server.Device,), body)


def _dtype(record: Record) -> Any:
    if record.size:
        return (float,)
    return int if record.is_whole else float


def _init_device(tango: Any, known: Mapping[str, Any]) -> Callable[[Any], None]:
    def init_device(self: Any) -> None:
        tango.server.Device.init_device(self)
        self.set_state(tango.DevState.ON)
        board, records = known["board"], known["records"][self.get_name().lower()]
        known["devices"][self.get_name().lower()] = self
        self.twin = board, records
        for record in records:
            name = attribute_of(record)
            self.set_change_event(name, True, False)
            if record.is_setpoint and not record.size and np.isfinite(record.low):
                attribute = self.get_device_attr().get_w_attr_by_name(name)
                number = int if record.is_whole else float
                attribute.set_min_value(number(record.low))
                attribute.set_max_value(number(record.high))

    return init_device


def _reader(tango: Any, place: int) -> Callable[[Any], Any]:
    def read(self: Any) -> Any:
        board, records = self.twin
        value, stamp, is_valid = board.read(records[place])
        quality = tango.AttrQuality
        return value, stamp, quality.ATTR_VALID if is_valid else quality.ATTR_INVALID

    return read


def _writer(place: int) -> Callable[[Any, Any], None]:
    def write(self: Any, value: Any) -> None:
        board, records = self.twin
        board.put(records[place], np.atleast_1d(np.asarray(value, dtype=float)))

    return write


def _allowed(tango: Any) -> Callable[[Any, Any], bool]:
    def is_allowed(self: Any, request: Any) -> bool:
        board, _ = self.twin
        return not (board.read_only and request == tango.AttReqType.WRITE_REQ)

    return is_allowed
