"""The simulated machine: what the supplies are set to, what the instruments see.

The physics is in an engine of its own process. This side holds the setpoints, the
calibration errors of the supplies, the BPM electronics and the noise. Setpoints
that change together reach the engine as one message, just before something is
computed from them; what has not changed is not computed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.backends.powering import Powering
from acctwin.backends.sim.beam import SimBeam
from acctwin.backends.sim.clock import SimClock
from acctwin.backends.sim.drift import Drift
from acctwin.backends.sim.lifetime import SimLifetime
from acctwin.backends.sim.signal import Changes
from acctwin.backends.sim.supplies import Dynamics, SimSupplies
from acctwin.backends.sim.turns import SimTurns
from acctwin.calibration.bpm import to_reading
from acctwin.errors import BeamLost
from acctwin.model.engine import Layout
from acctwin.model.imperfections import Errors
from acctwin.model.process import EngineProcess
from acctwin.names import FloatArray, IntArray
from acctwin.profiles.profile import Profile
from acctwin.profiles.supplies import supply_map

#: How often monitors hear of a supply that is on its way [s].
TICK_S = 0.05
#: While the machine drifts, at least this passes from one reading of the BPMs to the
#: next in the machine's own time [s].
DRIFT_STEP_S = 0.1


@dataclass(frozen=True)
class OrbitSample:
    """One reading of all BPMs.

    Attributes:
        position: x, y as the BPMs report them [m], (n, 2).
        timestamp: When it was taken [s since the epoch].
        version: State of the machine it belongs to.
    """

    position: FloatArray
    timestamp: float
    version: int


class SimMachine:
    """Supplies, instruments and beam around a physics engine.

    Args:
        engine: The machine's own engine, misalignments included.
        layout: What the engine found.
        errors: What was drawn for this machine; ideal for the design machine.
        profile: Supplies, their ramps, and how the machine behaves in time.
        seed: Seeds the noise.
    """

    def __init__(
        self,
        engine: EngineProcess,
        layout: Layout,
        errors: Errors,
        profile: Profile,
        seed: int | None,
    ) -> None:
        self.engine, self.layout, self.errors = engine, layout, errors
        self.changes = Changes()
        self.powering = Powering(layout, supply_map(profile))
        self._times = profile.simulation
        self.clock = SimClock(is_real_time=self._times.real_time)
        names, start = self.powering.names, self.powering.start
        ramps = {supply.name: supply.ramp for supply in profile.supplies}
        rate = np.array([ramps.get(name, np.inf) for name in names])
        dynamics = Dynamics(rate, self._times.lag_s)
        self.supplies = SimSupplies(names, start, dynamics, self.clock)
        self.beam = SimBeam(
            profile.beam_current_a,
            self._times.lifetime_s,
            self._times.refill_a,
            self.clock,
        )
        self._scale = np.ones(len(layout.knobs))
        self._scale[: len(errors.scale)] = errors.scale
        self.drift = Drift(len(layout.knobs), self.clock, seed)
        self._sent = layout.values.copy()
        self._version = 0
        self._stamp = time.time()
        self._sample: OrbitSample | None = None
        self._tunes: tuple[FloatArray, float, int] | None = None
        self._busy = asyncio.Lock()
        self._ticking: asyncio.Task[None] | None = None
        self._noise = np.random.default_rng([seed or 0, 0xB9A])
        self.turns = SimTurns(
            profile.diagnostics.turns, self._compute, errors, self._noise
        )
        self._emittances: tuple[FloatArray, float, int] | None = None
        self.lifetime = SimLifetime(
            self._times,
            self.beam,
            self._compute,
            self._present_version,
            errors.lifetime_noise,
            self._noise,
        )
        self._bunch = profile.injection
        self._shot: tuple[float, float, int] | None = None

    @property
    def setpoints(self) -> FloatArray:
        """Where each knob is told to be, (n_knobs,)."""
        return self.powering.strengths(self.supplies.setpoints)

    def put(self, knobs: IntArray, strengths: FloatArray) -> None:
        """Set some knobs, by index into the layout's.

        Raises:
            LimitError: The supplies cannot do it; nothing is moved.
        """
        present = self.supplies.setpoints
        self.put_supplies(*self.powering.change(present, knobs, strengths))

    def put_supplies(self, which: IntArray, values: FloatArray) -> None:
        """Set some supplies, by index into the powering's."""
        if len(self.supplies.put(which, values)):
            self._stamp = time.time()
            self._keep_telling()

    def read_setpoints(self, knobs: IntArray) -> tuple[FloatArray, float]:
        """Return where some knobs are told to be, and since when."""
        return self.setpoints[knobs], self._stamp

    def read_delivered(self, knobs: IntArray) -> tuple[FloatArray, float]:
        """Return the strengths that some knobs have, and the time."""
        delivered = self.powering.strengths(self.supplies.delivered())
        return delivered[knobs], self._now()

    def read_supplies(self, which: IntArray) -> tuple[FloatArray, float]:
        """Return what some supplies are set to, and since when."""
        return self.supplies.setpoints[which], self._stamp

    def read_supplies_delivered(self, which: IntArray) -> tuple[FloatArray, float]:
        """Return what some supplies deliver, and the time."""
        return self.supplies.delivered()[which], self._now()

    async def orbit(self) -> OrbitSample:
        """Return the present reading of the BPMs; a new one if anything moved."""
        async with self._busy:
            self.send_pending()
            if self._sample is None or self._sample.version != self._version:
                self._sample = await self._take_orbit()
            return self._sample

    async def acquire_orbit(self) -> None:
        """Wait for the next reading of the BPMs."""
        await self.clock.next_update(self._times.bpm_update_s)
        if self.drift.is_on and self._times.bpm_update_s == 0.0:
            self.clock.pass_over(DRIFT_STEP_S)
        self.drift.advance()
        async with self._busy:
            self._sample = await self._take_orbit()

    async def tunes(self) -> tuple[FloatArray, float]:
        """Return the tune monitor's fractional qx, qy, qs, and the time."""
        self.send_pending()
        if self._tunes is None or self._tunes[2] != self._version:
            self._tunes = await self._take_tunes()
        return self._tunes[0], self._tunes[1]

    async def acquire_tunes(self) -> None:
        """Wait for the next reading of the tune monitor."""
        await self.clock.next_update(self._times.tune_update_s)
        self.drift.advance()
        self._tunes = await self._take_tunes()

    async def current(self) -> tuple[float, float]:
        """Return the beam current [A], 0 when the beam is lost, and the time."""
        try:
            await self._compute("orbit")
        except BeamLost:
            return 0.0, self.clock.stamp()
        noise = self._noise.normal(0.0, self.errors.current_noise_a)
        return self.beam.current + float(noise), self.clock.stamp()

    async def acquire_current(self) -> None:
        """Wait for the next reading of the current monitor."""
        with contextlib.suppress(BeamLost):  # then the reading is 0
            await self.lifetime.settle()
        await self.clock.next_update(self._times.current_update_s)

    async def emittances(self) -> tuple[FloatArray, float]:
        """Return the emittance monitor's ex, ey [m rad], and the time."""
        self.send_pending()
        if self._emittances is None or self._emittances[2] != self._version:
            self._emittances = await self._take_emittances()
        return self._emittances[0], self._emittances[1]

    async def acquire_emittances(self) -> None:
        """Take the next reading of the emittance monitor."""
        self.drift.advance()
        self._emittances = await self._take_emittances()

    async def injection(self) -> tuple[float, float]:
        """Return the injection efficiency, 0 to 1, and the time."""
        self.send_pending()
        if self._shot is None or self._shot[2] != self._version:
            self._shot = await self._inject()
        return self._shot[0], self._shot[1]

    async def acquire_injection(self) -> None:
        """Inject a shot."""
        self.drift.advance()
        self._shot = await self._inject()

    async def _inject(self) -> tuple[float, float, int]:
        try:
            found, version = await self._compute("injection_efficiency", self._bunch)
        except BeamLost:  # nothing can be stored
            found, version = 0.0, self._version
        noise = float(self._noise.normal(0.0, self.errors.injection_noise))
        return min(max(found + noise, 0.0), 1.0), time.time(), version

    async def acquire_turns(self) -> None:
        """Fire the pinger and take a turn-by-turn record."""
        await self.clock.next_update(self._times.bpm_update_s)
        self.drift.advance()
        await self.turns.acquire()

    async def _take_emittances(self) -> tuple[FloatArray, float, int]:
        found, version = await self._compute("equilibrium")
        noise = self._noise.normal(0.0, self.errors.emittance_noise, 2)
        return found.emittances * (1.0 + noise), time.time(), version

    async def _take_tunes(self) -> tuple[FloatArray, float, int]:
        tunes, version = await self._compute("tunes")
        noise = self._noise.normal(0.0, self.errors.tune_noise, 3)
        return np.mod(tunes + noise, 1.0), time.time(), version

    async def _take_orbit(self) -> OrbitSample:
        true, version = await self._compute("orbit")
        errors = self.errors
        seen = to_reading(true, errors.bpm_gain, errors.bpm_roll, errors.bpm_offset)
        if errors.bpm_noise:
            seen = seen + self._noise.normal(0.0, errors.bpm_noise, seen.shape)
        return OrbitSample(seen, time.time(), version)

    def send_pending(self) -> None:
        """Tell the engine which strengths have changed since it last computed."""
        delivered = self.powering.strengths(self.supplies.delivered())
        true = delivered * self._scale + self.drift.kicks
        moved = np.flatnonzero(true != self._sent)
        if len(moved):
            self._sent[moved] = true[moved]
            self._version += 1
            self.engine.submit("set", moved, true[moved])

    def _present_version(self) -> int:
        self.send_pending()
        return self._version

    async def _compute(self, product: str, *args: Any) -> tuple[Any, int]:
        """Return a product of the engine, and the version of the machine it is of."""
        self.send_pending()
        version = self._version
        try:
            found = await asyncio.wrap_future(self.engine.submit(product, *args))
        except BeamLost:
            self.beam.lose()
            raise
        self.beam.hold()
        return found, version

    def _now(self) -> float:
        return time.time() if self.supplies.is_moving() else self._stamp

    def _keep_telling(self) -> None:
        """Tell monitors of the supplies' way, as long as there is one."""
        if self.supplies.is_moving() and (
            self._ticking is None or self._ticking.done()
        ):
            self._ticking = asyncio.get_running_loop().create_task(self._tick())

    async def _tick(self) -> None:
        while self.supplies.is_moving():
            await asyncio.sleep(TICK_S)
            self.changes.notify()
