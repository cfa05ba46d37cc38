"""Instruments that are slower than the BPMs: current, tunes, emittances."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import BeamLost
from acctwin.names import FloatArray
from acctwin.servers.records import Key, Values

#: A computation takes at most this fraction of the engine's time.
SHARE = 0.2


@dataclass(frozen=True)
class Monitor:
    """An instrument whose readings take a computation.

    Attributes:
        keys: Kind and channel of each of its numbers.
        take: Takes a reading.
        noise: Rms noise of a reading; without any, nothing is read twice.
        period_s: Shortest time between two readings [s].
        quiet_s: It is read when nobody has set anything for this time [s] …
        overdue_s: … or when the last reading was so long ago [s].
    """

    keys: tuple[Key, ...]
    take: Callable[[], Awaitable[FloatArray]]
    noise: float
    period_s: float
    quiet_s: float
    overdue_s: float = math.inf


def tune_monitor(sim: SimMachine) -> Monitor:
    """Return the tune monitor: qx, qy, qs."""

    async def take() -> FloatArray:
        await sim.acquire_tunes()
        return (await sim.tunes())[0]

    keys = (("tune", "qx"), ("tune", "qy"), ("tune", "qs"))
    noise = sim.errors.tune_noise
    return Monitor(keys, take, noise, period_s=0.2, quiet_s=0.3, overdue_s=2.0)


def emittance_monitor(sim: SimMachine) -> Monitor:
    """Return the emittance monitor: ex, ey [m rad]."""

    async def take() -> FloatArray:
        await sim.acquire_emittances()
        return (await sim.emittances())[0]

    keys = (("emittance", "ex"), ("emittance", "ey"))
    noise = sim.errors.emittance_noise
    return Monitor(keys, take, noise, period_s=2.0, quiet_s=1.0)


def injection_monitor(sim: SimMachine) -> Monitor:
    """Return the injection monitor: the efficiency."""

    async def take() -> FloatArray:
        await sim.acquire_injection()
        return np.array([(await sim.injection())[0]])

    keys = (("injection", "efficiency"),)
    noise = sim.errors.injection_noise
    return Monitor(keys, take, noise, period_s=2.0, quiet_s=1.0)


def lifetime_monitor(sim: SimMachine) -> Monitor:
    """Return the lifetime monitor [s]."""

    async def take() -> FloatArray:
        await sim.lifetime.acquire()
        return np.array([(await sim.lifetime.read())[0]])

    keys = (("lifetime", "value"),)
    noise = sim.errors.lifetime_noise
    return Monitor(keys, take, noise, period_s=2.0, quiet_s=1.0)


class Watch:
    """Reads a monitor again whenever it would show something else.

    Args:
        monitor: What to read.
        state: Returns what the reading depends on: an orbit's version and why there
            is no beam; and how long nobody has set anything [s].
        publish: Is called with each reading; NaN when there is no beam.
    """

    def __init__(
        self,
        monitor: Monitor,
        state: Callable[[], tuple[tuple[int, str], float]],
        publish: Callable[[Values], None],
    ) -> None:
        self._monitor, self._state, self._publish = monitor, state, publish
        self._seen: tuple[int, str] | None = None
        self._read_at = time.monotonic()

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            begun = time.monotonic()
            await self._read()
            taken = time.monotonic() - begun
            await asyncio.sleep(max(self._monitor.period_s, taken / SHARE))

    async def _read(self) -> None:
        monitor = self._monitor
        state, quiet = self._state()
        is_due = time.monotonic() - self._read_at >= monitor.overdue_s
        if quiet < monitor.quiet_s and not is_due:
            return
        if state == self._seen and not monitor.noise:
            return
        values = np.full(len(monitor.keys), np.nan)
        if not state[1]:
            try:
                values = await monitor.take()
            except BeamLost:
                state = None
        self._seen, self._read_at = state, time.monotonic()
        keyed = zip(monitor.keys, values, strict=True)
        self._publish({key: np.array([value]) for key, value in keyed})
