"""The simulated machine: what the supplies are set to, what the instruments see.

The physics is in an engine of its own process. This side holds the setpoints, the
calibration errors of the supplies, the BPM electronics and the noise. Setpoints
that change together reach the engine as one message, just before something is
computed from them; what has not changed is not computed again.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.backends.sim.signal import Changes
from acctwin.calibration.bpm import to_reading
from acctwin.errors import BeamLost
from acctwin.model.engine import Layout
from acctwin.model.imperfections import Errors
from acctwin.model.process import EngineProcess
from acctwin.names import FloatArray


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
        beam_current_a: Current while the beam is stored [A].
        seed: Seeds the noise.
    """

    def __init__(
        self,
        engine: EngineProcess,
        layout: Layout,
        errors: Errors,
        beam_current_a: float,
        seed: int | None,
    ) -> None:
        self.engine, self.layout, self.errors = engine, layout, errors
        self.changes = Changes()
        self.setpoints = layout.values.copy()
        self._scale = np.ones(len(layout.knobs))
        self._scale[: len(errors.scale)] = errors.scale
        self._pending = np.flatnonzero(self._scale != 1.0)
        self._beam_current_a = beam_current_a
        self._version = 0
        self._stamp = time.time()
        self._sample: OrbitSample | None = None
        self._tunes: tuple[FloatArray, float, int] | None = None
        self._busy = asyncio.Lock()
        self._noise = np.random.default_rng([seed or 0, 0xB9A])

    def put(self, knobs: np.ndarray, values: FloatArray) -> None:
        """Set some supplies, by index into the layout's knobs."""
        moved = knobs[self.setpoints[knobs] != values]
        self.setpoints[knobs] = values
        if len(moved):
            self._pending = np.union1d(self._pending, moved)
            self._version += 1
            self._stamp = time.time()

    def read_setpoints(self, knobs: np.ndarray) -> tuple[FloatArray, float]:
        """Return what some supplies are set to, and since when."""
        return self.setpoints[knobs], self._stamp

    async def orbit(self) -> OrbitSample:
        """Return the present reading of the BPMs; a new one if anything moved."""
        async with self._busy:
            if self._sample is None or self._sample.version != self._version:
                self._sample = await self._take_orbit()
            return self._sample

    async def acquire_orbit(self) -> None:
        """Take a fresh reading of the BPMs."""
        async with self._busy:
            self._sample = await self._take_orbit()

    async def tunes(self) -> tuple[FloatArray, float]:
        """Return the tune monitor's fractional qx, qy, qs, and the time."""
        if self._tunes is None or self._tunes[2] != self._version:
            await self.acquire_tunes()
        if self._tunes is None:  # pragma: no cover - acquire_tunes has set it
            raise BeamLost("no tunes")
        return self._tunes[0], self._tunes[1]

    async def acquire_tunes(self) -> None:
        """Take fresh tunes."""
        version = self._version
        tunes = await self._compute("tunes")
        noise = self._noise.normal(0.0, self.errors.tune_noise, 3)
        self._tunes = (np.mod(tunes + noise, 1.0), time.time(), version)

    async def current(self) -> tuple[float, float]:
        """Return the beam current [A], 0 when the beam is lost, and the time."""
        try:
            await self._compute("orbit")
        except BeamLost:
            return 0.0, time.time()
        noise = self._noise.normal(0.0, self.errors.current_noise_a)
        return self._beam_current_a + float(noise), time.time()

    async def _take_orbit(self) -> OrbitSample:
        version = self._version
        true = await self._compute("orbit")
        errors = self.errors
        seen = to_reading(true, errors.bpm_gain, errors.bpm_roll, errors.bpm_offset)
        if errors.bpm_noise:
            seen = seen + self._noise.normal(0.0, errors.bpm_noise, seen.shape)
        return OrbitSample(seen, time.time(), version)

    def send_pending(self) -> None:
        """Tell the engine what has been set since it last computed something."""
        if len(self._pending):
            knobs, self._pending = self._pending, np.array([], dtype=np.int64)
            self.engine.submit("set", knobs, self.setpoints[knobs] * self._scale[knobs])

    async def _compute(self, product: str) -> Any:
        self.send_pending()
        return await asyncio.wrap_future(self.engine.submit(product))
