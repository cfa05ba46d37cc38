"""Orbit correction: the kicks that bring an orbit to its goal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.orbit import OrbitResult
from acctwin.names import BoolArray, FloatArray

#: A column that the chosen ones explain to within this fraction adds nothing.
_EXPLAINED = 1e-3


@dataclass(frozen=True)
class Solution:
    """What to change, and what it should do.

    Attributes:
        steps: Change of each actuator, (n_actuators,).
        predicted: Residual that should be left, (n_monitors,).
        singular_values: All of them, largest first; none when correctors were chosen.
        kept: How many of them were used, or how many correctors were chosen.
    """

    steps: FloatArray
    predicted: FloatArray
    singular_values: FloatArray
    kept: int


@dataclass(frozen=True)
class Inverse:
    """What turns a residual into steps, computed once and used many times.

    Attributes:
        matrix: Steps are −matrix @ residual, (n_actuators, n_monitors).
        singular_values: All of them, largest first.
        kept: How many were used.
    """

    matrix: FloatArray
    singular_values: FloatArray
    kept: int


@dataclass(frozen=True)
class CorrectionResult:
    """What an orbit correction did.

    Attributes:
        before: Orbit at the start.
        after: Orbit at the end (what would be predicted, for a preview).
        actuators: Names of all knobs.
        steps: Total change of each knob, (n,); in rad, in A if supplies were set, and
            in Hz for the RF.
        setpoints: Where each knob is at the end, (n,).
        rms_x: Horizontal rms from the goal, at the start and after each
            iteration [m].
        rms_y: The same, vertical [m].
        kept: Singular values, or chosen correctors, that were used.
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
    held: FloatArray | None = None,
) -> Solution:
    """Solve for the steps that cancel a residual, by singular value decomposition.

    Args:
        matrix: Response R, (n_monitors, n_actuators).
        residual: Orbit minus goal r, (n_monitors,).
        monitor_weights: See :func:`invert_response`.
        actuator_weights: See there.
        singular_values: See there.
        cutoff: See there.
        tikhonov: See there.
        held: See there.

    Returns:
        The steps, with the sign to be added to the setpoints.
    """
    inverse = invert_response(
        matrix,
        monitor_weights=monitor_weights,
        actuator_weights=actuator_weights,
        singular_values=singular_values,
        cutoff=cutoff,
        tikhonov=tikhonov,
        held=held,
    )
    steps = -inverse.matrix @ residual
    return Solution(
        steps, residual + matrix @ steps, inverse.singular_values, inverse.kept
    )


def invert_response(
    matrix: FloatArray,
    *,
    monitor_weights: FloatArray | None = None,
    actuator_weights: FloatArray | None = None,
    singular_values: int | None = None,
    cutoff: float = 1e-3,
    tikhonov: float = 0.0,
    held: FloatArray | None = None,
) -> Inverse:
    """Invert a response, by singular value decomposition.

    Minimises |W (R Δ + r)|² over the kept singular vectors, where actuators are
    scaled so that one step unit of each has the same weight; with ``tikhonov`` > 0
    each singular value s is damped to s² / (s² + (tikhonov · s_max)²).

    Args:
        matrix: Response R, (n_monitors, n_actuators).
        monitor_weights: Weight of each reading, (n_monitors,); default 1.
        actuator_weights: Relative freedom of each actuator, (n_actuators,);
            default 1 / rms of its column, so that a knob in Hz and one in rad
            are treated alike.
        singular_values: How many are kept; None: by ``cutoff``.
        cutoff: Values below this fraction of the largest are dropped.
        tikhonov: Damping, as a fraction of the largest singular value.
        held: Coefficients c of a sum that must not change, c·Δ = 0 exactly,
            (n_actuators,); the steps are sought in its null space.
    """
    rows = np.ones(len(matrix)) if monitor_weights is None else monitor_weights
    columns = _column_scale(matrix) if actuator_weights is None else actuator_weights
    free = np.diag(columns)
    if held is not None and np.any(held * columns):
        null_space = np.linalg.svd((held * columns)[None, :])[2][1:].T
        free = columns[:, None] * null_space
    left, values, right = np.linalg.svd(
        (rows[:, None] * matrix) @ free, full_matrices=False
    )
    kept = _count(values, singular_values, cutoff)
    used = values[:kept]
    damped = used / (np.square(used) + (tikhonov * values[0]) ** 2)
    inverse = (free @ (right[:kept].T * damped)) @ (left[:, :kept].T * rows)
    return Inverse(inverse, values, kept)


def solve_micado(
    matrix: FloatArray,
    residual: FloatArray,
    best: int,
    *,
    monitor_weights: FloatArray | None = None,
    actuator_weights: FloatArray | None = None,
    always: BoolArray | None = None,
    held: FloatArray | None = None,
) -> Solution:
    """Solve with few correctors: those that gain most, one after the other.

    MICADO (B. Autin, Y. Marti, CERN ISR-MA/73-17): the actuator that leaves the
    smallest residual together with those already chosen is added, until there are
    ``best``; the steps are least squares of the chosen ones.

    Args:
        matrix: Response R, (n_monitors, n_actuators).
        residual: Orbit minus goal r, (n_monitors,).
        best: How many are chosen at most; fewer where more would gain nothing.
        monitor_weights: Weight of each reading, (n_monitors,); default 1.
        actuator_weights: An actuator with 0 is not chosen, (n_actuators,).
        always: Actuators that take part in any case and do not count, such as the
            RF, (n_actuators,).
        held: Coefficients c of a sum that must not change, c·Δ = 0 exactly, for the
            chosen ones, (n_actuators,).
    """
    rows = np.ones(len(residual)) if monitor_weights is None else monitor_weights
    scale = _column_scale(matrix)
    if actuator_weights is not None:
        scale = np.where(actuator_weights != 0.0, scale, 0.0)
    scaled, wanted = rows[:, None] * matrix * scale, rows * residual
    first = [] if always is None else np.flatnonzero(always & (scale > 0.0)).tolist()
    chosen = _choose(scaled, wanted, best, first)
    if not chosen:
        return Solution(np.zeros(len(scale)), residual, np.zeros(0), 0)
    steps = np.zeros(len(scale))
    inverse = invert_response(
        matrix[:, chosen],
        monitor_weights=rows,
        cutoff=1e-12,
        held=None if held is None else held[chosen],
    )
    steps[chosen] = -inverse.matrix @ residual
    return Solution(
        steps, residual + matrix @ steps, np.zeros(0), len(chosen) - len(first)
    )


def _choose(
    matrix: FloatArray, wanted: FloatArray, best: int, first: list[int]
) -> list[int]:
    """Return the columns that explain most of a vector, as MICADO chooses them."""
    rest, left, chosen = matrix.copy(), wanted.copy(), list[int]()
    size = np.linalg.norm(matrix, axis=0)
    for number in range(len(first) + best):
        length = np.linalg.norm(rest, axis=0)
        is_new = length > _EXPLAINED * size
        gain = np.where(is_new, rest.T @ left / np.where(is_new, length, 1.0), 0.0)
        column = first[number] if number < len(first) else int(np.argmax(np.abs(gain)))
        if gain[column] == 0.0 and number >= len(first):
            break
        chosen.append(column)
        if is_new[column]:
            unit = rest[:, column] / length[column]
            left = left - unit * (unit @ left)
            rest = rest - np.outer(unit, unit @ rest)
    return chosen


def _column_scale(matrix: FloatArray) -> FloatArray:
    size = np.sqrt(np.mean(np.square(matrix), axis=0))
    return np.where(size > 0.0, 1.0 / np.where(size > 0.0, size, 1.0), 0.0)


def _count(values: FloatArray, wanted: int | None, cutoff: float) -> int:
    above = int(np.count_nonzero(values > cutoff * values[0]))
    useful = int(np.count_nonzero(values > 1e-12 * values[0]))
    if wanted is None:
        return max(1, above)
    return max(1, min(wanted, useful))
