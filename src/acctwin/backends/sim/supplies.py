"""Simulated power supplies: they ramp, lag behind, stick and trip.

In simulated time a move is over when it is asked for. In wall-clock time a supply
goes towards its setpoint at its ramp rate, and what it delivers lags behind by a
first-order time constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.errors import UnknownName
from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class Dynamics:
    """How supplies get where they are told to go.

    Attributes:
        rate: Ramp rate [unit/s], (n,); inf: jumps.
        lag_s: Time constant between the ramp and what is delivered [s].
        is_real_time: False: every move is over at once.
    """

    rate: FloatArray
    lag_s: float = 0.0
    is_real_time: bool = False


class SimSupplies:
    """The setpoints of all supplies, and what they deliver.

    Args:
        names: Of the supplies.
        start: Where they are, (n,).
        dynamics: How they move.
        clock: Returns the time [s].
    """

    def __init__(
        self,
        names: Sequence[str],
        start: FloatArray,
        dynamics: Dynamics,
        clock: Callable[[], float],
    ) -> None:
        self.names = tuple(names)
        self.setpoints = start.copy()
        self._dynamics, self._clock = dynamics, clock
        self._ramp, self._delivered = start.copy(), start.copy()
        self._stuck = np.zeros(len(start), dtype=bool)
        self._tripped = np.zeros(len(start), dtype=bool)
        self._time = clock()

    def put(self, which: IntArray, values: FloatArray) -> IntArray:
        """Set some supplies; return those whose setpoint changed."""
        self.advance()
        moved = which[self.setpoints[which] != values]
        self.setpoints[which] = values
        if not self._dynamics.is_real_time:
            self._arrive(self._free())
        return moved

    def delivered(self) -> FloatArray:
        """Return what the supplies deliver now, (n,)."""
        self.advance()
        return self._delivered

    def is_moving(self) -> bool:
        """Whether any supply is still on its way."""
        self.advance()
        free = self._free()
        return bool(np.any(self._delivered[free] != self.setpoints[free]))

    def stick(self, name: str) -> None:
        """Let a supply take setpoints and stay where it is."""
        self.advance()
        self._stuck[self._index(name)] = True

    def trip(self, name: str) -> None:
        """Switch a supply off: it delivers nothing, whatever it is told."""
        self.advance()
        index = self._index(name)
        self._tripped[index] = True
        self._ramp[index] = self._delivered[index] = 0.0

    def repair(self, name: str) -> None:
        """Let a supply work again; it goes to its setpoint."""
        self.advance()
        index = self._index(name)
        self._stuck[index] = self._tripped[index] = False
        if not self._dynamics.is_real_time:
            self._arrive(self._free())

    def advance(self) -> None:
        """Move every supply to where it is now."""
        now = self._clock()
        step, self._time = now - self._time, now
        if step <= 0.0 or not self._dynamics.is_real_time:
            return
        free = self._free()
        reach = self._dynamics.rate[free] * step
        way = self.setpoints[free] - self._ramp[free]
        self._ramp[free] += np.clip(way, -reach, reach)
        if self._dynamics.lag_s == 0.0:
            self._delivered[free] = self._ramp[free]
            return
        left = np.exp(-step / self._dynamics.lag_s)
        behind = (self._delivered[free] - self._ramp[free]) * left
        # A lag never ends; below a rounding error of the setpoint it has.
        gone = np.abs(behind) < 1e-9 * np.maximum(np.abs(self.setpoints[free]), 1e-9)
        self._delivered[free] = self._ramp[free] + np.where(gone, 0.0, behind)

    def _arrive(self, which: np.ndarray) -> None:
        self._ramp[which] = self._delivered[which] = self.setpoints[which]

    def _free(self) -> np.ndarray:
        return ~(self._stuck | self._tripped)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise UnknownName("supply", name, self.names)
        return self.names.index(name)
