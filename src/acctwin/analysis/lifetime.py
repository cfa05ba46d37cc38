"""Beam lifetime from readings of the stored current."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from scipy import special as scipy_special  # type: ignore[reportMissingTypeStubs]

from acctwin.errors import BeamLost, DeviceError, PlanError
from acctwin.names import FloatArray

#: Why a measurement ended.
Stopped = Literal["precise", "time is over", "interrupted"]

#: No current transformer resolves less than this fraction of the current; readings
#: that are all alike say no more than that.
RESOLUTION = 1e-7
#: Fewer readings say nothing of their own noise.
LEAST_READINGS = 4
#: Standard errors that a value exceeds with a probability of 5 %.
_ONE_SIDED = 1.645
#: scipy has no types that would say what these are.
_special = cast("Any", scipy_special)


@dataclass(frozen=True)
class Decay:
    """An exponential through readings of the current.

    Attributes:
        rate: 1/lifetime [1/s]; negative if the current grows.
        sigma: Standard error of ``rate`` [1/s].
        noise: Standard deviation of one reading [A].
        readings: How many readings there are.
    """

    rate: float
    sigma: float
    noise: float
    readings: int

    @property
    def is_seen(self) -> bool:
        """Whether the current falls, by more than two standard errors."""
        return self.rate > 2.0 * self.sigma

    @property
    def relative_error(self) -> float:
        """Relative standard error of the lifetime; inf where no decay is seen."""
        return self.sigma / self.rate if self.is_seen else math.inf


@dataclass(frozen=True)
class LifetimeResult:
    """The lifetime of the stored beam.

    Attributes:
        lifetime: Time in which the current falls to 1/e [s]; inf if no decay is seen.
        sigma: Its standard error [s]; inf if no decay is seen.
        lower_limit: The lifetime is longer than this [s], with a confidence of 95 %.
        time: When each reading was taken, from the first one on [s], (n,).
        current: The readings [A], (n,).
        first: Index of the first reading that was used: the one after the last
            injection.
        injections: How often the current rose during the measurement.
        noise: Standard deviation of one reading [A].
        stopped: Why the measurement ended.
        uid: Run that holds the readings.
    """

    lifetime: float
    sigma: float
    lower_limit: float
    time: FloatArray
    current: FloatArray
    first: int
    injections: int
    noise: float
    stopped: Stopped
    uid: str = ""

    @property
    def readings(self) -> int:
        """How many readings the lifetime comes from."""
        return len(self.current) - self.first


@dataclass(frozen=True)
class Decline:
    """Readings of a current, and since when it only falls.

    Attributes:
        time: When each reading was taken [s], (n,).
        current: The readings [A], (n,), all above 0.
        first: Index of the first reading since the last injection.
        injections: How many injections there were.
        decay: What the readings since then show; None: they are fewer than 4.
        noise: Standard deviation of one reading [A], from the longest fit so far.
        freedom: Degrees of freedom that ``noise`` comes from; 0: it is not known.
    """

    time: FloatArray
    current: FloatArray
    first: int = 0
    injections: int = 0
    decay: Decay | None = None
    noise: float = math.nan
    freedom: int = 0

    @property
    def readings(self) -> int:
        """How many readings there are since the last injection."""
        return len(self.current) - self.first

    @property
    def duration(self) -> float:
        """How long all the readings took [s]."""
        return float(self.time[-1] - self.time[0])


def first_reading(time: float, current: float) -> Decline:
    """Return the decline that begins with a reading.

    Raises:
        BeamLost: There is no beam.
    """
    if current <= 0.0:
        raise BeamLost(f"there is no beam to measure: the current is {current:g} A")
    return Decline(np.array([time]), np.array([current]))


def add_reading(decline: Decline, time: float, current: float) -> Decline:
    """Return the decline with one reading more.

    A rise between two readings by more than five standard deviations is an injection,
    and so is a current that grows all the while: the decline begins anew.

    Args:
        decline: The readings so far.
        time: When the new one was taken [s].
        current: What was read [A].

    Raises:
        BeamLost: There is no beam any more, or less than half of it: a beam that
            halves from one reading to the next has no lifetime that could be measured.
        DeviceError: The reading is not newer than the one before.
    """
    before = float(decline.current[-1])
    if current < 0.5 * before:
        raise BeamLost(
            f"the beam was lost: the current fell from {before:g} A to {current:g} A "
            f"within {time - decline.time[-1]:g} s"
        )
    if time <= decline.time[-1]:
        raise DeviceError(
            "the current monitor was triggered and its reading is not newer than the "
            f"one before: time stamps {decline.time[-1]:.6f} and {time:.6f}"
        )
    longer = replace(
        decline,
        time=np.append(decline.time, time),
        current=np.append(decline.current, current),
    )
    if _has_risen(longer):
        return _begin_anew(longer)
    if longer.readings < LEAST_READINGS:
        return longer
    decay = fit_decay(longer.time[longer.first :], longer.current[longer.first :])
    freedom = decay.readings - 2
    if decay.rate < -_student(5.0, freedom) * decay.sigma:
        return _begin_anew(longer)
    longer = replace(longer, decay=decay)
    if freedom >= longer.freedom:
        return replace(longer, noise=decay.noise, freedom=freedom)
    return longer


def _has_risen(decline: Decline) -> bool:
    """Tell whether the last reading is above the one before, beyond the noise."""
    if not decline.freedom or decline.readings < 2:
        return False
    limit = _student(5.0, decline.freedom) * math.sqrt(2.0) * decline.noise
    return bool(decline.current[-1] - decline.current[-2] > limit)


def _begin_anew(decline: Decline) -> Decline:
    return replace(
        decline,
        first=len(decline.current) - 1,
        injections=decline.injections + 1,
        decay=None,
    )


def _student(sigma: float, freedom: int) -> float:
    """Return how wide some sigma are where the noise is known from a few readings.

    The quantile of Student's distribution that is as improbable as that of the normal
    one; 5 sigma are 7.5 for 18 degrees of freedom, and 57 for 4.
    """
    return -float(_special.stdtrit(freedom, _special.ndtr(-sigma)))


def fit_decay(time: FloatArray, current: FloatArray) -> Decay:
    """Fit an exponential to readings of a current.

    A straight line through the logarithms, by least squares. The logarithm of a
    reading is as uncertain as the reading is relative to its value, so each has the
    weight of its square. The noise is taken from the residuals; the standard error has
    the factor by which Student's distribution is wider than the normal one.

    Args:
        time: When each reading was taken [s], (n,), n at least 4.
        current: The readings [A], (n,), all above 0.

    Raises:
        ValueError: Too few readings, currents that are not above 0, or no time
            between the readings.
    """
    count = len(time)
    if count < LEAST_READINGS or not np.all(current > 0.0) or np.ptp(time) <= 0.0:
        raise ValueError(
            f"wanted at least {LEAST_READINGS} readings above 0 A at different times; "
            f"found {count}, from {np.min(current, initial=np.inf):g} A on, within "
            f"{np.ptp(time) if count else 0.0:g} s"
        )
    scale = float(current.mean())
    weight = np.square(current / scale)
    logs = np.log(current / scale)
    middle = np.average(time, weights=weight)
    away = time - middle
    spread = float(np.sum(weight * np.square(away)))
    rate = -float(np.sum(weight * away * logs)) / spread
    level = float(np.average(logs, weights=weight))
    residuals = logs - level + rate * away
    chi2 = float(np.sum(weight * np.square(residuals)))
    noise = max(math.sqrt(chi2 / (count - 2)), RESOLUTION)
    sigma = _student(1.0, count - 2) * noise / math.sqrt(spread)
    return Decay(rate, sigma, noise * scale, count)


def lifetime_of(decline: Decline, stopped: Stopped, uid: str = "") -> LifetimeResult:
    """Return the lifetime that readings show.

    Args:
        decline: The readings.
        stopped: Why there are no more.
        uid: Run that holds them.

    Raises:
        PlanError: There are too few readings since the last injection.
    """
    decay = decline.decay
    if decay is None:
        raise PlanError(
            f"{decline.readings} readings since the last of {decline.injections} "
            f"injections, wanted at least {LEAST_READINGS}: measure for longer, or "
            "without injections"
        )
    lifetime = 1.0 / decay.rate if decay.is_seen else math.inf
    slowest = max(decay.rate, 0.0) + _ONE_SIDED * decay.sigma
    return LifetimeResult(
        lifetime=lifetime,
        sigma=decay.relative_error * lifetime,
        lower_limit=1.0 / slowest,
        time=decline.time - decline.time[0],
        current=decline.current,
        first=decline.first,
        injections=decline.injections,
        noise=decay.noise,
        stopped=stopped,
        uid=uid,
    )
