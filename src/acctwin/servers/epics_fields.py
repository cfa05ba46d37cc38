"""Fills records of a running IOC with the database's own put, from one thread."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from acctwin.names import FloatArray
from acctwin.profiles.profile import Profile
from acctwin.servers import epics_db as db
from acctwin.servers.hub import Update
from acctwin.servers.records import Key, Record


class Fields:
    """The records that the server fills.

    Args:
        records: By kind and channel.
        machine: Name of the machine.
    """

    def __init__(self, records: Mapping[Key, list[Record]], machine: str) -> None:
        fields: Any = importlib.import_module("softioc.fields")
        from softioc.imports import db_put_field_process  # type: ignore

        self._put: Any = db_put_field_process
        self._double, self._string = fields.DBF_DOUBLE, fields.DBF_STRING
        self._records = {
            key: items for key, items in records.items() if not items[0].is_setpoint
        }
        self._names = {
            key: [f"{item.name}.VAL" for item in items]
            for key, items in self._records.items()
        }
        self._index = {
            key: np.array([item.index for item in items])
            for key, items in self._records.items()
        }
        self._last: dict[Key, FloatArray] = {}
        self._own = machine
        self._beam = ""

    def publish(self, update: Update) -> None:
        """Fill whatever has changed; arrays last, so that they are news of all."""
        if update.beam != self._beam:
            self._beam = update.beam
            self.put(db.own_name(self._own, "LOST"), float(bool(update.beam)))
            self.put_text(db.own_name(self._own, "BEAM"), update.beam)
        for key, values in update.values.items():
            if key in self._records and not self._records[key][0].size:
                self._fill(key, values)
        for key, values in update.values.items():
            if key in self._records and self._records[key][0].size:
                self._fill_array(key, values)

    def put(self, name: str, value: float) -> None:
        """Fill a number."""
        self._put_array(f"{name}.VAL", np.array([value], dtype=np.float64))

    def put_text(self, name: str, text: str) -> None:
        """Fill a string; what does not fit is cut."""
        self.put_texts(name, [text])

    def put_texts(self, name: str, texts: Iterable[str]) -> None:
        """Fill an array of strings."""
        cells = [text.encode()[: db.STRING - 1] for text in texts]
        buffer = np.array(cells, dtype=f"S{db.STRING}")
        address = buffer.ctypes.data
        self._put(f"{name}.VAL", self._string, address, len(buffer), True)

    def put_names(self, profile: Profile) -> None:
        """Fill the names of what arrays hold."""
        machine = profile.name
        if profile.bpms:
            names = [row.name for row in profile.bpms]
            self.put_texts(db.names_of(machine, "BPM"), names)
            self.put_texts(db.own_name(machine, "LABELS"), ["name", "x", "y"])
        if profile.supplies:
            names = [row.name for row in profile.supplies]
            self.put_texts(db.names_of(machine, "SUPPLIES"), names)

    def _fill(self, key: Key, values: FloatArray) -> None:
        """Fill the records of all devices of a kind that have changed."""
        new = np.ascontiguousarray(values[self._index[key]], dtype=np.float64)
        last = self._last.get(key)
        self._last[key] = new
        changed = range(len(new)) if last is None else np.flatnonzero(new != last)
        names, base = self._names[key], new.ctypes.data
        for i in changed:
            self._put(names[i], self._double, base + 8 * int(i), 1, True)

    def _fill_array(self, key: Key, values: FloatArray) -> None:
        last = self._last.get(key)
        is_record = key[0] == "turns"  # news also if it is like the one before
        is_known = last is not None and np.array_equal(last, values, equal_nan=True)
        if is_known and not is_record:
            return
        self._last[key] = values
        for name in self._names[key]:
            self._put_array(name, np.ascontiguousarray(values, dtype=np.float64))

    def _put_array(self, name: str, values: FloatArray) -> None:
        self._put(name, self._double, values.ctypes.data, len(values), True)
