"""Coupling of the two transverse planes: what was measured, and what was corrected.

An uncoupled machine answers a horizontal kick in x and a vertical one in y. Skew
quadrupoles (rolled quadrupoles, sextupoles off centre) make it answer in the other
plane as well, make vertical dispersion, and hold the tunes apart. A BPM that is rolled
by φ shows φ times the direct answer as if it were coupling: so much of ``value`` of a
:class:`CrossResponse` (rms roll of the BPMs and correctors) is not of the beam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from acctwin.analysis.response import ResponseResult
from acctwin.names import BoolArray, FloatArray

CouplingMethod = Literal["response", "tunes", "emittance"]


@dataclass(frozen=True)
class CouplingResult:
    """How strongly the planes are coupled, as one number; what it is says the method.

    Attributes:
        value: ``"response"``: rms of the cross-plane orbit response over rms of the
            direct one. ``"tunes"``: closest approach of the tunes, |C⁻|.
            ``"emittance"``: vertical over horizontal emittance.
        sigma: Its standard error; NaN from single readings.
        method: How it was measured.
        uid: Run that holds the readings.
    """

    value: float
    sigma: float
    method: CouplingMethod
    uid: str


@dataclass(frozen=True)
class CrossResponse(CouplingResult):
    """Coupling as the orbit shows it.

    Attributes:
        noise: What the noise of the readings alone would give as ``value``.
        response: x at all BPMs, then y, by correctors and the RF where there is one.
        actuator_planes: ``"x"``, ``"y"``, or ``"rf"``: of each column, (n_act,).
        names: BPMs, (n_bpm,).
        eta_y: Vertical dispersion [m], (n_bpm,); NaN without RF.
        sigma_eta_y: Its standard error [m], (n_bpm,).
        slip_factor: η = αc − 1/γ² that made dispersion of the RF's column.
        rf_hz: The RF frequency [Hz].
    """

    noise: float
    response: ResponseResult
    actuator_planes: tuple[str, ...]
    names: tuple[str, ...]
    eta_y: FloatArray
    sigma_eta_y: FloatArray
    slip_factor: float
    rf_hz: float

    def with_matrix(self, matrix: FloatArray) -> CrossResponse:
        """Return the same with another response, (2·n_bpm, n_act)."""
        return cross_response(
            replace(self.response, matrix=matrix),
            self.actuator_planes,
            slip_factor=self.slip_factor,
            rf_hz=self.rf_hz,
        )


@dataclass(frozen=True)
class ClosestTunes(CouplingResult):
    """Coupling as the tunes show it, which repel each other where they meet.

    Attributes:
        offset: Change of Qx − Qy that was asked of the quadrupoles, (n_points,).
        distance: Measured |Qx − Qy| without integers, (n_points,).
        sigma_distance: Its standard error, (n_points,).
        center: Offset where the uncoupled tunes would meet.
        slope: d(Qx − Qy)/d(offset) of the uncoupled tunes; 1 as the design says.
    """

    offset: FloatArray
    distance: FloatArray
    sigma_distance: FloatArray
    center: float
    slope: float


@dataclass(frozen=True)
class EmittanceRatio(CouplingResult):
    """Coupling as the beam sizes show it.

    Attributes:
        ex: Horizontal emittance [m rad].
        ey: Vertical emittance [m rad].
        sigma_ex: Standard error [m rad].
        sigma_ey: Standard error [m rad].
    """

    ex: float
    ey: float
    sigma_ex: float
    sigma_ey: float


@dataclass(frozen=True)
class SetCouplingResult:
    """What a correction of the coupling did.

    Attributes:
        before: Coupling at the start.
        after: Coupling at the end (what is predicted, for a preview).
        skews: Skew quadrupoles that were used.
        steps: Total change of each, (n,), in ``unit``.
        setpoints: Where each is at the end, (n,), in ``unit``.
        unit: Of their strengths.
        residual: What was to become small, at the start and after each iteration that
            was kept, as a fraction of the direct response, (iterations + 1,).
        kept: Singular values that were used.
        iterations: How many iterations were applied and kept.
        stopped: Why it ended, in words.
        is_preview: True when nothing was set.
        uid: Run that holds the readings.
    """

    before: CrossResponse
    after: CrossResponse
    skews: tuple[str, ...]
    steps: FloatArray
    setpoints: FloatArray
    unit: str
    residual: FloatArray
    kept: int
    iterations: int
    stopped: str
    is_preview: bool
    uid: str = ""


def cross_response(
    response: ResponseResult,
    actuator_planes: Sequence[str],
    *,
    slip_factor: float,
    rf_hz: float,
) -> CrossResponse:
    """Return the coupling in an orbit response.

    Args:
        response: x at some BPMs, then y at the same, by correctors and the RF.
        actuator_planes: ``"x"``, ``"y"`` or ``"rf"``: of each column, (n_act,).
        slip_factor: η = αc − 1/γ², makes dispersion of the RF's column; unused
            without RF.
        rf_hz: The RF frequency [Hz]; unused without RF.
    """
    planes = tuple(actuator_planes)
    cross, direct, vertical = _blocks(len(response.matrix), planes)
    size = float(np.linalg.norm(response.matrix[direct]))
    seen, error = response.matrix[cross], response.sigma[cross]
    total = float(np.linalg.norm(seen))
    per_momentum = -slip_factor * rf_hz  # δ = −(Δf/f)/η
    eta, sigma_eta = (
        values[vertical] if "rf" in planes else np.full(len(values) // 2, np.nan)
        for values in (response.matrix, response.sigma)
    )
    return CrossResponse(
        value=total / size,
        sigma=float(np.linalg.norm(seen * error)) / total / size if total else np.nan,
        method="response",
        uid=response.uid,
        noise=float(np.linalg.norm(error)) / size,
        response=response,
        actuator_planes=planes,
        names=tuple(
            label.rpartition(":")[0]
            for label in response.monitors[: len(response.matrix) // 2]
        ),
        eta_y=eta * per_momentum,
        sigma_eta_y=sigma_eta * abs(per_momentum),
        slip_factor=slip_factor,
        rf_hz=rf_hz,
    )


@dataclass(frozen=True)
class CrossTerms:
    """What of a response a correction makes small, and in which measure.

    The answer in y to horizontal kicks, in units of the direct answer in y; that in x
    to vertical kicks, in units of the direct one in x; and the vertical dispersion, in
    units of the horizontal one. So a number is a coupling, whatever its plane, and
    each column counts alike.

    Attributes:
        weights: Weight of each entry, 0 where it plays no part, (2·n_bpm, n_act).
    """

    weights: FloatArray

    @classmethod
    def of(cls, measured: CrossResponse, dispersion_weight: float) -> CrossTerms:
        """Return the terms of a measurement.

        Args:
            measured: Gives the size of the direct answers.
            dispersion_weight: Of the vertical dispersion against all correctors.
        """
        matrix, planes = measured.response.matrix, np.array(measured.actuator_planes)
        half = len(matrix) // 2
        in_x, in_y = matrix[:half], matrix[half:]
        weights = np.zeros(matrix.shape)
        weights[half:, planes == "x"] = 1.0 / _rms(in_y[:, planes == "y"])
        weights[:half, planes == "y"] = 1.0 / _rms(in_x[:, planes == "x"])
        correctors = int(np.count_nonzero(planes != "rf"))
        if dispersion_weight and "rf" in planes:
            share = dispersion_weight * np.sqrt(correctors / 2.0)
            weights[half:, planes == "rf"] = share / _rms(in_x[:, planes == "rf"])
        return cls(weights / np.sqrt(half * correctors))

    def select(self, matrix: FloatArray) -> FloatArray:
        """Return the weighted terms of a response, or of its derivatives.

        Args:
            matrix: (2·n_bpm, n_act) or (2·n_bpm, n_act, n_skew).

        Returns:
            (n_terms,) or (n_terms, n_skew); its norm is the rms coupling.
        """
        used = self.weights > 0.0
        weights = self.weights[used]
        return matrix[used] * weights.reshape(-1, *[1] * (matrix.ndim - 2))


def emittance_ratio(ex: FloatArray, ey: FloatArray, uid: str = "") -> EmittanceRatio:
    """Return the ratio of emittances.

    Args:
        ex: Readings [m rad], (n,).
        ey: Readings [m rad], (n,).
        uid: Run that holds them.
    """
    means = float(np.mean(ex)), float(np.mean(ey))
    sigmas = _standard_error(ex), _standard_error(ey)
    ratio = means[1] / means[0]
    relative = np.hypot(sigmas[0] / means[0], sigmas[1] / means[1])
    return EmittanceRatio(
        ratio, float(ratio * relative), "emittance", uid, *means, *sigmas
    )


def _blocks(rows: int, planes: Sequence[str]) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Return which entries are cross-plane, direct, and vertical dispersion."""
    is_x = np.arange(rows) < rows // 2
    of = np.array(planes)
    direct = np.outer(is_x, of == "x") | np.outer(~is_x, of == "y")
    cross = np.outer(is_x, of == "y") | np.outer(~is_x, of == "x")
    return cross, direct, np.outer(~is_x, of == "rf")


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _standard_error(values: FloatArray) -> float:
    if len(values) < 2:
        return float("nan")
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
