"""Betatron tunes: averages of a monitor's readings, and which of two tunes is meant.

A spectrum shows a tune's distance from the nearest integer, 0 to 0.5, and not on which
side of the half-integer it is; a monitor may or may not know. The integer part is never
seen: it is taken so that the tune is nearest to one that is known, the design's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from acctwin.analysis.turns import Oscillation, is_above_half
from acctwin.names import PLANES, FloatArray, Plane

TuneMethod = Literal["monitor", "turns"]

#: Tunes on either side of the half-integer, whose distances from the known tune differ
#: by less than this, cannot be told apart.
AMBIGUOUS = 0.05
#: Phases at so many BPMs tell on which side it is.
_LEAST_BPMS = 3


@dataclass(frozen=True)
class TuneResult:
    """The tunes of the machine.

    Attributes:
        qx: Horizontal, with its integer part.
        qy: Vertical, with its integer part.
        qs: Synchrotron tune; NaN where it was not measured.
        sigma_x: Standard error of ``qx``; NaN from a single reading.
        sigma_y: Standard error of ``qy``; NaN from a single reading.
        sigma_s: Standard error of ``qs``; NaN from a single reading.
        readings: How many readings, or turns, they come from.
        method: ``"monitor"`` or ``"turns"``.
        ambiguous: Planes in which the tune may as well be on the other side of the
            half-integer.
        uid: Run that holds the readings.
    """

    qx: float
    qy: float
    qs: float
    sigma_x: float
    sigma_y: float
    sigma_s: float
    readings: int
    method: TuneMethod
    ambiguous: tuple[Plane, ...] = ()
    uid: str = ""

    @property
    def tunes(self) -> FloatArray:
        """Whole tunes in x and y, (2,)."""
        return np.array([self.qx, self.qy])

    @property
    def sigma(self) -> FloatArray:
        """Standard errors in x and y, (2,)."""
        return np.array([self.sigma_x, self.sigma_y])

    @property
    def fractional(self) -> FloatArray:
        """Tunes in x and y without their integer part, 0 to 1, (2,)."""
        return self.tunes % 1.0


@dataclass(frozen=True)
class Branch:
    """How a reading becomes a whole tune.

    Attributes:
        near: A tune in x and y that is known roughly, (2,).
        is_folded: Whether a reading is the distance from the nearest integer.
        above_half: In which planes it is known whether the fractional tune is above
            0.5; only for folded readings.
    """

    near: FloatArray
    is_folded: bool
    above_half: Mapping[Plane, bool]

    def whole(self, readings: FloatArray) -> FloatArray:
        """Return whole tunes of readings in x and y, (n, 2).

        Which side of the half-integer is decided once, by the mean of the readings.
        """
        if not self.is_folded:
            return nearest_whole(readings, self.near)
        below, above = self._distances(np.mean(readings, axis=0))
        is_above = [
            self.above_half.get(plane, bool(above[axis] < below[axis]))
            for axis, plane in enumerate(PLANES)
        ]
        return nearest_whole(np.where(is_above, -readings, readings), self.near)

    def ambiguous(self, readings: FloatArray) -> tuple[Plane, ...]:
        """Return the planes in which the side of the half-integer is not clear."""
        if not self.is_folded:
            return ()
        seen = np.mean(readings, axis=0)
        below, above = np.abs(
            nearest_whole(np.array([seen, -seen]), self.near) - self.near
        )
        return tuple(
            plane
            for axis, plane in enumerate(PLANES)
            if plane not in self.above_half
            and abs(below[axis] - above[axis]) < AMBIGUOUS
        )

    def _distances(self, seen: FloatArray) -> FloatArray:
        """Return how far the known tunes are from q, and from 1 − q, (2, 2)."""
        sides = np.array([seen, -seen])
        return np.abs(nearest_whole(sides, self.near) - self.near)


def nearest_whole(fractions: FloatArray, near: FloatArray | float) -> FloatArray:
    """Return the tunes with these fractional parts that are nearest to others.

    Args:
        fractions: Tunes without regard to their integer part, (…, 2) or any shape.
        near: The tunes that they should be near to, of a shape that goes with it.
    """
    return fractions + np.round(near - fractions)


def mean_tune(
    readings: FloatArray, synchrotron: FloatArray, branch: Branch, uid: str = ""
) -> TuneResult:
    """Average the readings of a tune monitor.

    Args:
        readings: Horizontal and vertical, (n, 2).
        synchrotron: Readings of the synchrotron tune, (n,); NaN where there is none.
        branch: How they become whole tunes.
        uid: Run that holds the readings.
    """
    whole = branch.whole(readings)
    every = np.column_stack([whole, synchrotron])
    qx, qy, qs = every.mean(axis=0)
    return TuneResult(
        float(qx),
        float(qy),
        float(qs),
        *standard_error(every).tolist(),
        readings=len(every),
        method="monitor",
        ambiguous=branch.ambiguous(readings),
        uid=uid,
    )


def standard_error(readings: FloatArray) -> FloatArray:
    """Return the standard error of the mean of each column; NaN from one reading."""
    count = len(readings)
    if count < 2:
        return np.full(readings.shape[1:], np.nan)
    return np.std(readings, axis=0, ddof=1) / np.sqrt(count)


def tune_of_oscillations(
    records: Sequence[tuple[Oscillation, Oscillation]],
    phase: FloatArray,
    branch: Branch,
    uid: str = "",
) -> TuneResult:
    """Return the tunes of one or more turn-by-turn records.

    Which side of the half-integer a tune is on is seen from the phases at the BPMs,
    where there are at least three.

    Args:
        records: Horizontal and vertical oscillation of each.
        phase: Phase advance of the design to each BPM [rad], (n_bpm, 2).
        branch: What is known of the tunes; what it says comes first.
        uid: Run that holds the records.
    """
    frequency = np.array([[one.frequency for one in record] for record in records])
    sigma = np.array([[one.sigma for one in record] for record in records])
    seen: dict[Plane, bool] = {}
    if len(phase) >= _LEAST_BPMS:
        seen = {
            plane: is_above_half(one, phase[:, axis])
            for axis, (plane, one) in enumerate(zip(PLANES, records[0], strict=True))
        }
    branch = Branch(branch.near, True, {**seen, **branch.above_half})
    qx, qy = branch.whole(frequency).mean(axis=0)
    sigma_x, sigma_y = np.sqrt(np.sum(sigma**2, axis=0)) / len(sigma)
    return TuneResult(
        float(qx),
        float(qy),
        np.nan,
        float(sigma_x),
        float(sigma_y),
        np.nan,
        readings=len(records),
        method="turns",
        ambiguous=branch.ambiguous(frequency),
        uid=uid,
    )
