"""Betatron oscillations in turn-by-turn data: tune, amplitudes and phases.

The tune is where the spectrum of a record under a Hann window is largest, between the
lines of the FFT (J. Laskar, Physica D 67 (1993) 257; R. Bartolini et al., Part. Accel.
52 (1996) 147). All BPMs have the same tune, so it is the power of all of them together
that is made largest. The patterns of a singular value decomposition, instead of the
BPMs, give the same tune with the same error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from scipy import optimize as scipy_optimize  # type: ignore[reportMissingTypeStubs]

from acctwin.errors import DataError
from acctwin.names import FloatArray, Plane

#: Fewer turns than this make no spectrum in which a tune can be found.
LEAST_TURNS = 32
#: An oscillation must be so much larger than its own standard error.
SIGNIFICANT = 10.0
#: No tune is looked for closer to the integer: the closed orbit is there.
MARGIN = 0.01

#: scipy has no types that would say what these are.
_optimize = cast("Any", scipy_optimize)
ComplexArray: TypeAlias = NDArray[np.complex128]


@dataclass(frozen=True)
class Oscillation:
    """A free betatron oscillation in one plane.

    x(n) = Re(amplitude · exp(2πi·frequency·n)), n counting from ``first``.

    Attributes:
        frequency: Per turn, 0 to 0.5.
        sigma: Its standard error.
        amplitude: Complex, at each BPM [m], (n_bpm,).
        sigma_amplitude: Standard error of its real and of its imaginary part [m],
            (n_bpm,).
        turns: How many turns were used.
    """

    frequency: float
    sigma: float
    amplitude: ComplexArray
    sigma_amplitude: FloatArray
    turns: int

    @property
    def phase(self) -> FloatArray:
        """Phase at each BPM [rad], (n_bpm,)."""
        return np.angle(self.amplitude)

    @property
    def sigma_phase(self) -> FloatArray:
        """Standard error of the phase [rad], (n_bpm,)."""
        return self.sigma_amplitude / np.abs(self.amplitude)


def find_oscillation(positions: FloatArray, plane: Plane) -> Oscillation:
    """Find the strongest oscillation of a record.

    Args:
        positions: Of the beam at each BPM [m], (n_turns, n_bpm). The first turn is
            not used: BPMs in front of the pinger see nothing in it.
        plane: For messages.

    Raises:
        DataError: The record is too short, or no oscillation stands out of it.
    """
    record = positions[1:] - positions[1:].mean(axis=0)
    turns = len(record)
    if turns < LEAST_TURNS:
        raise DataError(
            f"turn-by-turn data in {plane}: {turns + 1} turns found, wanted at least "
            f"{LEAST_TURNS + 1}"
        )
    window = np.hanning(turns + 1)[:-1]
    frequency = _peak(record, window)
    amplitude = _amplitudes(record, window, frequency)
    noise = _noise(record, window)
    size = float(np.sqrt(np.sum(np.abs(amplitude) ** 2)))
    error = noise * np.sqrt(2 * np.sum(window**2)) / np.sum(window)
    if not size > SIGNIFICANT * np.sqrt(np.sum(error**2)):
        raise DataError(
            f"turn-by-turn data in {plane}: no oscillation is seen, the largest is "
            f"{np.abs(amplitude).mean():.2g} m with a noise of {noise.mean():.2g} m a "
            "turn; kick more, or take more turns"
        )
    sigma = _frequency_error(noise, amplitude, window)
    return Oscillation(frequency, sigma, amplitude, error, turns)


def is_above_half(oscillation: Oscillation, phase: FloatArray) -> bool:
    """Tell whether the fractional tune is above 0.5.

    A tune 1 − f looks like f, but with all phases the other way round; so it is seen
    from how the phases go along the ring.

    Args:
        oscillation: The oscillation.
        phase: Phase advance of the design to each BPM [rad], (n_bpm,).
    """
    unit = oscillation.amplitude / np.abs(oscillation.amplitude)
    forward = abs(np.sum(unit * np.exp(-1j * phase)))
    backward = abs(np.sum(unit * np.exp(1j * phase)))
    return bool(backward > forward)


def _peak(record: FloatArray, window: FloatArray) -> float:
    """Return the frequency at which the power is largest."""
    windowed = window[:, None] * record
    turns = len(window)
    power = np.sum(np.abs(np.fft.rfft(windowed, axis=0)) ** 2, axis=1)
    lines = np.arange(len(power)) / turns
    power[(lines < MARGIN) | (lines > 0.5 - 1.0 / turns)] = 0.0
    best = lines[int(np.argmax(power))]
    number = np.arange(turns)

    def loss(frequency: float) -> float:
        wave = np.exp(-2j * np.pi * frequency * number)
        return -float(np.sum(np.abs(wave @ windowed) ** 2))

    found = _optimize.minimize_scalar(
        loss,
        bounds=(best - 1.0 / turns, best + 1.0 / turns),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return float(found.x)


def _amplitudes(
    record: FloatArray, window: FloatArray, frequency: float
) -> ComplexArray:
    wave = window * np.exp(-2j * np.pi * frequency * np.arange(len(record)))
    return np.asarray(2.0 * (wave @ record) / np.sum(window), dtype=np.complex128)


def _noise(record: FloatArray, window: FloatArray) -> FloatArray:
    """Return the white noise of each BPM [m], (n_bpm,): between the spectral lines.

    The power of white noise at one frequency is distributed exponentially, so its
    median is ln 2 of its mean, however strong a few lines are.
    """
    power = np.abs(np.fft.rfft(window[:, None] * record, axis=0)) ** 2
    return np.sqrt(np.median(power, axis=0) / (np.log(2.0) * np.sum(window**2)))


def _frequency_error(
    noise: FloatArray, amplitude: ComplexArray, window: FloatArray
) -> float:
    """Return the error that noise makes in the place of the peak.

    With m the turn counted from the middle, a small change of the record moves the
    peak of BPMs together by 2 Σ a Σ w m ε sin / (Σ a² Σ w m²).
    """
    middle = np.arange(len(window)) - (len(window) - 1) / 2
    spread = np.sum(window**2 * middle**2) / np.sum(window * middle**2) ** 2
    size = np.abs(amplitude)
    weighted = np.sum(size**2 * noise**2) / np.sum(size**2) ** 2
    return float(np.sqrt(2.0 * weighted * spread) / (2.0 * np.pi))
