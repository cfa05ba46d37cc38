"""The closest approach of two tunes that are brought together.

Near a difference resonance Qx − Qy = n the two tunes that are seen are those of the
normal modes, |Q₁ − Q₂|² = (Qx − Qy − n)² + |C⁻|², where Qx and Qy are the tunes without
coupling: G. Guignard, CERN 76-06 (1976); S. Y. Lee, Accelerator Physics, ch. 2.VI.
"""

from __future__ import annotations

import numpy as np

from acctwin.analysis.coupling import ClosestTunes
from acctwin.errors import DataError
from acctwin.names import FloatArray

#: Least standard error of a distance, so that a noiseless one can be weighted.
_LEAST = 1e-9


def tune_distance(tunes: FloatArray) -> FloatArray:
    """Return Qx − Qy without its integer part, −0.5 to 0.5.

    Args:
        tunes: Whole or fractional, (…, 2).
    """
    difference = tunes[..., 0] - tunes[..., 1]
    return difference - np.round(difference)


def fit_closest_tunes(
    offset: FloatArray, tunes: FloatArray, *, uid: str = ""
) -> ClosestTunes:
    """Fit the closest approach to tunes that were measured on both sides of it.

    The squared distance is a parabola, D² = k² (u − u₀)² + |C⁻|², which is fitted by
    weighted least squares to all readings; the readings' noise is taken from their
    scatter at each place and adds its own square to D², which is taken off again.
    Scatter about the parabola that is larger than that makes the error larger.

    Args:
        offset: Change of Qx − Qy that was asked of the quadrupoles, of each reading,
            (n,).
        tunes: Readings, (n, 2).
        uid: Run that holds them.

    Raises:
        DataError: Fewer than four places, or the tunes do not meet between them.
    """
    places = np.unique(offset)
    if places.size < 4:
        raise DataError(f"tunes at {places.size} places; the fit needs at least 4")
    readings = np.abs(tune_distance(tunes))
    at = [readings[offset == place] for place in places]
    distance = np.array([values.mean() for values in at])
    noise = _noise(at)
    counts = np.array([len(values) for values in at])
    sigma = np.maximum(noise / np.sqrt(counts), _LEAST)
    found, covariance = _parabola(places, distance**2 - sigma**2, distance, sigma)
    square, curve, center = found
    if not (curve > 0.0 and places[0] < center < places[-1]):
        raise DataError(
            f"the tunes do not meet between offsets {places[0]:.4g} and "
            f"{places[-1]:.4g}: the distances are {np.round(distance, 5).tolist()}"
        )
    value = float(np.sqrt(max(square, 0.0)))
    error = float(np.sqrt(max(covariance, 0.0)))
    return ClosestTunes(
        value=value,
        # Where C² is not far from 0, the error of C is that of its square root.
        sigma=min(error / (2 * value) if value else np.inf, float(np.sqrt(error))),
        method="tunes",
        uid=uid,
        offset=places,
        distance=distance,
        sigma_distance=sigma,
        center=float(center),
        slope=float(np.sqrt(curve)),
    )


def _noise(readings: list[FloatArray]) -> float:
    """Return the standard deviation of a reading about the mean of its place."""
    freedom = sum(len(values) - 1 for values in readings)
    if freedom < 1:
        return 0.0
    squares = sum(float(np.sum((values - values.mean()) ** 2)) for values in readings)
    return float(np.sqrt(squares / freedom))


def _parabola(
    x: FloatArray, y: FloatArray, distance: FloatArray, sigma: FloatArray
) -> tuple[tuple[float, float, float], float]:
    """Return the lowest value, the curvature and the place of a parabola, weighted.

    Also the variance of the lowest value.
    """
    weight = 1.0 / np.sqrt(4 * distance**2 * sigma**2 + 2 * sigma**4)
    middle, half = x.mean(), np.ptp(x) / 2
    u = (x - middle) / half
    design = np.vander(u, 3, increasing=True) * weight[:, None]
    (c, b, a), *_ = np.linalg.lstsq(design, y * weight, rcond=None)
    if not a > 0.0:
        return (float(c), float(a), float("nan")), float("nan")
    left = design @ np.array([c, b, a]) - y * weight
    freedom = len(x) - 3
    scale = max(1.0, float(left @ left) / freedom)
    inverse = np.linalg.pinv(design)
    slope = np.array([1.0, -b / (2 * a), (b / (2 * a)) ** 2])  # of c − b²/4a
    variance = scale * float(np.sum((slope @ inverse) ** 2))
    lowest, center = c - b * b / (4 * a), middle - half * b / (2 * a)
    return (float(lowest), float(a / half**2), float(center)), variance
