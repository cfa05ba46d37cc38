"""Polynomials through repeated readings, with the errors of their coefficients."""

from __future__ import annotations

import numpy as np

from acctwin.errors import DataError
from acctwin.names import FloatArray


def fit_polynomial(
    x: FloatArray, y: FloatArray, order: int
) -> tuple[FloatArray, FloatArray]:
    """Fit y = c₀ + c₁ x + c₂ x² + … by least squares.

    Args:
        x: Where the readings were taken, (n,).
        y: Readings, (n, m).
        order: Highest power.

    Returns:
        Coefficients, lowest power first, and their standard errors from the scatter
        about the fit, (order + 1, m) each; the errors are NaN where the polynomial
        goes through all readings, because there are no more of them.

    Raises:
        DataError: Fewer different x than coefficients.
    """
    places = np.unique(x).size
    if places <= order:
        raise DataError(
            f"a polynomial of order {order} needs readings at {order + 1} places, "
            f"found {places}"
        )
    scale = float(np.abs(x).max())
    powers = scale ** -np.arange(order, -1, -1.0)[:, None]
    if len(x) <= order + 1:
        found: FloatArray = np.polyfit(x / scale, y, order)
        return (found * powers)[::-1], np.full_like(found, np.nan)
    found, covariance = np.polyfit(x / scale, y, order, cov=True)
    variance = np.diagonal(covariance).T
    # Rounding can leave less than nothing of a fit that is exact.
    sigma = np.sqrt(np.maximum(variance, 0.0))
    return (found * powers)[::-1], (sigma * powers)[::-1]
