"""The RF frequency that fits the ring: from the orbit and from the correctors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray


@dataclass(frozen=True)
class SetRfResult:
    """What setting the RF frequency did.

    Attributes:
        before_hz: Frequency at the start [Hz].
        after_hz: Frequency at the end [Hz].
        steps: In how many steps.
        uid: Run that holds the readings.
    """

    before_hz: float
    after_hz: float
    steps: int
    uid: str = ""


@dataclass(frozen=True)
class RfResult:
    """What a change of the RF frequency was, and what called for it.

    Attributes:
        before_hz: Frequency at the start [Hz].
        after_hz: Frequency at the end [Hz].
        orbit_delta: Momentum offset that the orbit showed at the start.
        corrector_delta: Momentum offset that the horizontal correctors seemed to make
            at the start: the part of their orbit that looks like dispersion.
        corrector_energy: Momentum that their kicks brought at the start by the length
            of the orbit, −Σηθ/(αc C).
        residual: Momentum offset of the RF alone, ``orbit_delta − corrector_delta``,
            at the start and after each step, (iterations + 1,).
        sigma: Standard error of ``residual`` from the noise of the orbit; NaN where
            there was a single reading.
        iterations: How many steps were made.
        stopped: Why it ended, in words.
        uid: Run that holds the readings.
    """

    before_hz: float
    after_hz: float
    orbit_delta: float
    corrector_delta: float
    corrector_energy: float
    residual: FloatArray
    sigma: float
    iterations: int
    stopped: str
    uid: str = ""

    @property
    def delta(self) -> float:
        """Momentum offset of the RF alone at the start."""
        return float(self.residual[0])

    @property
    def change_hz(self) -> float:
        """How far the frequency was moved [Hz]."""
        return self.after_hz - self.before_hz


def momentum(offset_hz: FloatArray, rf_hz: float, slip_factor: float) -> FloatArray:
    """Return δ = −(Δf/f)/η, the momentum that a change of the RF brings.

    Args:
        offset_hz: Change of the frequency Δf [Hz].
        rf_hz: The frequency f before it [Hz].
        slip_factor: η = αc − 1/γ².
    """
    return -offset_hz / rf_hz / slip_factor


def project_on_dispersion(orbit: FloatArray, dispersion: FloatArray) -> float:
    """Return the δ whose orbit η δ is nearest to an orbit, by least squares.

    Args:
        orbit: Orbit minus goal [m], (n,).
        dispersion: η at the same places [m], (n,).
    """
    return float(orbit @ dispersion / (dispersion @ dispersion))


def corrector_momentum(
    kicks: FloatArray,
    dispersion: FloatArray,
    *,
    compaction: float,
    circumference: float,
) -> float:
    """Return the momentum that correctors bring about at a fixed RF frequency.

    A kick θ where the dispersion is η makes the closed orbit longer by ηθ; as the RF
    keeps the time of a turn, δ = −Σηθ / (αc C). It is what ``plotcm`` of the MML shows.

    Args:
        kicks: Horizontal kicks θ [rad], (n,).
        dispersion: η at the correctors [m], (n,).
        compaction: αc − 1/γ²: what a longer path means for the momentum.
        circumference: C [m].
    """
    return float(-(kicks @ dispersion) / (compaction * circumference))


def rf_step(delta: float, rf_hz: float, slip_factor: float) -> float:
    """Return the change of the RF [Hz] that takes a momentum offset away.

    δ = −(Δf/f)/η, so Δf = η f δ brings −δ.

    Args:
        delta: Momentum offset.
        rf_hz: The frequency f [Hz].
        slip_factor: η = αc − 1/γ².
    """
    return slip_factor * rf_hz * delta


@dataclass(frozen=True)
class MomentumOffset:
    """Momentum offsets that an orbit and correctors show.

    Attributes:
        orbit: What the orbit looks like.
        correctors: What the orbit of the correctors alone would look like.
        energy: See :func:`corrector_momentum`.
        sigma: Standard error of ``orbit``.
    """

    orbit: float
    correctors: float
    energy: float
    sigma: float

    @property
    def total(self) -> float:
        """Momentum offset of the RF alone."""
        return self.orbit - self.correctors


@dataclass(frozen=True)
class MomentumRuler:
    """What turns an orbit and kicks into momentum offsets.

    Attributes:
        eta: Dispersion at the BPMs, NaN where it is not known [m], (n_bpm,).
        eta_correctors: At the horizontal correctors [m], (n_hcm,).
        per_kick: Momentum that the orbit of each of them looks like [1/rad], (n_hcm,).
        goal: Horizontal orbit of the right momentum [m], (n_bpm,).
        slip_factor: η = αc − 1/γ² of the design.
        circumference: Of the design [m].
    """

    eta: FloatArray
    eta_correctors: FloatArray
    per_kick: FloatArray
    goal: FloatArray
    slip_factor: float
    circumference: float

    @property
    def has_correctors(self) -> bool:
        """Whether there are horizontal correctors."""
        return len(self.eta_correctors) > 0

    def measure(
        self, x: FloatArray, sigma_x: FloatArray, kicks: FloatArray
    ) -> MomentumOffset:
        """Return the momentum offsets that an orbit and kicks show.

        Args:
            x: Horizontal orbit [m], (n_bpm,).
            sigma_x: Its standard error [m], (n_bpm,).
            kicks: Of the horizontal correctors [rad], (n_hcm,).
        """
        known = np.isfinite(self.eta)
        eta = self.eta[known]
        return MomentumOffset(
            orbit=project_on_dispersion((x - self.goal)[known], eta),
            correctors=float(self.per_kick @ kicks),
            energy=corrector_momentum(
                kicks,
                self.eta_correctors,
                compaction=self.slip_factor,
                circumference=self.circumference,
            ),
            sigma=float(np.linalg.norm(sigma_x[known] * eta / (eta @ eta))),
        )
