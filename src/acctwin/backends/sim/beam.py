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

    Attributes:
        full_a: Current after a fill [A].
        lifetime_s: Time in which it now falls to 1/e [s].
    """

    def __init__(
        self,
        full_a: float,
        lifetime_s: float,
        refill_a: float,
        clock: Callable[[], float],
    ) -> None:
        self.full_a, self.lifetime_s = full_a, lifetime_s
        self._refill_a, self._clock = refill_a, clock
        #: What there was, and when; None: there is no beam.
        self._was: tuple[float, float] | None = (full_a, clock())

    @property
    def current(self) -> float:
        """Stored current [A]; 0 when the beam is lost."""
        if self._was is None:
            return 0.0
        level, since = self._was
        age = self._clock() - since
        first = self._time_to_refill(level)
        if age >= first:
            level, age = self.full_a, (age - first) % self._time_to_refill(self.full_a)
        return level * math.exp(-age / self.lifetime_s)

    def set_lifetime(self, lifetime_s: float) -> None:
        """Have it fall faster or slower from now on."""
        if self._was is not None:
            self._was = self.current, self._clock()
        self.lifetime_s = lifetime_s

    def lose(self) -> None:
        """Lose the beam."""
        self._was = None

    def hold(self) -> None:
        """Inject, if there is no beam: the machine can hold one."""
        if self._was is None:
            self._was = self.full_a, self._clock()

    def _time_to_refill(self, level: float) -> float:
        if not 0.0 < self._refill_a < self.full_a or math.isinf(self.lifetime_s):
            return math.inf
        return self.lifetime_s * max(0.0, math.log(level / self._refill_a))
