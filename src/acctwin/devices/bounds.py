"""What a setpoint may be: limits and tolerance, checked before anything moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from acctwin.errors import LimitError
from acctwin.names import FloatArray

_MOST_NAMED = 5


@dataclass(frozen=True)
class Bounds:
    """Limits and tolerance of the setpoints that are set together.

    Attributes:
        names: Devices, in the order of the values.
        low: Lower limits, (n,).
        high: Upper limits, (n,).
        tolerance: A move is done when |setpoint − readback| is within it, (n,).
        unit: Of all of them.
    """

    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    tolerance: FloatArray
    unit: str

    def check(self, values: ArrayLike) -> FloatArray:
        """Return the values as an array, (n,), if each may be set.

        Raises:
            LimitError: A wrong number of values, one that is not a finite number,
                or one outside its limits. Every offender is counted and the first
                few are named, with what was wanted and what is allowed.
        """
        try:
            wanted = np.atleast_1d(np.asarray(values, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise LimitError(
                f"{self._title()}: {values!r} is not a number [{self.unit}]"
            ) from error
        if wanted.shape != (len(self.names),):
            raise LimitError(
                f"{self._title()}: wanted {len(self.names)} values [{self.unit}], "
                f"found shape {wanted.shape}"
            )
        outside = ~((wanted >= self.low) & (wanted <= self.high))
        if outside.any():
            raise LimitError(self._complaint(wanted, np.flatnonzero(outside)))
        return wanted

    def reached(self, wanted: ArrayLike, seen: ArrayLike) -> np.bool_:
        """Tell whether every readback is within its tolerance of what was wanted."""
        return np.all(np.abs(np.asarray(seen) - np.asarray(wanted)) <= self.tolerance)

    def missing(self, wanted: ArrayLike, seen: ArrayLike) -> str:
        """Describe the devices whose readback is not where it should be."""
        wanted, seen = np.atleast_1d(wanted), np.atleast_1d(seen)
        late = np.flatnonzero(~(np.abs(seen - wanted) <= self.tolerance))
        lines = [
            f"{self.names[i]}: wanted {wanted[i]:.9g} {self.unit}, reads "
            f"{seen[i]:.9g}, tolerance {self.tolerance[i]:.3g}"
            for i in late[:_MOST_NAMED]
        ]
        return _shortened(lines, len(late))

    def _title(self) -> str:
        if len(self.names) == 1:
            return self.names[0]
        return f"{self.names[0]} … {self.names[-1]}"

    def _complaint(self, wanted: FloatArray, offenders: np.ndarray) -> str:
        lines = [
            f"{self.names[i]}: wanted {wanted[i]:.9g} {self.unit}, limits "
            f"{self.low[i]:.9g} to {self.high[i]:.9g}"
            for i in offenders[:_MOST_NAMED]
        ]
        return _shortened(lines, len(offenders)) + "; nothing was moved"


def _shortened(lines: list[str], total: int) -> str:
    more = total - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")
