"""Simulated power supplies: they ramp, lag behind, stick and trip.

In the machine's own time a move is over when it is asked for, and the time that the
ramp takes has passed. In real time a supply goes towards its setpoint at its ramp
rate, and what it delivers lags behind by a first-order time constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.backends.sim.clock import SimClock
from acctwin.errors import UnknownName
from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class Dynamics:
    """How supplies get where they are told to go.

    Attributes:
        rate: Ramp rate [unit/s], (n,); inf: jumps.
        lag_s: Time constant between the ramp and what is delivered [s].
    """

    rate: FloatArray
    lag_s: float = 0.0


class SimSupplies:
    """The setpoints of all supplies, and what they deliver.

    Args:
        names: Of the supplies.
        start: Where they are, (n,).
        dynamics: How they move.
        clock: The machine's time.
    """

    def __init__(
        self,
        names: Sequence[str],
        start: FloatArray,
        dynamics: Dynamics,
        clock: SimClock,
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
        if not self._clock.is_real_time:
            self._jump()
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
        if not self._clock.is_real_time:
            self._jump()

    def advance(self) -> None:
        """Move every supply to where it is now."""
        now = self._clock()
        step, self._time = now - self._time, now
        if step <= 0.0 or not self._clock.is_real_time:
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

    def _jump(self) -> None:
        """Be where the setpoints are, and let the time of the longest ramp pass."""
        free = self._free()
        way = np.abs(self.setpoints[free] - self._delivered[free])
        self._clock.pass_over(float(np.max(way / self._dynamics.rate[free], initial=0)))
        self._ramp[free] = self._delivered[free] = self.setpoints[free]

    def _free(self) -> np.ndarray:
        return ~(self._stuck | self._tripped)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise UnknownName("supply", name, self.names)
        return self.names.index(name)
