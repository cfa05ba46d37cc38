"""Response matrices from readings at displaced actuators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.errors import DataError, UnknownName
from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class ResponseResult:
    """What monitors do when actuators move.

    Attributes:
        matrix: d(monitor)/d(actuator), (n_monitors, n_actuators).
        sigma: Standard error of each entry, same shape; NaN where there was a
            single reading on each side.
        monitors: Label of each row, ``name:what``, e.g. ``"SR/C04/BPM-01:x"``.
        actuators: Name of each column.
        deltas: Full step of each actuator, (n_actuators,).
        units: Of each column, e.g. ``"m/rad"``.
        uid: Run that holds the readings; empty for a model's matrix.
    """

    matrix: FloatArray
    sigma: FloatArray
    monitors: tuple[str, ...]
    actuators: tuple[str, ...]
    deltas: FloatArray
    units: tuple[str, ...]
    uid: str = ""

    def rows(self, labels: Sequence[str]) -> IntArray:
        """Return the row numbers of some monitors.

        Raises:
            UnknownName: A label that was not measured.
        """
        return _places("measured monitor", labels, self.monitors)

    def columns(self, names: Sequence[str]) -> IntArray:
        """Return the column numbers of some actuators.

        Raises:
            UnknownName: An actuator that was not measured.
        """
        return _places("measured actuator", names, self.actuators)

    def block(self, labels: Sequence[str], names: Sequence[str]) -> FloatArray:
        """Return the matrix for some monitors and actuators, in their order."""
        return self.matrix[np.ix_(self.rows(labels), self.columns(names))]


def fit_response(
    readings: FloatArray,
    actuator: IntArray,
    offset: FloatArray,
    *,
    monitors: tuple[str, ...],
    actuators: tuple[str, ...],
    units: tuple[str, ...],
    uid: str = "",
) -> ResponseResult:
    """Fit a straight line for each actuator through the readings it was moved for.

    With one step up and one down this is the difference over the step. The line is
    fitted with an intercept of its own for each actuator, so a slow drift of the
    readings from one actuator to the next does not enter.

    Args:
        readings: One row for each event, (n_events, n_monitors).
        actuator: Which actuator was displaced, (n_events,).
        offset: By how much, (n_events,).
        monitors: Labels of the columns of ``readings``.
        actuators: Names, in the order that ``actuator`` counts.
        units: Of each column of the result.
        uid: Run that holds the readings.

    Raises:
        DataError: An actuator was not moved to two different places.
    """
    shape = (readings.shape[1], len(actuators))
    matrix, sigma, deltas = np.empty(shape), np.empty(shape), np.empty(shape[1])
    for j, name in enumerate(actuators):
        chosen = actuator == j
        if np.unique(offset[chosen]).size < 2:
            raise DataError(
                f"run {uid or '(not stored)'}: {name} was measured at "
                f"{np.unique(offset[chosen]).size} places; a response needs two"
            )
        matrix[:, j], sigma[:, j] = _slope(offset[chosen], readings[chosen])
        deltas[j] = np.ptp(offset[chosen])
    return ResponseResult(matrix, sigma, monitors, actuators, deltas, units, uid)


def _slope(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return slopes of y (n, m) against x (n,), and their standard errors, (m,)."""
    dx = x - x.mean()
    spread = float(dx @ dx)
    slope: FloatArray = dx @ y / spread
    freedom = len(x) - 2
    if freedom < 1:
        return slope, np.full((y.shape[1],), np.nan)
    residual = y - y.mean(axis=0) - np.outer(dx, slope)
    variance: FloatArray = np.square(residual).sum(axis=0) / freedom
    return slope, np.sqrt(variance / spread)


def _places(what: str, wanted: Sequence[str], known: tuple[str, ...]) -> IntArray:
    index = {name: i for i, name in enumerate(known)}
    for name in wanted:
        if name not in index:
            raise UnknownName(what, name, known)
    return np.array([index[name] for name in wanted], dtype=np.int64)
