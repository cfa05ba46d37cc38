"""What can be observed of a machine, by name: single numbers of its monitors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.devices.ring import Machine
from acctwin.names import BPMS, BoolArray
from acctwin.plans.stubs import Reading

#: Instruments whose readings are numbers.
MONITORS = (BPMS, "tune", "emittance", "dcct", "injection", "lifetime")


@dataclass(frozen=True)
class Observable:
    """A number.

    Attributes:
        name: Such as ``"emittance:ey"``, ``"C01/BPM1:x"`` or ``"bpms:rms_x"``.
        unit: Its unit.
        device: What is read for it.
        of: Returns it from the readings; pure.
    """

    name: str
    unit: str
    device: Any
    of: Callable[[Reading], float]


def observables_of(machine: Machine) -> dict[str, Observable]:
    """Return all that can be observed, by name; of BPMs the good ones."""
    found = dict[str, Observable]()
    for monitor in (machine[name] for name in MONITORS if machine.has(name)):
        for column in monitor.columns():
            is_many = len(column.names) > 1
            if is_many:
                rms = _rms(column.key, column.good)
                name = f"{monitor.name}:rms_{column.suffix}"
                found[name] = Observable(name, column.units, monitor, rms)
            for place in np.flatnonzero(column.good).tolist():
                name = f"{column.names[place]}:{column.suffix}"
                pick = _one(column.key, place if is_many else None)
                found[name] = Observable(name, column.units, monitor, pick)
    return found


def _rms(key: str, good: BoolArray) -> Callable[[Reading], float]:
    def rms(readings: Reading) -> float:
        return float(np.sqrt(np.mean(np.square(np.asarray(readings[key])[good]))))

    return rms


def _one(key: str, place: int | None) -> Callable[[Reading], float]:
    def one(readings: Reading) -> float:
        value = readings[key]
        return float(value if place is None else value[place])

    return one
