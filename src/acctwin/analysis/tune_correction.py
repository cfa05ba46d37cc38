"""Tune correction: the quadrupole changes that bring the tunes to their goal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.tune import TuneResult, nearest_whole
from acctwin.names import FloatArray


@dataclass(frozen=True)
class SetTuneResult:
    """What ``set_tune`` did.

    Attributes:
        before: Tunes at the start.
        after: Tunes at the end.
        target: Whole tunes that were wanted, (2,).
        tunes: Measured at the start and after each iteration that was kept,
            (iterations + 1, 2).
        knobs: Families, or quadrupoles.
        steps: Total change of each knob, (n_knobs,), in ``units``.
        units: Of each step.
        magnets: All quadrupoles that were moved.
        setpoints: Where each of them is at the end, (n_magnets,).
        iterations: How many were applied and kept.
        reached: Whether both tunes are within the tolerance.
        stopped: Why it ended, in words.
        uid: Run that holds the readings.
    """

    before: TuneResult
    after: TuneResult
    target: FloatArray
    tunes: FloatArray
    knobs: tuple[str, ...]
    steps: FloatArray
    units: tuple[str, ...]
    magnets: tuple[str, ...]
    setpoints: FloatArray
    iterations: int
    reached: bool
    stopped: str
    uid: str = ""


@dataclass(frozen=True)
class StepTuneResult:
    """What ``step_tune`` did.

    Attributes:
        change: Change of the tunes that was wanted; nothing was measured, (2,).
        knobs: Families, or quadrupoles.
        steps: Change of each knob, (n_knobs,), in ``units``.
        units: Of each step.
        magnets: All quadrupoles that were moved.
        setpoints: Where each of them is now, (n_magnets,).
        uid: The run.
    """

    change: FloatArray
    knobs: tuple[str, ...]
    steps: FloatArray
    units: tuple[str, ...]
    magnets: tuple[str, ...]
    setpoints: FloatArray
    uid: str = ""


def whole_target(wanted: FloatArray, present: FloatArray) -> FloatArray:
    """Return whole tunes that are wanted, (2,).

    Args:
        wanted: Whole, or fractional: then the nearest to the present one is meant,
            (2,).
        present: Whole tunes, (2,).
    """
    is_fractional = (wanted >= 0.0) & (wanted < 1.0)
    return np.where(is_fractional, nearest_whole(wanted, present), wanted)


def crossed(present: FloatArray, target: FloatArray) -> float | None:
    """Return an integer or half-integer that is between two tunes, or None.

    Args:
        present: Tunes in x and y, (2,).
        target: Tunes in x and y, (2,).
    """
    for here, there in zip(present.tolist(), target.tolist(), strict=True):
        low, high = sorted([2.0 * here, 2.0 * there])
        line = np.ceil(low)
        if line <= high:
            return float(line) / 2.0
    return None


def solve_tune(
    response: FloatArray, change: FloatArray, max_step: float = np.inf
) -> FloatArray:
    """Solve for the smallest steps that change the tunes.

    Args:
        response: dQ/d(knob) in x and y, (2, n_knobs).
        change: Wanted change of the tunes, (2,).
        max_step: Neither tune is changed by more; the way is shortened, not bent.

    Returns:
        Steps of least norm, (n_knobs,).
    """
    largest = float(np.abs(change).max())
    share = min(1.0, max_step / largest) if largest else 1.0
    return np.linalg.pinv(response) @ (share * change)
