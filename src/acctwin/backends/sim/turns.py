"""Turn-by-turn records of the simulated machine: the pinger, and the BPMs after it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from acctwin.calibration.bpm import to_reading
from acctwin.errors import DeviceError, LimitError
from acctwin.model.imperfections import Errors
from acctwin.names import FloatArray

#: Asks the engine for a product with arguments; also gives the machine's version.
Compute = Callable[..., Awaitable[tuple[Any, int]]]


class SimTurns:
    """The pinger's amplitudes, and the last record of the BPMs.

    Args:
        longest: How many turns the BPMs can record.
        compute: Asks the engine.
        errors: Of the BPMs; each turn has its own noise.
        noise: Where noise is drawn.

    Attributes:
        kick: What the pinger is set to, horizontal and vertical [rad], (2,).
        kick_stamp: Since when [s since the epoch].
        count: How many turns the next record has.
    """

    def __init__(
        self,
        longest: int,
        compute: Compute,
        errors: Errors,
        noise: np.random.Generator,
    ) -> None:
        self.longest, self.count = longest, longest
        self.kick, self.kick_stamp = np.zeros(2), time.time()
        self._compute, self._errors, self._noise = compute, errors, noise
        self._record: tuple[FloatArray, float] | None = None

    def put_kick(self, plane: int, kick: float) -> None:
        """Charge the pinger in one plane [rad]."""
        self.kick[plane], self.kick_stamp = kick, time.time()

    def put_count(self, count: float) -> None:
        """Say how many turns the next record has.

        Raises:
            LimitError: Not a whole number of turns that the BPMs can record.
        """
        if count != int(count) or not 1 <= count <= self.longest:
            raise LimitError(
                f"turns: count {count!r} found, wanted a whole number from 1 to "
                f"{self.longest}"
            )
        self.count = int(count)

    async def acquire(self) -> None:
        """Fire the pinger and record.

        Raises:
            BeamLost: There is no beam, or it does not survive the kick; there is no
                record then.
        """
        self._record = None
        kick = (float(self.kick[0]), float(self.kick[1]))
        true, _ = await self._compute("turn_by_turn", self.count, kick)
        errors = self._errors
        seen = to_reading(true, errors.bpm_gain, errors.bpm_roll, errors.bpm_offset)
        if errors.bpm_noise_turn:
            seen = seen + self._noise.normal(0.0, errors.bpm_noise_turn, seen.shape)
        self._record = seen, time.time()

    def read(self) -> tuple[FloatArray, float]:
        """Return the last record [m], (n_turns, n_bpms, 2), and when it was taken.

        Raises:
            DeviceError: There is none yet.
        """
        if self._record is None:
            raise DeviceError("turns: there is no record yet; trigger it first")
        return self._record
