"""The tune diagram: resonance lines, and how a correction went through it."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.tune_correction import SetTuneResult
from acctwin.plots.figure import COLOURS

#: Around the tunes, as a share of the way; and never less than this.
_SHARE, _LEAST = 0.5, 0.02


def draw_tunes(axes: Axes, result: SetTuneResult, order: int = 3) -> None:
    """Draw the tunes before, between and after a correction, and resonances.

    Args:
        axes: Where.
        result: Of ``set_tune``.
        order: Lines m·qx + n·qy = p are drawn up to |m| + |n| = ``order``.
    """
    points = np.vstack([result.tunes, result.target])
    middle, width = points.mean(axis=0), np.ptp(points, axis=0).max()
    half = max(_LEAST, (0.5 + _SHARE) * width)
    low, high = middle - half, middle + half
    for m, n, p in _lines(low, high, order):
        ends = low[0], high[0]
        colour, size = "0.75", 1.6 / (abs(m) + abs(n))
        if n == 0:
            axes.axvline(p / m, color=colour, linewidth=size)
        else:
            heights = [(p - m * qx) / n for qx in ends]
            axes.plot(ends, heights, color=colour, linewidth=size)
    axes.plot(*result.tunes.T, ".-", color=COLOURS["x"], label="measured")
    axes.plot(*result.target, "+", color=COLOURS["y"], markersize=12, label="target")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal")
    axes.set_xlabel("horizontal tune")
    axes.set_ylabel("vertical tune")
    axes.legend(loc="best", fontsize="small")


def _lines(low: np.ndarray, high: np.ndarray, order: int) -> list[tuple[int, int, int]]:
    """Return m, n, p of the resonance lines that go through a rectangle."""
    found: list[tuple[int, int, int]] = []
    for m in range(order + 1):
        for n in range(m - order, order - m + 1):
            if m == 0 and n <= 0:
                continue
            corners = [
                m * qx + n * qy for qx in (low[0], high[0]) for qy in (low[1], high[1])
            ]
            first, last = math.ceil(min(corners)), math.floor(max(corners))
            found += [(m, n, p) for p in range(first, last + 1)]
    return found
