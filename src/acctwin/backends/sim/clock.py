"""The time of the simulated machine: the clock on the wall, or its own."""

from __future__ import annotations

import asyncio
import time


class SimClock:
    """Seconds that pass for supplies, monitors and beam.

    Args:
        is_real_time: True: as on the wall. False: only what :meth:`sleep` lets pass,
            at once.
    """

    def __init__(self, *, is_real_time: bool) -> None:
        self.is_real_time = is_real_time
        self._passed, self._epoch = 0.0, time.time()

    def __call__(self) -> float:
        """Return the time [s]."""
        return time.monotonic() if self.is_real_time else self._passed

    def stamp(self) -> float:
        """Return the machine's own time as a time stamp [s since the epoch].

        Not in real time, it starts with the wall's and goes its own way from there.
        """
        return time.time() if self.is_real_time else self._epoch + self._passed

    def pass_over(self, seconds: float) -> None:
        """Let the machine's own time pass; the clock on the wall goes by itself."""
        if not self.is_real_time:
            self._passed += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait for some of the machine's time."""
        if self.is_real_time:
            await asyncio.sleep(seconds)
        else:
            self._passed += seconds

    async def next_update(self, period: float) -> None:
        """Wait for the next tick of something that updates every ``period`` [s]."""
        if period > 0.0:
            await self.sleep(period - self() % period)
