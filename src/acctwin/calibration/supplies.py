"""Supplies and magnets of a machine: currents ⇄ strengths, all at once.

    strengthₘ = gainₘ · (Σₛ wₘₛ · excitationₛ(Iₛ)) / (Bρ · lengthₘ) + offsetₘ

The sum is the magnet's integrated field. It has one term for a magnet on a supply of
its own, the same supply in several rows for magnets in series, and several terms for
a function of a combined-function magnet. The length is 1 where the strength is
integrated (kicks, angles, thin magnets); signs are carried by the weights.

Nothing is clamped or extrapolated: what the supplies cannot do is refused whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from acctwin.calibration.checks import indices, numbers, parameters
from acctwin.calibration.curves import Curve
from acctwin.calibration.links import Links
from acctwin.calibration.pieces import Stack, outside, stack
from acctwin.calibration.refusal import conflict, out_of_curve, out_of_reach
from acctwin.calibration.wiring import Wiring, wire
from acctwin.errors import CalibrationError
from acctwin.names import BoolArray, FloatArray, IntArray

#: Magnets in series agree if their fields do, to this fraction of what they can be.
AGREEMENT = 1e-9


def _one() -> FloatArray:
    return np.ones(1)


def _zero() -> FloatArray:
    return np.zeros(1)


def _unlimited() -> FloatArray:
    return np.full(1, np.inf)


@dataclass(frozen=True, eq=False)
class SupplyMap:
    """The calibration of all magnets that are fed by supplies.

    Attributes:
        supplies: Names, (n_supplies,).
        magnets: Names, (n_magnets,).
        curves: Curve of each supply; supplies may share one.
        weights: Integrated field of each magnet for each supply's excitation,
            (n_magnets, n_supplies).
        length: Length of each magnet [m], 1 where its strength is integrated.
        gain: Corrections that a measurement found (LOCO); default 1.
        offset: The same, in units of the strength; default 0.
        low: Lowest current that may be set [A]; default: where the curve begins.
        high: Highest current that may be set [A]; default: where the curve ends.
        units: Unit of each magnet's strength, for messages.

    Raises:
        CalibrationError: The parts do not fit together: wrong lengths, a magnet
            without a supply, more functions than supplies, limits beyond a curve.
    """

    supplies: tuple[str, ...]
    magnets: tuple[str, ...]
    curves: tuple[Curve, ...]
    weights: Links
    length: FloatArray
    gain: FloatArray = field(default_factory=_one)
    offset: FloatArray = field(default_factory=_zero)
    low: FloatArray = field(default_factory=lambda: -_unlimited())
    high: FloatArray = field(default_factory=_unlimited)
    units: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, m = len(self.supplies), len(self.magnets)
        if len(self.curves) != n or self.weights.shape != (m, n):
            raise CalibrationError(
                f"{m} magnets and {n} supplies do not go with {len(self.curves)} "
                f"curves and weights of shape {self.weights.shape}"
            )
        units = self.units or ("",) * m
        domain = self.stack.domain
        low = np.where(np.isneginf(self.low), domain[0], self.low)
        high = np.where(np.isposinf(self.high), domain[1], self.high)
        parts = {
            "length": parameters(self.length, self.magnets, "length", "m"),
            "gain": parameters(self.gain, self.magnets, "gain"),
            "offset": parameters(self.offset, self.magnets, "offset"),
            "low": parameters(low, self.supplies, "low", "A"),
            "high": parameters(high, self.supplies, "high", "A"),
            "units": units,
        }
        for name, part in parts.items():
            object.__setattr__(self, name, part)
        self._check_parts()

    @cached_property
    def stack(self) -> Stack:
        """The curves of all supplies as one."""
        return stack([curve.pieces for curve in self.curves])

    @cached_property
    def wiring(self) -> Wiring:
        """What belongs together."""
        return wire(self.weights, self.magnets, self.supplies)

    def strengths(self, currents: ArrayLike, rigidity: float) -> FloatArray:
        """Return the strength of every magnet, (n_magnets,).

        Args:
            currents: Of all supplies [A], (n_supplies,); within their curves.
            rigidity: Bρ [T m].

        Raises:
            LimitError: A current is outside its curve, or not a number.
        """
        given = self._within_curves(currents)
        fields = self.weights.times(self.stack.value(given, self._all))
        return self._strength(fields, rigidity)

    def currents(self, strengths: ArrayLike, rigidity: float) -> FloatArray:
        """Return the currents that give every magnet its strength [A], (n_supplies,).

        Args:
            strengths: Of all magnets, (n_magnets,).
            rigidity: Bρ [T m].

        Raises:
            LimitError: Magnets in series want different currents, a supply cannot
                give what is wanted, or a strength is not a number.
        """
        every = np.arange(len(self.magnets))
        wanted = numbers(strengths, self.magnets, "strength")
        fields = self._field(wanted, rigidity)
        excitations = self.wiring.solve(fields, every)
        self._check_agreement(excitations, fields, every, wanted)
        self._check_reach(excitations, self._all, every, wanted, rigidity)
        return self.stack.current(self._inside(excitations, self._all), self._all)

    def nearest(self, strengths: ArrayLike, rigidity: float) -> FloatArray:
        """Return currents as :meth:`currents`, the mean where a series disagrees.

        The strengths of magnets in series that are not alike then differ from what
        was asked for; :meth:`strengths` says what they are.

        Raises:
            LimitError: A supply cannot give what is wanted, or NaN.
        """
        every = np.arange(len(self.magnets))
        wanted = numbers(strengths, self.magnets, "strength")
        excitations = self.wiring.solve(self._field(wanted, rigidity), every)
        self._check_reach(excitations, self._all, every, wanted, rigidity)
        return self.stack.current(self._inside(excitations, self._all), self._all)

    def change(
        self,
        currents: ArrayLike,
        magnets: ArrayLike,
        values: ArrayLike,
        rigidity: float,
    ) -> FloatArray:
        """Return the currents that give some magnets new strengths [A], (n_supplies,).

        Other functions of a combined-function magnet stay where they are. Magnets in
        series follow each other; asked for together, they must agree.

        Args:
            currents: Present currents of all supplies [A], (n_supplies,).
            magnets: Indices of the magnets to set, (k,).
            values: Their new strengths, (k,).
            rigidity: Bρ [T m].

        Raises:
            LimitError: As for :meth:`currents`; nothing is to be moved then.
        """
        given = self._within_curves(currents)
        asked = indices(magnets, self.magnets)
        names = [self.magnets[int(i)] for i in asked]
        wanted = numbers(values, names, "strength")
        which = self.wiring.supplies_of(asked)
        present = np.zeros(len(given))
        present[which] = self.stack.value(given[which], which)
        fields = self.weights.times(present)
        goal = self._field(wanted, rigidity, asked)
        step = self.wiring.solve(goal - fields[asked], asked)
        excitations = present + step
        self._check_agreement(excitations, goal, asked, wanted)
        moved = which[step[which] != 0.0]
        self._check_reach(excitations, moved, asked, wanted, rigidity)
        result = given.copy()
        result[moved] = self.stack.current(self._inside(excitations, moved), moved)
        return result

    def jacobian(self, currents: ArrayLike, rigidity: float) -> Links:
        """Return d(strength)/d(current) at some currents, (n_magnets, n_supplies)."""
        slopes = self.stack.slope(self._within_curves(currents), self._all)
        return self.weights.scaled(self._scale(rigidity), slopes)

    def limits(self, rigidity: float) -> tuple[FloatArray, FloatArray]:
        """Return the lowest and highest strength of each magnet, (n_magnets,) each.

        Within the limits of its supplies, the other functions of a combined-function
        magnet held where all supplies excite the middle of what they can.
        """
        low, high = self._excitation_limits
        middle = self.weights.times(0.5 * (low + high))
        room = self.wiring.room(0.5 * (high - low))
        ends = self._strength(np.array([middle - room, middle + room]), rigidity)
        return ends.min(axis=0), ends.max(axis=0)

    def with_corrections(
        self, gain: ArrayLike = 1.0, offset: ArrayLike = 0.0
    ) -> SupplyMap:
        """Return a map with corrections on top of those that this one has.

        strength → gain · strength + offset.

        Args:
            gain: One for each magnet, (n_magnets,), or one for all.
            offset: The same, in units of the strength.
        """
        gains = parameters(gain, self.magnets, "gain")
        offsets = parameters(offset, self.magnets, "offset")
        return replace(
            self, gain=gains * self.gain, offset=gains * self.offset + offsets
        )

    @cached_property
    def _all(self) -> IntArray:
        return np.arange(len(self.supplies))

    @cached_property
    def _excitation_limits(self) -> FloatArray:
        """Return the lowest and highest excitation that may be set, (2, n)."""
        ends = [self.stack.value(end, self._all) for end in (self.low, self.high)]
        return np.sort(np.array(ends), axis=0)

    @cached_property
    def _reach(self) -> FloatArray:
        """Return the largest field that each magnet's curves can give, (n_magnets,)."""
        weights, most = self.weights, np.abs(self.stack.image).max(axis=0)
        size = Links(
            weights.rows, weights.columns, np.abs(weights.values), weights.shape
        )
        return size.times(most)

    def _scale(self, rigidity: float) -> FloatArray:
        if not (np.isfinite(rigidity) and rigidity > 0):
            raise CalibrationError(f"the rigidity {rigidity:g} T m must be above 0")
        return self.gain / (rigidity * self.length)

    def _strength(self, fields: FloatArray, rigidity: float) -> FloatArray:
        return self._scale(rigidity) * fields + self.offset

    def _field(
        self, strengths: FloatArray, rigidity: float, which: IntArray | None = None
    ) -> FloatArray:
        chosen = slice(None) if which is None else which
        return (strengths - self.offset[chosen]) / self._scale(rigidity)[chosen]

    def _inside(self, excitations: FloatArray, which: IntArray) -> FloatArray:
        """Take away what round-off put beyond the limits; more has been refused."""
        low, high = self._excitation_limits
        return np.clip(excitations[which], low[which], high[which])

    def _within_curves(self, currents: ArrayLike) -> FloatArray:
        given = numbers(currents, self.supplies, "current", "A")
        wrong = outside(given, *self.stack.domain)
        if wrong.any():
            raise out_of_curve(self, given, wrong)
        return given

    def _check_agreement(
        self,
        excitations: FloatArray,
        goal: FloatArray,
        asked: IntArray,
        wanted: FloatArray,
    ) -> None:
        series = self.wiring.is_series[asked]
        if not series.any():
            return
        missed = np.abs(self.weights.times(excitations)[asked] - goal)
        wrong = series & (missed > AGREEMENT * self._reach[asked])
        if wrong.any():
            raise conflict(self, asked, wanted, wrong)

    def _check_reach(
        self,
        excitations: FloatArray,
        which: IntArray,
        asked: IntArray,
        wanted: FloatArray,
        rigidity: float,
    ) -> None:
        low, high = self._excitation_limits[:, which]
        wrong: BoolArray = outside(excitations[which], low, high)
        if wrong.any():
            raise out_of_reach(self, which[wrong], asked, wanted, rigidity)

    def _check_parts(self) -> None:
        begin, end = self.stack.domain
        wrong = (self.low < begin) | (self.high > end) | (self.low >= self.high)
        for s in np.flatnonzero(wrong)[:1]:
            raise CalibrationError(
                f"{self.supplies[s]}: limits {self.low[s]:g} to {self.high[s]:g} A; "
                f"the curve is from {begin[s]:g} to {end[s]:g} A"
            )
        if not (self.length > 0).all():
            name = self.magnets[int(np.argmin(self.length > 0))]
            raise CalibrationError(f"{name}: the length must be above 0")
        if not self.gain.all():
            name = self.magnets[int(np.argmin(np.abs(self.gain)))]
            raise CalibrationError(f"{name}: a gain of 0 cannot be undone")
        if len(self.units) != len(self.magnets):
            raise CalibrationError(
                f"{len(self.units)} units for {len(self.magnets)} magnets"
            )
        self.wiring  # noqa: B018  (built now, so that faults come now)
