"""Derivatives of a response by central differences, for what has no formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.errors import PlanError
from acctwin.names import FloatArray, IntArray

#: Singular values of a derivative below this part of its largest are left out; they
#: are the rounding of the differences.
NEGLIGIBLE = 1e-8


def difference_factors(
    response: Callable[[FloatArray], FloatArray], values: FloatArray, steps: FloatArray
) -> Factors:
    """Return d(orbit response)/d(value) as factors.

    Args:
        response: The response at some values, (n,) to (2·n_monitors, n_actuators).
        values: Where, (n,).
        steps: To each side, of each value that is varied; 0: it has no factors, (n,).

    Returns:
        One element for each value that is varied; its owner is the place in ``values``.

    Raises:
        PlanError: No value is varied.
        BeamLost: There is no stable motion at a step.
    """
    varied: IntArray = np.flatnonzero(steps)
    if not len(varied):
        raise PlanError("no value is varied: derivatives by differences need steps")
    parts = list[tuple[FloatArray, FloatArray]]()
    for place in varied.tolist():
        step = np.zeros_like(values)
        step[place] = steps[place]
        change = response(values + step) - response(values - step)
        parts.append(_compressed(change / (2 * steps[place])))
    rank = max(len(right) for _, right in parts)
    left = [np.pad(one, ((0, 0), (0, rank - one.shape[1]))) for one, _ in parts]
    right = [np.pad(one, ((0, rank - len(one)), (0, 0))) for _, one in parts]
    return Factors(varied, np.array(left), np.array(right), len(values))


def _compressed(derivative: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a matrix as left·right of the lowest rank, at least 1."""
    left, sizes, right = np.linalg.svd(derivative, full_matrices=False)
    rank = max(1, int((sizes > NEGLIGIBLE * sizes[0]).sum()))
    return left[:, :rank] * sizes[:rank], right[:rank]
