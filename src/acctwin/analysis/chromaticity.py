"""Chromaticity: the tunes at several momenta, and the sextupoles that set it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.polynomial import fit_polynomial
from acctwin.analysis.rf import momentum
from acctwin.errors import DataError
from acctwin.names import FloatArray


@dataclass(frozen=True)
class ChromaticityResult:
    """How the tunes follow the momentum: Q = Q₀ + ξ δ + ξ₂ δ² + ….

    Attributes:
        xi_x: Horizontal chromaticity dQ/dδ, not normalised by the tune.
        xi_y: Vertical.
        sigma_x: Standard error of ``xi_x``; NaN where there were no more readings
            than coefficients.
        sigma_y: Of ``xi_y``.
        orders: Coefficients of δ, δ², … for x and y, (2, order).
        sigma: Their standard errors, (2, order).
        delta: Momenta, rising, (n,).
        tunes: Mean tunes there, integer part included and without jumps, (n, 2).
        tune: Q₀ of both planes, (2,).
        slip_factor: η = αc − 1/γ² that turned frequencies into momenta.
        rf_hz: The RF frequency at δ = 0 [Hz].
        uid: Run that holds the readings.
    """

    xi_x: float
    xi_y: float
    sigma_x: float
    sigma_y: float
    orders: FloatArray
    sigma: FloatArray
    delta: FloatArray
    tunes: FloatArray
    tune: FloatArray
    slip_factor: float
    rf_hz: float
    uid: str = ""

    @property
    def xi(self) -> FloatArray:
        """Chromaticity of both planes, (2,)."""
        return self.orders[:, 0]


@dataclass(frozen=True)
class SetChromaticityResult:
    """What setting the chromaticity did.

    Attributes:
        target: Wanted chromaticity, (2,).
        before: Chromaticity at the start.
        after: Chromaticity at the end.
        knobs: Families and magnets that were moved.
        steps: Total change of the strength of each knob, (n,).
        units: Of each step.
        history: Chromaticity at the start and after each iteration that was kept,
            (iterations + 1, 2).
        iterations: How many iterations were applied and kept.
        reached: Whether both planes are within the tolerance.
        stopped: Why it ended, in words.
        uid: Run that holds the readings.
    """

    target: FloatArray
    before: ChromaticityResult
    after: ChromaticityResult
    knobs: tuple[str, ...]
    steps: FloatArray
    units: tuple[str, ...]
    history: FloatArray
    iterations: int
    reached: bool
    stopped: str
    uid: str = ""


@dataclass(frozen=True)
class TuneBranch:
    """What tells a whole tune from its fraction.

    Attributes:
        tunes: Whole tunes of the design, (2,).
        chromaticity: Of the design, (2,): where the tunes go first.
        folded: Whether the monitor shows 0 to 0.5 only, so that 0.3 may be 0.7.
    """

    tunes: FloatArray
    chromaticity: FloatArray
    folded: bool = False


def fit_chromaticity(
    fractions: FloatArray,
    offset_hz: FloatArray,
    *,
    rf_hz: float,
    slip_factor: float,
    branch: TuneBranch,
    order: int = 2,
    uid: str = "",
) -> ChromaticityResult:
    """Fit the tunes against the momentum.

    Args:
        fractions: Fractional tunes at each event, (n_events, 2).
        offset_hz: Change of the RF at each event [Hz], (n_events,).
        rf_hz: The frequency that was changed [Hz].
        slip_factor: η = αc − 1/γ² of the design.
        branch: What tells a whole tune from its fraction.
        order: Highest power of δ, 1 to 3.
        uid: Run that holds the readings.

    Raises:
        DataError: Fewer points than the order needs, or a reading is not a number.
    """
    if not np.all(np.isfinite(fractions)):
        raise DataError(f"run {uid or '(not stored)'}: a tune reading is not a number")
    delta = momentum(offset_hz, rf_hz, slip_factor)
    whole = unfold(fractions, delta, branch)
    found, sigma = fit_polynomial(delta, whole, order)
    places = np.unique(delta)
    return ChromaticityResult(
        xi_x=float(found[1, 0]),
        xi_y=float(found[1, 1]),
        sigma_x=float(sigma[1, 0]),
        sigma_y=float(sigma[1, 1]),
        orders=found[1:].T,
        sigma=sigma[1:].T,
        delta=places,
        tunes=np.array([whole[delta == place].mean(axis=0) for place in places]),
        tune=found[0],
        slip_factor=slip_factor,
        rf_hz=rf_hz,
        uid=uid,
    )


def unfold(fractions: FloatArray, delta: FloatArray, branch: TuneBranch) -> FloatArray:
    """Return whole tunes that go on smoothly from one momentum to the next.

    The point nearest to δ = 0 is taken to be nearest to the design. From there to both
    sides each reading is the one, of all that look the same on the monitor, that is
    nearest to the straight line through the points before; so a tune may cross an
    integer or a half-integer on the way.

    Args:
        fractions: Fractional tunes, (n_events, 2).
        delta: Momentum of each, (n_events,).
        branch: What tells a whole tune from its fraction.
    """
    whole = np.empty_like(fractions)
    places = np.unique(delta)
    middle = int(np.argmin(np.abs(places)))
    for side in (places[middle:], places[middle::-1]):
        seen_at, seen = list[float](), list[FloatArray]()
        for place in side:
            chosen = delta == place
            guess = _guess(float(place), seen_at, seen, branch)
            whole[chosen] = _nearest(fractions[chosen], guess, branch.folded)
            seen_at.append(float(place))
            seen.append(whole[chosen].mean(axis=0))
    return whole


def _guess(
    place: float, seen_at: list[float], seen: list[FloatArray], branch: TuneBranch
) -> FloatArray:
    if not seen:
        return branch.tunes
    slope = branch.chromaticity
    if len(seen) > 1:
        slope = (seen[-1] - seen[-2]) / (seen_at[-1] - seen_at[-2])
    return seen[-1] + slope * (place - seen_at[-1])


def _nearest(fractions: FloatArray, guess: FloatArray, folded: bool) -> FloatArray:
    """Return the tunes nearest to a guess that a monitor shows as some fractions."""
    upper = fractions + np.round(guess - fractions)
    if not folded:
        return upper
    lower = np.round(guess + fractions) - fractions
    return np.where(np.abs(upper - guess) <= np.abs(lower - guess), upper, lower)
