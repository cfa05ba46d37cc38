"""Between a client's values and the simulated machine's supplies, RF and pinger."""

from __future__ import annotations

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import LimitError
from acctwin.names import FloatArray
from acctwin.profiles.profile import Profile
from acctwin.servers.records import Key, Values

_PINGERS = ("pinger_x", "pinger_y")


class Settings:
    """All that can be set on a simulated machine, and what it is.

    Args:
        profile: The checked profile.
        sim: The simulated machine.
    """

    def __init__(self, profile: Profile, sim: SimMachine) -> None:
        self._sim = sim
        self._supplies = np.arange(sim.powering.count)
        self._magnets = np.arange(len(profile.magnets))
        names = sim.powering.names
        rf = [names.index("rf")] if profile.rf is not None else []
        self._rf = np.array(rf, dtype=np.int64)
        self._pingers = [
            plane
            for plane, axis in enumerate("xy")
            if getattr(profile.pinger, axis, None) is not None
        ]

    def put(self, key: Key, index: int, value: FloatArray) -> None:
        """Set one device, or all of a kind.

        Args:
            key: Kind and channel.
            index: The device's place among those of its kind.
            value: One number; one for each device for a kind that is an array.

        Raises:
            LimitError: The simulated machine cannot do it; nothing is moved.
        """
        sim = self._sim
        kind, channel = key
        if kind == "supply":
            sim.put_supplies(self._supplies[[index]], value)
        elif kind == "supplies":
            self._put_all(value)
        elif kind == "magnet":
            sim.put(self._magnets[[index]], value)
        elif kind == "rf":
            sim.put_supplies(self._rf, value)
        elif kind in _PINGERS:
            sim.turns.put_kick(_PINGERS.index(kind), float(value[0]))
        elif channel == "count":
            sim.turns.put_count(float(value[0]))

    def read(self) -> Values:
        """Return every setpoint and readback, by kind and channel."""
        sim, n = self._sim, len(self._supplies)
        wanted, seen = sim.supplies.setpoints, sim.supplies.delivered()
        found: dict[Key, FloatArray] = {
            ("supply", "current"): wanted[:n].copy(),
            ("supply", "readback"): seen[:n].copy(),
            ("supply", "moving"): (wanted[:n] != seen[:n]).astype(float),
            ("rf", "frequency"): wanted[self._rf],
            ("rf", "readback"): seen[self._rf],
            ("turns", "count"): np.array([float(sim.turns.count)]),
        }
        found["supplies", "current"] = found["supply", "current"]
        found["supplies", "readback"] = found["supply", "readback"]
        for plane in self._pingers:
            kick = sim.turns.kick[[plane]]
            found[_PINGERS[plane], "kick"] = kick
            found[_PINGERS[plane], "readback"] = kick
        return found

    def read_magnets(self) -> Values:
        """Return the strengths of all magnets: what they are set to, and have."""
        sim, n = self._sim, len(self._magnets)
        delivered = sim.powering.strengths(sim.supplies.delivered())
        return {
            ("magnet", "strength"): sim.setpoints[:n].copy(),
            ("magnet", "readback"): delivered[:n].copy(),
        }

    def _put_all(self, values: FloatArray) -> None:
        if values.shape != self._supplies.shape:
            raise LimitError(
                f"supplies: {len(values)} values found, wanted {len(self._supplies)}: "
                "one for each supply"
            )
        low, high = self._limits()
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if len(wrong):
            i = wrong[0]
            raise LimitError(
                f"{self._sim.powering.names[i]}: {values[i]:g} A found, wanted "
                f"{low[i]:g} to {high[i]:g}; nothing was moved"
            )
        self._sim.put_supplies(self._supplies, values)

    def _limits(self) -> tuple[FloatArray, FloatArray]:
        known = self._sim.powering.map
        if known is None:
            return np.zeros(0), np.zeros(0)
        return known.low, known.high
