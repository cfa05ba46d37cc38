"""Calibration curves: what the current of a supply excites in a magnet.

A curve turns a current [A] into an *excitation*: an integrated field coefficient, in
T·m^(1−n) for the order n (0 dipole, 1 quadrupole, …), or any number that the weights
of :mod:`acctwin.calibration.supplies` turn into one. Each curve is strictly monotone
over its whole domain, which is proven when it is made, so that every excitation it
can give belongs to one current. Nothing is extrapolated and nothing is clamped.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import Polynomial as PowerSeries
from numpy.typing import ArrayLike

from acctwin.calibration.pieces import Pieces, Stack, outside, stack
from acctwin.errors import CalibrationError, LimitError
from acctwin.names import FloatArray

#: How often an interval is halved to prove that a slope does not change its sign.
_HALVINGS = 30


class Curve(ABC):
    """A strictly monotone curve: current [A] ⇄ excitation."""

    @cached_property
    def pieces(self) -> Pieces:
        """The curve as polynomials."""
        return self._pieces()

    @abstractmethod
    def _pieces(self) -> Pieces: ...

    @cached_property
    def _stack(self) -> Stack:
        return stack([self.pieces])

    @property
    def domain(self) -> tuple[float, float]:
        """Lowest and highest current [A]."""
        low, high = self._stack.domain[:, 0]
        return float(low), float(high)

    @property
    def image(self) -> tuple[float, float]:
        """Lowest and highest excitation."""
        low, high = self._stack.image[:, 0]
        return float(low), float(high)

    def value(self, current: ArrayLike) -> FloatArray:
        """Return the excitation of currents [A], any shape.

        Raises:
            LimitError: A current is outside the domain, or not a number.
        """
        currents = _checked(current, self.domain, "current", " A")
        return self._stack.value(*_flat(currents)).reshape(currents.shape)[()]

    def current(self, value: ArrayLike) -> FloatArray:
        """Return the currents [A] that give excitations, any shape.

        Raises:
            LimitError: An excitation is outside the image, or not a number.
        """
        values = _checked(value, self.image, "excitation", "")
        return self._stack.current(*_flat(values)).reshape(values.shape)[()]

    def slope(self, current: ArrayLike) -> FloatArray:
        """Return d(excitation)/d(current) [1/A] at currents [A], any shape.

        Raises:
            LimitError: A current is outside the domain, or not a number.
        """
        currents = _checked(current, self.domain, "current", " A")
        return self._stack.slope(*_flat(currents)).reshape(currents.shape)[()]


@dataclass(frozen=True)
class Linear(Curve):
    """excitation = offset + gain · current.

    Attributes:
        gain: Slope [1/A], not 0.
        offset: At no current.
        low: Lowest current [A].
        high: Highest current [A].
    """

    gain: float
    offset: float
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_domain(self.low, self.high)
        if not (math.isfinite(self.gain) and self.gain and math.isfinite(self.offset)):
            raise CalibrationError(
                f"a linear curve needs a gain other than 0, and an offset; "
                f"found {self.gain:g} and {self.offset:g}"
            )

    def _pieces(self) -> Pieces:
        start = self.offset + self.gain * self.low
        local = [[start, self.gain * (self.high - self.low)]]
        return Pieces(np.array([self.low, self.high]), np.array(local))


@dataclass(frozen=True)
class Polynomial(Curve):
    """excitation = c₀ + c₁ · current + c₂ · current² + ….

    Attributes:
        coefficients: c₀, c₁, … [1/A^k].
        low: Lowest current [A].
        high: Highest current [A].
    """

    coefficients: tuple[float, ...]
    low: float
    high: float

    def __post_init__(self) -> None:
        _check_domain(self.low, self.high)
        if len(self.coefficients) < 2 or not np.isfinite(self.coefficients).all():
            raise CalibrationError("a polynomial needs two or more finite coefficients")
        turn = _turning_point(_local(self.coefficients, self.low, self.high))
        if turn is not None:
            at = self.low + turn * (self.high - self.low)
            raise CalibrationError(
                f"the polynomial is not monotone from {self.low:g} to {self.high:g} A: "
                f"its slope is 0, or changes its sign, near {at:.6g} A"
            )

    def _pieces(self) -> Pieces:
        local = _local(self.coefficients, self.low, self.high)
        return Pieces(np.array([self.low, self.high]), local[np.newaxis])


@dataclass(frozen=True)
class Table(Curve):
    """Measured points, joined by monotone cubics (PCHIP, Fritsch and Butland 1984).

    Attributes:
        currents: Increasing [A], (k,), k ≥ 2.
        values: Excitation at each of them, increasing or decreasing, (k,).
    """

    currents: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.currents) < 2 or len(self.currents) != len(self.values):
            raise CalibrationError(
                f"a table needs two or more points, each with a current and a value; "
                f"found {len(self.currents)} currents and {len(self.values)} values"
            )
        if not np.isfinite([*self.currents, *self.values]).all():
            raise CalibrationError("a table needs finite numbers")
        currents, values = np.diff(self.currents), np.diff(self.values)
        if not (currents > 0).all():
            at = self.currents[int(np.argmax(currents <= 0)) + 1]
            raise CalibrationError(f"the currents do not increase at {at:g} A")
        back = values * np.sign(values.sum() or 1.0) <= 0
        if back.any():
            at = self.currents[int(np.argmax(back)) + 1]
            raise CalibrationError(f"the table is not monotone: it turns at {at:g} A")

    def _pieces(self) -> Pieces:
        x, y = np.array(self.currents), np.array(self.values)
        h, rise = np.diff(x), np.diff(y)
        d = _pchip_slopes(h, rise / h)
        d0, d1 = h * d[:-1], h * d[1:]
        cubic = [y[:-1], d0, 3 * rise - 2 * d0 - d1, d0 + d1 - 2 * rise]
        return Pieces(x, np.column_stack(cubic))


def _checked(
    values: ArrayLike, limits: tuple[float, float], what: str, unit: str
) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    low, high = limits
    wrong = outside(numbers, low, high)
    if wrong.any():
        raise LimitError(
            f"{what} {numbers[wrong].flat[0]:.9g}{unit} is outside the curve, "
            f"{low:.9g} to {high:.9g}{unit}"
        )
    return numbers


def _flat(values: FloatArray) -> tuple[FloatArray, np.ndarray]:
    return values.ravel(), np.zeros(values.size, dtype=np.int64)


def _check_domain(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise CalibrationError(
            f"the lowest current {low:g} A is not below the highest {high:g} A"
        )


def _local(coefficients: tuple[float, ...], low: float, high: float) -> FloatArray:
    """Return the coefficients in t, where current = low + t · (high − low)."""
    local = PowerSeries(coefficients)(PowerSeries([low, high - low])).coef
    result = np.zeros(max(2, len(local)))
    result[: len(local)] = local
    return result


def _turning_point(local: FloatArray) -> float | None:
    """Return a t in 0 … 1 where the slope is not of one sign; None if it always is.

    In Bernstein form a polynomial is between the least and the largest coefficient:
    if all have one sign, so has the slope. Where they have not, the interval is
    halved, which brings the coefficients close to the slope itself.
    """
    slope = local[1:] * np.arange(1, len(local))
    n = len(slope) - 1
    bernstein = np.array([
        sum(math.comb(j, i) / math.comb(n, i) * slope[i] for i in range(j + 1))
        for j in range(n + 1)
    ])
    sign = np.sign(local[1:].sum())
    waiting = [(0.0, 1.0, sign * bernstein)]
    while waiting:
        start, width, b = waiting.pop()
        if (b > 0).all():
            continue
        if b[0] <= 0 or b[-1] <= 0 or width < 2.0**-_HALVINGS:
            return start if b[0] <= 0 else start + width
        left, right = _halves(b)
        half = width / 2
        waiting += [(start + half, half, right), (start, half, left)]
    return None


def _halves(bernstein: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the coefficients on both halves of an interval (de Casteljau)."""
    left, right, row = [bernstein[0]], [bernstein[-1]], bernstein
    while len(row) > 1:
        row = 0.5 * (row[:-1] + row[1:])
        left.append(row[0])
        right.append(row[-1])
    return np.array(left), np.array(right[::-1])


def _pchip_slopes(h: FloatArray, secant: FloatArray) -> FloatArray:
    """Return the slope at each point of a monotone table.

    Inside it is a weighted harmonic mean of the secants on both sides, at the ends
    that of a parabola through three points, or 0 if that has the wrong sign.
    """
    if len(h) == 1:
        return np.repeat(secant, 2)
    before, after = h[:-1] + 2 * h[1:], 2 * h[:-1] + h[1:]
    inner = (before + after) / (before / secant[:-1] + after / secant[1:])
    ends = [
        ((2 * h[i] + h[j]) * secant[i] - h[i] * secant[j]) / (h[i] + h[j])
        for i, j in ((0, 1), (-1, -2))
    ]
    first, last = (end if end * secant[0] > 0 else 0.0 for end in ends)
    return np.concatenate([[first], inner, [last]])
