"""The stored beam of the simulated machine: it decays, is filled up, gets lost."""

from __future__ import annotations

import math
from collections.abc import Callable


class SimBeam:
    """A current that falls exponentially and is filled up when it is low.

    A beam that was lost is injected again as soon as the machine can hold one.

    Args:
        full_a: Current after a fill [A].
        lifetime_s: Time in which it falls to 1/e [s]; inf: it stays.
        refill_a: It is filled up when it has fallen to this [A].
        clock: Returns the machine's time [s].
    """

    def __init__(
        self,
        full_a: float,
        lifetime_s: float,
        refill_a: float,
        clock: Callable[[], float],
    ) -> None:
        self._full_a, self._lifetime_s = full_a, lifetime_s
        self._refill_a, self._clock = refill_a, clock
        self._filled_at: float | None = clock()

    @property
    def current(self) -> float:
        """Stored current [A]; 0 when the beam is lost."""
        if self._filled_at is None:
            return 0.0
        age = self._clock() - self._filled_at
        period = self._time_to_refill()
        if period < math.inf:
            age %= period
        return self._full_a * math.exp(-age / self._lifetime_s)

    def lose(self) -> None:
        """Lose the beam."""
        self._filled_at = None

    def hold(self) -> None:
        """Inject, if there is no beam: the machine can hold one."""
        if self._filled_at is None:
            self._filled_at = self._clock()

    def _time_to_refill(self) -> float:
        if not 0.0 < self._refill_a < self._full_a or math.isinf(self._lifetime_s):
            return math.inf
        return self._lifetime_s * math.log(self._full_a / self._refill_a)
