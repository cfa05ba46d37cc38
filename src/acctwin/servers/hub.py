"""Between a control system and the simulated machine: puts come in, readings go out.

Everything here happens in one asyncio loop. Puts that come together are solved
together, and a put is over when the orbit that it made has been published, so that a
client that reads after its put sees what the put did.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import BeamLost
from acctwin.names import FloatArray
from acctwin.profiles.profile import Profile
from acctwin.servers.faults import ServedFaults
from acctwin.servers.monitors import (
    Watch,
    emittance_monitor,
    injection_monitor,
    lifetime_monitor,
    tune_monitor,
)
from acctwin.servers.records import Key, Record, Values
from acctwin.servers.serving import together
from acctwin.servers.settings import Settings

#: Every put of a client that the machine took: record, old → new.
puts = logging.getLogger("acctwin.served_puts")

#: Puts that come within this time are solved together [s].
WINDOW_S = 0.002
#: Time between two readings while the machine is left alone [s].
REFRESH_S = 0.2
#: The same while supplies are on their way [s].
MOVING_S = 0.05


@dataclass(frozen=True)
class Update:
    """What a server tells its clients.

    Attributes:
        values: By kind and channel, of all devices of the kind, in the order of the
            profile; those of instruments that see no beam are NaN.
        beam: Empty while there is a beam, else why there is none.
    """

    values: Values
    beam: str = ""


def _shown(values: FloatArray) -> str:
    """Return values for the log; arrays by their ends."""
    if len(values) == 1:
        return f"{values[0]:.9g}"
    return np.array2string(values, threshold=6, precision=9)


class Hub:
    """The simulated machine as servers see it.

    Args:
        profile: The checked profile.
        sim: The simulated machine.
        publish: Is called with everything that may have changed.

    Attributes:
        faults: What a trainer may break.
        count: How many orbits have been published.
        beam: Empty while there is a beam, else why there is none.
    """

    def __init__(
        self, profile: Profile, sim: SimMachine, publish: Callable[[Update], None]
    ) -> None:
        self.faults = ServedFaults(profile, sim)
        self.count = 0
        self._profile, self._sim, self._publish = profile, sim, publish
        self._settings = Settings(profile, sim)
        control = profile.control
        self._has_magnets = control is not None and control.has("magnet", "strength")
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._version, self.beam = 0, ""
        self._put_at = self._clock_at = time.monotonic()
        self._current_at = -math.inf
        self._was_moving = False

    def start_values(self) -> Mapping[Key, FloatArray]:
        """Return every setpoint, before anything is published."""
        return {**self._settings.read(), **self._settings.read_magnets()}

    async def put(self, record: Record, value: FloatArray) -> None:
        """Set something; return when what it does has been published.

        Args:
            record: A setpoint.
            value: One number, or one for each device if the record is an array.

        Raises:
            LimitError: The machine cannot do it; nothing is moved.
            BeamLost: There is no record of turns: there is no beam, or it did not
                survive the kick.
        """
        if record.key == ("turns", "acquire"):
            await self._acquire_turns()
            return
        old = self._held(record) if puts.isEnabledFor(logging.INFO) else value
        self._settings.put(record.key, record.index, value)
        puts.info("%s: %s → %s", record.name, _shown(old), _shown(value))
        self._put_at = time.monotonic()
        await self.refresh()

    def _held(self, record: Record) -> FloatArray:
        """Return what a setpoint is now."""
        values = self.start_values()[record.key]
        return values if record.size else values[[record.index]]

    def put_fault(self, fault: str, name: str) -> bool:
        """Put in a fault; see :meth:`ServedFaults.do`."""
        done = self.faults.do(fault, name)
        self._wanted.set()
        return done

    def drop_beam(self, dropped: bool) -> None:
        """Drop the beam and keep it out, or let it be injected again."""
        self.faults.drop_beam(dropped)
        self._wanted.set()

    async def refresh(self) -> None:
        """Wait until a new reading has been published."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wanted.set()
        await waiter

    async def run(self) -> None:
        """Publish until cancelled.

        Raises:
            EngineError: The engine of the simulated machine has failed.
        """
        monitors = [tune_monitor(self._sim)]
        if self._profile.diagnostics.emittance:
            monitors.append(emittance_monitor(self._sim))
        if self._profile.injection is not None:
            monitors.append(injection_monitor(self._sim))
        if self._profile.diagnostics.lifetime:
            monitors.append(lifetime_monitor(self._sim))
        watches = [Watch(one, self._state, self._publish_values) for one in monitors]
        await together(self._orbits(), *(watch.run() for watch in watches))

    async def _orbits(self) -> None:
        while True:
            is_asked = await self._wait()
            waiting, self._waiting = self._waiting, []
            self._let_time_pass()
            try:
                if is_asked or self._is_changing():
                    await self._read_all()
            finally:
                for waiter in waiting:
                    if not waiter.done():
                        waiter.set_result(None)

    async def _wait(self) -> bool:
        """Wait for a put and those that come with it, or for the next reading.

        Returns:
            Whether anybody asked for a reading.
        """
        period = MOVING_S if self._sim.supplies.is_moving() else REFRESH_S
        with suppress(TimeoutError):
            async with asyncio.timeout(period):
                await self._wanted.wait()
        if not self._wanted.is_set():  # a put may come just as the time is up
            return False
        while True:
            count = len(self._waiting)
            await asyncio.sleep(WINDOW_S)
            if len(self._waiting) == count:
                break
        self._wanted.clear()
        return True

    def _let_time_pass(self) -> None:
        """Keep a machine with a time of its own in step with its clients'."""
        now = time.monotonic()
        self._sim.clock.pass_over(now - self._clock_at)
        self._clock_at = now

    def _is_changing(self) -> bool:
        """Whether a new reading would differ from the last one."""
        sim = self._sim
        return (
            sim.errors.bpm_noise > 0.0
            or sim.drift.is_on
            or sim.supplies.is_moving()
            or self._was_moving
            or sim.errors.current_noise_a > 0.0
            or self._profile.simulation.lifetime_s < math.inf
        )

    async def _read_all(self) -> None:
        """Publish a reading of the BPMs, the current, and everything that is set."""
        before = self.beam
        self._was_moving = self._sim.supplies.is_moving()
        values = await self._read_orbit()
        if self.beam != before or time.monotonic() - self._current_at >= REFRESH_S:
            values |= await self._read_current()
        values |= self._settings.read()
        if self._has_magnets:
            values |= self._settings.read_magnets()
        self._publish_values(values)
        self.count += 1

    async def _read_orbit(self) -> dict[Key, FloatArray]:
        """Return the reading of the BPMs; NaN when the beam is lost."""
        position = np.full((len(self._profile.bpms), 2), np.nan)
        try:
            if self.faults.is_dropped:
                raise BeamLost("the beam was dropped on request")
            await self._sim.acquire_orbit()
            sample = await self._sim.orbit()
            position = self.faults.freeze(sample.position)
            self._version, self.beam = sample.version, ""
        except BeamLost as error:
            self.beam = str(error) or "the beam is lost"
        x, y = position[:, 0].copy(), position[:, 1].copy()
        return {("bpm", "x"): x, ("bpm", "y"): y, ("bpms", "x"): x, ("bpms", "y"): y}

    async def _read_current(self) -> dict[Key, FloatArray]:
        current = 0.0 if self.beam else (await self._sim.current())[0]
        self._current_at = time.monotonic()
        return {
            ("dcct", "current"): np.array([current]),
            ("bpms", "sum"): np.full(len(self._profile.bpms), current),
        }

    async def _acquire_turns(self) -> None:
        await self._sim.acquire_turns()
        record, _ = self._sim.turns.read()
        flat = record.reshape(-1, 2)
        x, y = flat[:, 0].copy(), flat[:, 1].copy()
        self._publish_values({("turns", "x"): x, ("turns", "y"): y})
        await self.refresh()

    def _state(self) -> tuple[tuple[int, str], float]:
        return (self._version, self.beam), time.monotonic() - self._put_at

    def _publish_values(self, values: Values) -> None:
        self._publish(Update(values, self.beam))
