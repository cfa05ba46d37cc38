"""Slow drift of the simulated machine: ground motion, temperature, as small kicks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from acctwin.errors import LimitError
from acctwin.names import FloatArray, IntArray


class Drift:
    """Kicks that wander at random, which no readback shows.

    Each is a random walk in the machine's own time: after a time T its standard
    deviation is rate·√T.

    Args:
        count: How many knobs there are.
        clock: Returns the machine's time [s].
        seed: The same seed gives the same walk for the same times.

    Attributes:
        kicks: What has come together so far, one for each knob [rad], (count,).
    """

    def __init__(
        self, count: int, clock: Callable[[], float], seed: int | None
    ) -> None:
        self.kicks: FloatArray = np.zeros(count)
        self._clock, self._seed = clock, seed or 0
        self._random = np.random.default_rng([self._seed, 0xD21F7])
        self._knobs: IntArray = np.array([], dtype=np.int64)
        self._rate, self._time = 0.0, clock()

    @property
    def is_on(self) -> bool:
        """Whether anything drifts."""
        return self._rate > 0.0

    def start(self, rate: float, knobs: IntArray) -> None:
        """Let some knobs drift from now on; what has come together stays.

        Args:
            rate: Standard deviation after one second [rad/√s]; 0 stops the drift.
            knobs: Which ones, by index.

        Raises:
            LimitError: The rate is negative or not finite.
        """
        if not (math.isfinite(rate) and rate >= 0.0):
            raise LimitError(f"drift: rate {rate!r} rad/√s found, wanted 0 or more")
        self.advance()
        self._rate, self._knobs = rate, knobs

    def advance(self) -> None:
        """Let the kicks wander to where they are now."""
        now = self._clock()
        passed, self._time = now - self._time, now
        if self.is_on and passed > 0.0:
            step = self._rate * math.sqrt(passed)
            self.kicks[self._knobs] += self._random.normal(0.0, step, len(self._knobs))
