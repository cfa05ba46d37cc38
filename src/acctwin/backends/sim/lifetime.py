"""The lifetime of the simulated machine's beam, which depends on the machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from acctwin.backends.sim.beam import SimBeam
from acctwin.backends.sim.turns import Compute
from acctwin.profiles.profile import Simulation


class SimLifetime:
    """The beam's lifetime: what does not depend on the machine, and Touschek's.

    Args:
        how: The first, and how the second is found.
        beam: The beam that decays with it.
        compute: Asks the engine.
        version: Returns the version of the machine as it is now.
        noise: Relative rms noise of a reading.
        random: Where noise is drawn.
    """

    def __init__(
        self,
        how: Simulation,
        beam: SimBeam,
        compute: Compute,
        version: Callable[[], int],
        noise: float,
        random: np.random.Generator,
    ) -> None:
        self._how, self._beam, self._compute = how, beam, compute
        self._version, self._noise, self._random = version, noise, random
        self._sample: tuple[float, float, int] | None = None

    async def read(self) -> tuple[float, float]:
        """Return the lifetime monitor's reading [s], and the time.

        Raises:
            BeamLost: There is no beam.
        """
        sample = self._sample
        if sample is None or sample[2] != self._version():
            sample = await self._take()
        return sample[0], sample[1]

    async def acquire(self) -> None:
        """Take the next reading of the lifetime monitor."""
        await self._take()

    async def _take(self) -> tuple[float, float, int]:
        version = await self.settle()
        factor = 1.0 + float(self._random.normal(0.0, self._noise))
        self._sample = float(self._beam.lifetime_s * factor), time.time(), version
        return self._sample

    async def settle(self) -> int:
        """Have the beam decay as the machine now is; return the machine's version.

        The Touschek lifetime is that of the present current: it goes with 1 / current.
        """
        rate, touschek = 1.0 / self._how.lifetime_s, self._how.touschek
        if touschek is None:
            return self._version()
        full = self._beam.full_a
        found, version = await self._compute(
            "touschek_lifetime", full / touschek.bunches, touschek
        )
        rate += self._beam.current / full / found
        self._beam.set_lifetime(1.0 / rate if rate > 0.0 else math.inf)
        return version
