"""Many monotone curves at once, each a chain of polynomials in a local variable.

A straight line is one piece of degree 1, a polynomial one piece, a table a piece for
each interval. All pieces of all curves stand in one sorted list, so that one search
finds the piece of every supply of a machine, and one loop of array operations turns
all its currents into excitations, or back.

On a piece that runs from I₀ to I₀ + h, t = (I − I₀)/h is between 0 and 1 and the
excitation is f(t) = Σ aₖ tᵏ. The inverse is Newton's method for f(t) = v, kept inside
a bracket that halves when a step would leave it: it cannot fail on a monotone piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.names import BoolArray, FloatArray, IntArray

#: Fraction of a range by which arithmetic may miss its end.
ROUND_OFF = 1e-12

_EPSILON = 4 * np.finfo(np.float64).eps
_MOST_STEPS = 100


@dataclass(frozen=True, eq=False)
class Pieces:
    """One curve.

    Attributes:
        breaks: Currents where pieces meet, and both ends [A], (k + 1,), increasing.
        coefficients: a₀, a₁, … of each piece, (k, degree + 1).
    """

    breaks: FloatArray
    coefficients: FloatArray


#: Stands in where there are no supplies at all.
_NOTHING = Pieces(np.array([0.0, 1.0]), np.array([[0.0, 1.0]]))


@dataclass(frozen=True, eq=False)
class Stack:
    """Curves of n supplies; made by :func:`stack`.

    The first four have one number for each supply, the others one for each piece of
    each different curve.

    Attributes:
        curve: Which of the different curves each supply has, (n,).
        domain: Lowest and highest current [A], (2, n).
        ends: Excitation at the lowest and the highest current, (2, n).
        image: Lowest and highest excitation, (2, n).
        current_keys: 2·curve + where the piece begins, as a fraction of the domain.
        value_keys: The same as a fraction of the way from one end to the other.
        origin: Current where the piece begins [A].
        width: How long it is [A].
        coefficients: a₀, a₁, … of the pieces, (degree + 1, n_pieces).
        shape: The same for (f(t) − f(0)) / (f(1) − f(0)).
    """

    curve: IntArray
    domain: FloatArray
    ends: FloatArray
    image: FloatArray
    current_keys: FloatArray
    value_keys: FloatArray
    origin: FloatArray
    width: FloatArray
    coefficients: FloatArray
    shape: FloatArray

    def value(self, currents: FloatArray, which: IntArray) -> FloatArray:
        """Return the excitations of some supplies; the currents are in the domain."""
        piece, t = self._piece(currents, which)
        return _horner(self.coefficients[:, piece], t)

    def slope(self, currents: FloatArray, which: IntArray) -> FloatArray:
        """Return d(excitation)/d(current) of some supplies [1/A]."""
        piece, t = self._piece(currents, which)
        return _slope(self.coefficients[:, piece], t) / self.width[piece]

    def current(self, values: FloatArray, which: IntArray) -> FloatArray:
        """Return the currents [A] that give excitations within the image."""
        piece = _find(self.value_keys, values, self.ends[:, which], self.curve[which])
        start = self.coefficients[0, piece]
        rise = self.coefficients[1:, piece].sum(axis=0)
        t = _solve(self.shape[:, piece], _clipped((values - start) / rise))
        return self.origin[piece] + t * self.width[piece]

    def _piece(
        self, currents: FloatArray, which: IntArray
    ) -> tuple[IntArray, FloatArray]:
        domain, curve = self.domain[:, which], self.curve[which]
        piece = _find(self.current_keys, currents, domain, curve)
        return piece, (currents - self.origin[piece]) / self.width[piece]


def stack(curves: Sequence[Pieces]) -> Stack:
    """Return the curves of n supplies as one; equal objects are kept once."""
    number = {id(pieces): pieces for pieces in curves}
    different = list(number.values()) or [_NOTHING]
    order = {key: k for k, key in enumerate(number)}
    curve = np.array([order[id(pieces)] for pieces in curves], dtype=np.int64)
    degree = max((p.coefficients.shape[1] for p in different), default=1)
    columns = [_columns(k, pieces, degree) for k, pieces in enumerate(different)]
    joined = [np.concatenate(parts, axis=-1) for parts in zip(*columns, strict=True)]
    current_keys, value_keys, origin, width, coefficients, shape = joined
    domain = np.array([(p.breaks[0], p.breaks[-1]) for p in different]).T
    ends = np.array([_ends(p) for p in different]).T
    return Stack(
        curve=curve,
        domain=domain[:, curve],
        ends=ends[:, curve],
        image=np.sort(ends, axis=0)[:, curve],
        current_keys=current_keys,
        value_keys=value_keys,
        origin=origin,
        width=width,
        coefficients=coefficients,
        shape=shape,
    )


def outside(
    values: FloatArray, low: FloatArray | float, high: FloatArray | float
) -> BoolArray:
    """Tell which values are not within their limits, round-off apart, or NaN."""
    size = np.maximum(np.abs(low), np.abs(high))
    room = ROUND_OFF * (high - low) + _EPSILON * size
    return ~((values >= low - room) & (values <= high + room))


def _columns(k: int, pieces: Pieces, degree: int) -> tuple[FloatArray, ...]:
    """Return keys, origins, widths and coefficients of the pieces of curve ``k``."""
    breaks = pieces.breaks
    coefficients = np.zeros((degree, len(breaks) - 1))
    coefficients[: pieces.coefficients.shape[1]] = pieces.coefficients.T
    start, rise = coefficients[0], coefficients[1:].sum(axis=0)
    shape = coefficients / rise
    shape[0] = 0.0
    first, last = _ends(pieces)
    return (
        2 * k + (breaks[:-1] - breaks[0]) / (breaks[-1] - breaks[0]),
        2 * k + (start - first) / (last - first),
        breaks[:-1],
        np.diff(breaks),
        coefficients,
        shape,
    )


def _ends(pieces: Pieces) -> tuple[float, float]:
    coefficients = pieces.coefficients
    return float(coefficients[0, 0]), float(coefficients[-1].sum())


def _find(
    keys: FloatArray, values: FloatArray, ends: FloatArray, curve: IntArray
) -> IntArray:
    """Return the piece that each value falls on."""
    fraction = _clipped((values - ends[0]) / (ends[1] - ends[0]))
    return keys.searchsorted(2.0 * curve + fraction, side="right") - 1


def _clipped(fraction: FloatArray) -> FloatArray:
    """Take away what round-off put beyond 0 … 1; np.clip takes longer."""
    return np.minimum(np.maximum(fraction, 0.0), 1.0)


def _horner(coefficients: FloatArray, t: FloatArray) -> FloatArray:
    rows: list[FloatArray] = list(coefficients)
    result = rows[-1]
    for row in rows[-2::-1]:
        result = result * t + row
    return result


def _slope(coefficients: FloatArray, t: FloatArray) -> FloatArray:
    result = np.zeros_like(t)
    for power in range(len(coefficients) - 1, 0, -1):
        result = result * t + power * coefficients[power]
    return result


def _solve(shape: FloatArray, wanted: FloatArray) -> FloatArray:
    """Solve shape(t) = wanted; every shape rises from 0 to 1."""
    low, high = np.zeros_like(wanted), np.ones_like(wanted)
    t = wanted
    for _ in range(_MOST_STEPS):
        excess = _horner(shape, t) - wanted
        low, high = np.where(excess < 0, t, low), np.where(excess < 0, high, t)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = excess / _slope(shape, t)
            newton = t - step
        is_found = (np.abs(excess) <= _EPSILON) | (np.abs(step) <= _EPSILON)
        if is_found.all():
            break
        inside = (newton >= low) & (newton <= high)
        better = np.where(inside, newton, 0.5 * (low + high))
        t = np.where(is_found, t, better)
    return t
