"""Dispersion: the orbit at several momenta."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.polynomial import fit_polynomial
from acctwin.analysis.rf import momentum
from acctwin.names import FloatArray


@dataclass(frozen=True)
class DispersionResult:
    """How the orbit follows the momentum: x = x₀ + η δ + η₂ δ².

    The momentum is that of the design's slip factor: a machine whose own is 1 % off
    shows 1 % more or less.

    Attributes:
        names: BPMs, (n,).
        s: Their positions [m], (n,).
        eta_x: Horizontal dispersion [m], (n,).
        eta_y: Vertical [m], (n,).
        sigma_x: Standard error of ``eta_x`` [m], (n,); NaN where there were no more
            readings than coefficients.
        sigma_y: Of ``eta_y`` [m], (n,).
        second_x: Second-order dispersion η₂ [m], (n,); NaN with two points, which
            cannot show it.
        second_y: The same, vertical [m], (n,).
        slip_factor: η = αc − 1/γ² that turned frequencies into momenta.
        rf_hz: The RF frequency in the middle [Hz].
        uid: Run that holds the readings.
    """

    names: tuple[str, ...]
    s: FloatArray
    eta_x: FloatArray
    eta_y: FloatArray
    sigma_x: FloatArray
    sigma_y: FloatArray
    second_x: FloatArray
    second_y: FloatArray
    slip_factor: float
    rf_hz: float
    uid: str = ""

    @property
    def per_mhz_x(self) -> FloatArray:
        """What the RF does to the horizontal orbit [mm/MHz], (n,)."""
        return self._per_mhz(self.eta_x)

    @property
    def per_mhz_y(self) -> FloatArray:
        """What the RF does to the vertical orbit [mm/MHz], (n,)."""
        return self._per_mhz(self.eta_y)

    def _per_mhz(self, eta: FloatArray) -> FloatArray:
        mm_per_mhz = 1e9  # of 1 m/Hz
        return -eta / (self.rf_hz * self.slip_factor) * mm_per_mhz


def fit_dispersion(
    names: tuple[str, ...],
    s: FloatArray,
    x: FloatArray,
    y: FloatArray,
    offset_hz: FloatArray,
    *,
    rf_hz: float,
    slip_factor: float,
    uid: str = "",
) -> DispersionResult:
    """Fit the orbit against the momentum.

    From three points on, what is not linear in the orbit gets a term of its own, so
    that steps to one side only do not end up in the dispersion.

    Args:
        names: BPMs, (n,).
        s: Their positions [m], (n,).
        x: Horizontal readings [m], (n_events, n).
        y: Vertical readings [m], (n_events, n).
        offset_hz: Change of the RF at each event [Hz], (n_events,).
        rf_hz: The frequency that was changed [Hz].
        slip_factor: η = αc − 1/γ² of the design.
        uid: Run that holds the readings.

    Raises:
        DataError: The RF was at fewer than two places.
    """
    delta = momentum(offset_hz, rf_hz, slip_factor)
    order = 2 if np.unique(offset_hz).size > 2 else 1
    found, sigma = fit_polynomial(delta, np.hstack([x, y]), order)
    eta_x, eta_y = np.split(found[1], 2)
    sigma_x, sigma_y = np.split(sigma[1], 2)
    second = found[2] if order > 1 else np.full_like(found[1], np.nan)
    second_x, second_y = np.split(second, 2)
    return DispersionResult(
        names,
        s,
        eta_x,
        eta_y,
        sigma_x,
        sigma_y,
        second_x,
        second_y,
        slip_factor,
        rf_hz,
        uid,
    )
