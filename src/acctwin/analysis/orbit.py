"""The closed orbit: averages and the noise of the monitors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from acctwin.names import FloatArray


@dataclass(frozen=True)
class OrbitResult:
    """An orbit at the BPMs that are good.

    Attributes:
        names: BPMs, in s order.
        s: Their positions [m], (n,).
        x: Horizontal orbit [m], (n,).
        y: Vertical orbit [m], (n,).
        sigma_x: Standard error of ``x`` [m], (n,); NaN from a single reading.
        sigma_y: Standard error of ``y`` [m], (n,); NaN from a single reading.
        readings: How many readings were averaged.
        uid: Run that holds the readings.
    """

    names: tuple[str, ...]
    s: FloatArray
    x: FloatArray
    y: FloatArray
    sigma_x: FloatArray
    sigma_y: FloatArray
    readings: int
    uid: str = ""

    def without_gains(self, gains: FloatArray) -> OrbitResult:
        """Return the orbit of the beam behind readings of imperfect BPMs.

        Args:
            gains: Reading = gain·(x, y), of each BPM, (n, 2, 2).
        """
        inverse = np.linalg.inv(gains)
        read = np.stack([self.x, self.y], axis=-1)[..., None]
        beam = (inverse @ read)[..., 0]
        sigma = np.stack([self.sigma_x, self.sigma_y], axis=-1)[..., None]
        errors = np.sqrt((inverse**2 @ sigma**2)[..., 0])
        return replace(
            self,
            x=beam[:, 0],
            y=beam[:, 1],
            sigma_x=errors[:, 0],
            sigma_y=errors[:, 1],
        )

    @property
    def rms(self) -> tuple[float, float]:
        """Root mean square over the BPMs in x and y [m]."""
        return rms(self.x), rms(self.y)


@dataclass(frozen=True)
class NoiseResult:
    """What the BPMs do while nothing is changed.

    Attributes:
        names: BPMs, in s order.
        s: Their positions [m], (n,).
        mean_x: Mean horizontal orbit [m], (n,).
        mean_y: Mean vertical orbit [m], (n,).
        noise_x: Standard deviation of one reading [m], (n,).
        noise_y: Standard deviation of one reading [m], (n,).
        drift_x: Difference of the last and the first half's mean [m], (n,).
        drift_y: Difference of the last and the first half's mean [m], (n,).
        readings: How many readings there are.
        uid: Run that holds the readings.
    """

    names: tuple[str, ...]
    s: FloatArray
    mean_x: FloatArray
    mean_y: FloatArray
    noise_x: FloatArray
    noise_y: FloatArray
    drift_x: FloatArray
    drift_y: FloatArray
    readings: int
    uid: str = ""


def mean_orbit(
    names: tuple[str, ...], s: FloatArray, x: FloatArray, y: FloatArray, uid: str = ""
) -> OrbitResult:
    """Average readings.

    Args:
        names: BPMs, (n,).
        s: Their positions [m], (n,).
        x: Horizontal readings [m], (n_readings, n).
        y: Vertical readings [m], (n_readings, n).
        uid: Run that holds them.
    """
    return OrbitResult(
        names=names,
        s=s,
        x=x.mean(axis=0),
        y=y.mean(axis=0),
        sigma_x=_standard_error(x),
        sigma_y=_standard_error(y),
        readings=len(x),
        uid=uid,
    )


def estimate_noise(
    names: tuple[str, ...], s: FloatArray, x: FloatArray, y: FloatArray, uid: str = ""
) -> NoiseResult:
    """Estimate the noise of each BPM from the differences of successive readings.

    Differences make a slow drift of the orbit count little: for readings that are
    independent, the variance of a difference is twice that of a reading.

    Args:
        names: BPMs, (n,).
        s: Their positions [m], (n,).
        x: Horizontal readings [m], (n_readings, n), at least 2.
        y: Vertical readings [m], (n_readings, n).
        uid: Run that holds them.
    """
    return NoiseResult(
        names=names,
        s=s,
        mean_x=x.mean(axis=0),
        mean_y=y.mean(axis=0),
        noise_x=_successive_noise(x),
        noise_y=_successive_noise(y),
        drift_x=_drift(x),
        drift_y=_drift(y),
        readings=len(x),
        uid=uid,
    )


def rms(values: FloatArray) -> float:
    """Return the root mean square (about zero)."""
    return float(np.sqrt(np.mean(np.square(values))))


def _standard_error(readings: FloatArray) -> FloatArray:
    count = len(readings)
    if count < 2:
        return np.full((readings.shape[1],), np.nan)
    spread: FloatArray = readings.std(axis=0, ddof=1)
    return spread / np.sqrt(count)


def _successive_noise(readings: FloatArray) -> FloatArray:
    steps = np.diff(readings, axis=0)
    return np.sqrt(np.mean(np.square(steps), axis=0) / 2.0)


def _drift(readings: FloatArray) -> FloatArray:
    half = len(readings) // 2
    last: FloatArray = readings[-half:].mean(axis=0)
    return last - readings[:half].mean(axis=0)
