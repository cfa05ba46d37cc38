"""The knobs of an orbit correction: correctors or their supplies, and the RF."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from acctwin.devices.family import SettableFamily
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.names import HCM, VCM, FloatArray, IntArray
from acctwin.plans.actuators import Units, with_values
from acctwin.plans.guards import require
from acctwin.plans.targets import good_part


@dataclass(frozen=True)
class Knobs:
    """Members of some devices that are set together, in a fixed order.

    Attributes:
        devices: Families, and the RF, that are set.
        names: Name of each knob, (n,).
        places: Index of each knob in its device's array, by device.
    """

    devices: tuple[Any, ...]
    names: tuple[str, ...]
    places: tuple[IntArray, ...]

    def __len__(self) -> int:
        return len(self.names)

    def moves(
        self, start: Sequence[Any], steps: FloatArray
    ) -> list[tuple[Any, float | FloatArray]]:
        """Return where each device goes when steps are added to its start.

        Args:
            start: Setpoint of each device.
            steps: Of each knob, (n,).
        """
        ends = np.cumsum([len(places) for places in self.places])
        values = np.split(self.setpoints(start, steps), ends[:-1])
        return [
            (device, with_values(before, places.tolist(), share))
            for device, before, places, share in zip(
                self.devices, start, self.places, values, strict=True
            )
        ]

    def setpoints(self, start: Sequence[Any], steps: FloatArray) -> FloatArray:
        """Return where each knob goes when steps are added to its start, (n,)."""
        before = [
            np.atleast_1d(np.asarray(value, dtype=np.float64))[places]
            for value, places in zip(start, self.places, strict=True)
        ]
        return np.concatenate(before) + steps

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper limit of each knob, (n,) each."""
        pairs = list(zip(self.devices, self.places, strict=True))
        low = [device.bounds.low[places] for device, places in pairs]
        high = [device.bounds.high[places] for device, places in pairs]
        return np.concatenate(low), np.concatenate(high)

    def deltas(self) -> FloatArray:
        """Return the step of each knob in a response measurement, (n,)."""
        found: list[float] = []
        for device, places in zip(self.devices, self.places, strict=True):
            is_family = isinstance(device, SettableFamily)
            members = tuple(device) if is_family else (device,)
            found += [members[i].delta for i in places]
        return np.array(found)

    def only(self, names: Container[str]) -> Knobs:
        """Return some of them, by name."""
        ends = np.cumsum([len(places) for places in self.places])
        kept = [name in names for name in self.names]
        places = [
            mine[chosen]
            for mine, chosen in zip(
                self.places, np.split(np.array(kept), ends[:-1]), strict=True
            )
        ]
        used = [i for i, mine in enumerate(places) if len(mine)]
        return Knobs(
            tuple(self.devices[i] for i in used),
            tuple(name for name in self.names if name in names),
            tuple(places[i] for i in used),
        )

    def with_rf(self, machine: Machine) -> Knobs:
        """Return these and the RF, which is called ``rf`` here.

        Raises:
            PlanError: The machine has none.
        """
        require(machine, ["rf"], "the RF cannot be a knob")
        return Knobs(
            (*self.devices, machine.rf),
            (*self.names, "rf"),
            (*self.places, np.array([0])),
        )


def correctors(
    machine: Machine,
    units: Units,
    is_used: Callable[[str], bool],
    families: Sequence[str] = (HCM, VCM),
) -> Knobs:
    """Return the good correctors of a machine, or the supplies behind them.

    Args:
        machine: The machine.
        units: ``"physics"``: correctors; ``"hardware"``: their supplies, each once.
        is_used: Tells which of them, by name.
        families: Of correctors.

    Raises:
        PlanError: A corrector has no supply.
    """
    devices: list[Any] = []
    names: list[str] = []
    places: list[IntArray] = []
    for name in families:
        if not machine.has(name):
            continue
        for part in good_part(getattr(machine, name), units):
            chosen = cast(Selection, part).good()
            mine = {
                label: index
                for label, index in zip(chosen.names, chosen.indices, strict=True)
                if label not in names and is_used(label)
            }
            if mine:
                devices.append(chosen.family)
                names += mine
                places.append(np.array(list(mine.values()), dtype=np.int64))
    return Knobs(tuple(devices), tuple(names), tuple(places))
