"""Beta functions: from what quadrupoles do to the tunes, or from phase advances.

A quadrupole of length L that is changed by Δk changes the one-turn trace (M. Minty,
F. Zimmermann, Measurement and Control of Charged Particle Beams, section 2.3.2):

    cos 2πQ' = cos 2πQ ∓ (β ΔkL / 2) sin 2πQ,    − in x, + in y,

so that β = (2/ΔkL) |cot 2πQ (1 − cos 2πΔQ) + sin 2πΔQ|. Here it is taken between two
tunes, one on either side, which is exact for a thin quadrupole and cancels the second
order of a long one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from acctwin.names import FloatArray

BetaMethod = Literal["modulation", "turns"]


@dataclass(frozen=True)
class Places:
    """Where beta functions are measured, and what the design has there.

    Attributes:
        names: Quadrupoles, supplies of several, or BPMs.
        s: Positions [m], (n,).
        beta: The design's [m], (n, 2).
        phase: The design's, from the beginning of the ring [rad], (n, 2).
        tunes: The design's whole tunes, (2,).
    """

    names: tuple[str, ...]
    s: FloatArray
    beta: FloatArray
    phase: FloatArray
    tunes: FloatArray


@dataclass(frozen=True)
class PhaseAdvance:
    """Betatron phase at BPMs, counted from the first of them.

    Attributes:
        x: Horizontal [rad], (n,).
        y: Vertical [rad], (n,).
        sigma_x: Standard error of ``x`` [rad], (n,).
        sigma_y: Standard error of ``y`` [rad], (n,).
        model_x: The design's [rad], (n,).
        model_y: The design's [rad], (n,).
    """

    x: FloatArray
    y: FloatArray
    sigma_x: FloatArray
    sigma_y: FloatArray
    model_x: FloatArray
    model_y: FloatArray


@dataclass(frozen=True)
class BetaResult:
    """Beta functions at quadrupoles, averaged over their length, or at BPMs.

    Attributes:
        names: Quadrupoles or BPMs; magnets in series are one row, with the name of
            their supply and the mean over their whole length.
        s: Positions [m], (n,); of the first magnet in series.
        beta_x: Horizontal [m], (n,); NaN at a BPM whose neighbours are all at multiples
            of the half-integer in phase.
        beta_y: Vertical [m], (n,).
        sigma_x: Standard error of ``beta_x`` [m], (n,).
        sigma_y: Standard error of ``beta_y`` [m], (n,).
        model_x: The design's [m], (n,).
        model_y: The design's [m], (n,).
        method: ``"modulation"`` or ``"turns"``.
        phase: Phase advances, from ``"turns"``; else None.
        uid: Run that holds the readings.
    """

    names: tuple[str, ...]
    s: FloatArray
    beta_x: FloatArray
    beta_y: FloatArray
    sigma_x: FloatArray
    sigma_y: FloatArray
    model_x: FloatArray
    model_y: FloatArray
    method: BetaMethod
    phase: PhaseAdvance | None = None
    uid: str = ""

    @property
    def beat_x(self) -> FloatArray:
        """(β − β_design)/β_design, horizontal, (n,)."""
        return self.beta_x / self.model_x - 1.0

    @property
    def beat_y(self) -> FloatArray:
        """(β − β_design)/β_design, vertical, (n,)."""
        return self.beta_y / self.model_y - 1.0

    @property
    def rms_beat(self) -> tuple[float, float]:
        """Root mean square of the beat in x and y, where it was measured."""
        return (
            float(np.sqrt(np.nanmean(self.beat_x**2))),
            float(np.sqrt(np.nanmean(self.beat_y**2))),
        )


def beta_of_modulation(
    low: FloatArray,
    high: FloatArray,
    integrated: FloatArray,
    sigma_low: FloatArray,
    sigma_high: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the mean beta of quadrupoles from two tunes each.

    Args:
        low: Whole tunes with the weaker strength, (n, 2).
        high: Whole tunes with the stronger strength, (n, 2).
        integrated: Difference of the integrated strengths ΔkL [1/m], (n,).
        sigma_low: Standard errors of ``low``, (n, 2).
        sigma_high: Standard errors of ``high``, (n, 2).

    Returns:
        β in x and y [m], (n, 2), and its standard error [m], (n, 2).
    """
    turn = 2.0 * np.pi
    cos_low, cos_high = np.cos(turn * low), np.cos(turn * high)
    sine = np.sqrt(1.0 - ((cos_low + cos_high) / 2.0) ** 2)
    sine = np.copysign(sine, np.sin(turn * (low + high) / 2.0))
    scale = 2.0 * np.array([1.0, -1.0]) / (integrated[:, None] * sine)
    beta = scale * (cos_low - cos_high)
    by_low = np.abs(scale * turn * np.sin(turn * low)) * sigma_low
    by_high = np.abs(scale * turn * np.sin(turn * high)) * sigma_high
    return beta, np.hypot(by_low, by_high)


def beta_result(
    places: Places,
    beta: FloatArray,
    sigma: FloatArray,
    method: BetaMethod,
    phase: PhaseAdvance | None = None,
    uid: str = "",
) -> BetaResult:
    """Put a result together.

    Args:
        places: Where.
        beta: β in x and y [m], (n, 2).
        sigma: Its standard error [m], (n, 2).
        method: ``"modulation"`` or ``"turns"``.
        phase: Phase advances, where they were measured.
        uid: Run that holds the readings.
    """
    return BetaResult(
        places.names,
        places.s,
        *beta.T,
        *sigma.T,
        *places.beta.T,
        method=method,
        phase=phase,
        uid=uid,
    )
