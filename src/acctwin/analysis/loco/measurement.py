"""What ``measure_loco`` has measured, made ready for a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.orbit import NoiseResult
from acctwin.analysis.response import ResponseResult
from acctwin.errors import DataError
from acctwin.names import FloatArray

#: No BPM is better than this [m]: a simulated one without noise is taken for such.
LEAST_NOISE_M = 1e-9


@dataclass(frozen=True)
class LocoMeasurement:
    """A response with the noise of the BPMs.

    Attributes:
        response: x at all BPMs, then y, by correctors and the RF; its ``sigma`` is not
            used.
        noise: Rms noise of one reading of each row [m], (2·n_bpms,).
        readings: How many were averaged on each side of a step.
        uids: Runs that hold the readings: the noise first.
        uid: Run of ``measure_loco`` itself.
    """

    response: ResponseResult
    noise: FloatArray
    readings: int
    uids: tuple[str, ...]
    uid: str = ""

    @property
    def bpms(self) -> tuple[str, ...]:
        """Names of the BPMs."""
        labels = self.response.monitors[: len(self.response.monitors) // 2]
        return tuple(label.removesuffix(":x") for label in labels)

    def data(self, without: Sequence[str] = ()) -> LocoData:
        """Return what LOCO fits.

        Args:
            without: Names of BPMs and actuators to leave out.

        Returns:
            With the RF frequency called ``"rf"``.
        """
        response = self.response
        bpms = [i for i, name in enumerate(self.bpms) if name not in without]
        columns = [i for i, n in enumerate(response.actuators) if n not in without]
        rows = [*bpms, *(i + len(self.bpms) for i in bpms)]
        matrix = response.matrix[np.ix_(rows, columns)]
        noise = np.maximum(self.noise[rows], LEAST_NOISE_M)
        return LocoData(
            monitors=tuple(self.bpms[i] for i in bpms),
            actuators=tuple(_title(response, i) for i in columns),
            matrix=matrix,
            row_sigma=noise * np.sqrt(2 / self.readings),
            column_sigma=1 / np.abs(response.deltas[columns]),
            good=np.ones(matrix.shape, dtype=bool),
        )


def _title(response: ResponseResult, column: int) -> str:
    is_rf = response.units[column].endswith("/Hz")
    return "rf" if is_rf else response.actuators[column]


def gathered(
    noise: NoiseResult,
    responses: Sequence[ResponseResult],
    readings: int,
    uid: str = "",
) -> LocoMeasurement:
    """Put the parts of a measurement together.

    Args:
        noise: Of the BPMs.
        responses: Of some correctors each, at the same BPMs.
        readings: How many were averaged on each side of a step.
        uid: Run of the whole.

    Raises:
        DataError: The parts are not of the same BPMs, or an actuator is in two.
    """
    labels = [f"{name}:{plane}" for plane in "xy" for name in noise.names]
    for part in responses:
        if list(part.monitors) != labels:
            raise DataError(
                f"run {part.uid} has other BPMs than run {noise.uid}: BPMs were marked "
                "bad or good between them; measure the noise again, or leave it out"
            )
    actuators = tuple(name for part in responses for name in part.actuators)
    if len(set(actuators)) < len(actuators):
        raise DataError("an actuator is in two of the runs that were put together")
    whole = ResponseResult(
        matrix=np.hstack([part.matrix for part in responses]),
        sigma=np.hstack([part.sigma for part in responses]),
        monitors=tuple(labels),
        actuators=actuators,
        deltas=np.concatenate([part.deltas for part in responses]),
        units=tuple(unit for part in responses for unit in part.units),
    )
    uids = (noise.uid, *(part.uid for part in responses))
    both = np.concatenate([noise.noise_x, noise.noise_y])
    return LocoMeasurement(whole, both, readings, uids, uid)
