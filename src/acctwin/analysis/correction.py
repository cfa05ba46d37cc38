"""Orbit correction: the kicks that bring an orbit to its goal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.orbit import OrbitResult
from acctwin.names import FloatArray


@dataclass(frozen=True)
class Solution:
    """What to change, and what it should do.

    Attributes:
        steps: Change of each actuator, (n_actuators,).
        predicted: Residual that should be left, (n_monitors,).
        singular_values: All of them, largest first.
        kept: How many were used.
    """

    steps: FloatArray
    predicted: FloatArray
    singular_values: FloatArray
    kept: int


@dataclass(frozen=True)
class CorrectionResult:
    """What an orbit correction did.

    Attributes:
        before: Orbit at the start.
        after: Orbit at the end (what would be predicted, for a preview).
        actuators: Names of all knobs.
        steps: Total change of each knob, (n,); in rad, and Hz for the RF.
        setpoints: Where each knob is at the end, (n,).
        rms_x: Horizontal rms from the goal, at the start and after each
            iteration [m].
        rms_y: The same, vertical [m].
        kept: Singular values that were used.
        iterations: How many iterations were applied and kept.
        stopped: Why it ended, in words.
        is_preview: True when nothing was set.
        uid: Run that holds the readings.
    """

    before: OrbitResult
    after: OrbitResult
    actuators: tuple[str, ...]
    steps: FloatArray
    setpoints: FloatArray
    rms_x: FloatArray
    rms_y: FloatArray
    kept: int
    iterations: int
    stopped: str
    is_preview: bool
    uid: str = ""


def solve_correction(
    matrix: FloatArray,
    residual: FloatArray,
    *,
    monitor_weights: FloatArray | None = None,
    actuator_weights: FloatArray | None = None,
    singular_values: int | None = None,
    cutoff: float = 1e-3,
    tikhonov: float = 0.0,
) -> Solution:
    """Solve for the steps that cancel a residual, by singular value decomposition.

    Minimises |W (R Δ + r)|² over the kept singular vectors, where actuators are
    scaled so that one step unit of each has the same weight; with ``tikhonov`` > 0
    each singular value s is damped to s² / (s² + (tikhonov · s_max)²).

    Args:
        matrix: Response R, (n_monitors, n_actuators).
        residual: Orbit minus goal r, (n_monitors,).
        monitor_weights: Weight of each reading, (n_monitors,); default 1.
        actuator_weights: Relative freedom of each actuator, (n_actuators,);
            default 1 / rms of its column, so that a knob in Hz and one in rad
            are treated alike.
        singular_values: How many are kept; None: by ``cutoff``.
        cutoff: Values below this fraction of the largest are dropped.
        tikhonov: Damping, as a fraction of the largest singular value.

    Returns:
        The steps, with the sign to be added to the setpoints.
    """
    rows = np.ones(len(residual)) if monitor_weights is None else monitor_weights
    columns = _column_scale(matrix) if actuator_weights is None else actuator_weights
    scaled = rows[:, None] * matrix * columns[None, :]
    left, values, right = np.linalg.svd(scaled, full_matrices=False)
    kept = _count(values, singular_values, cutoff)
    used = values[:kept]
    inverse = used / (np.square(used) + (tikhonov * values[0]) ** 2)
    steps = -columns * (
        right[:kept].T @ (inverse * (left[:, :kept].T @ (rows * residual)))
    )
    return Solution(steps, residual + matrix @ steps, values, kept)


def _column_scale(matrix: FloatArray) -> FloatArray:
    size = np.sqrt(np.mean(np.square(matrix), axis=0))
    return np.where(size > 0.0, 1.0 / np.where(size > 0.0, size, 1.0), 0.0)


def _count(values: FloatArray, wanted: int | None, cutoff: float) -> int:
    above = int(np.count_nonzero(values > cutoff * values[0]))
    useful = int(np.count_nonzero(values > 1e-12 * values[0]))
    if wanted is None:
        return max(1, above)
    return max(1, min(wanted, useful))
