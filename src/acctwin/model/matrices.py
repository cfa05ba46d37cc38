"""All linear maps of a lattice from a single turn of a few particles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from acctwin.model.turns import Tracker
from acctwin.names import FloatArray

#: Full widths of the differences, as in pyAT.
STEP_XY, STEP_DP = 3e-8, 3e-6


@dataclass(frozen=True)
class TurnMap:
    """The turn that starts at some point, and the maps linearised about it.

    In 4D (no radiation, fixed energy) n = 4, in 6D n = 6.

    Attributes:
        start: Coordinates at the beginning of the turn, (6,).
        orbit: Coordinates at every element boundary, (n_elements + 1, 6).
        transfer: From the beginning to every boundary, (n_elements + 1, n, n).
        momentum: d(x, px, y, py)/dδ at every boundary for a particle that starts
            with nothing but δ, (n_elements + 1, 4).
        path: d(path length of the turn)/d(x, px, y, py, δ at the start), (5,).
    """

    start: FloatArray
    orbit: FloatArray
    transfer: FloatArray
    momentum: FloatArray
    path: FloatArray

    @property
    def end(self) -> FloatArray:
        """Coordinates at the end of the turn, (6,)."""
        return self.orbit[-1]

    @property
    def matrix(self) -> FloatArray:
        """One-turn matrix, (n, n)."""
        return self.transfer[-1]

    @property
    def dimensions(self) -> int:
        """4 or 6."""
        return self.transfer.shape[1]

    @cached_property
    def closing(self) -> FloatArray:
        """(M − 1)⁻¹, (n, n): from a gap in the turn to the step that closes it.

        Not finite where there is none: a tune is an integer.
        """
        try:
            inverse = np.linalg.inv(self.matrix - np.eye(self.dimensions))
        except np.linalg.LinAlgError:
            return np.full_like(self.matrix, np.inf)
        return np.asarray(inverse, dtype=np.float64)


def turn_map(tracker: Tracker, start: FloatArray, dimensions: int) -> TurnMap | None:
    """Track one turn of 10 (4D) or 12 (6D) particles, a pair for each coordinate.

    The particle in the middle is not tracked: it is the mean of the pair that differs
    in x, to second order in a step of 15 nm.

    Args:
        tracker: Of the lattice.
        start: Coordinates at the beginning, (6,).
        dimensions: 4 or 6.

    Returns:
        The maps, or None when a particle is lost.
    """
    columns = 5 if dimensions == 4 else 6
    steps = np.array([STEP_XY] * 4 + [STEP_DP] * 2)[:columns]
    beam = np.empty((6, 2 * columns), order="F")
    beam[:] = start[:, None]
    which = np.arange(columns)
    beam[which, which] += 0.5 * steps
    beam[which, which + columns] -= 0.5 * steps
    seen = tracker.turn(beam, every_place(tracker))
    if not np.all(np.isfinite(beam)):
        return None
    at_places = np.moveaxis(seen, 2, 0)
    plus, minus = at_places[:, :, :columns], at_places[:, :, columns:]
    slopes = (plus - minus) / steps
    return TurnMap(
        start=start,
        orbit=(plus[:, :, 0] + minus[:, :, 0]) / 2,
        transfer=np.ascontiguousarray(slopes[:, :dimensions, :dimensions]),
        momentum=np.ascontiguousarray(slopes[:, :4, 4]),
        path=slopes[-1, 5, :5].copy(),
    )


def every_place(tracker: Tracker) -> np.ndarray:
    """Return the indices of all element boundaries, (n_elements + 1,), uint32."""
    return np.arange(tracker.size + 1, dtype=np.uint32)
