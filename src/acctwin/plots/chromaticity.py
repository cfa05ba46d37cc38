"""Plots of the chromaticity."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.chromaticity import ChromaticityResult
from acctwin.names import PLANES
from acctwin.plots.figure import COLOURS

_SMOOTH = 101


def draw_chromaticity(axes: Axes, result: ChromaticityResult) -> None:
    """Draw the tunes less those at δ = 0, and the fit, against the momentum [%]."""
    delta = np.linspace(result.delta[0], result.delta[-1], _SMOOTH)
    powers = delta[:, None] ** np.arange(1, result.orders.shape[1] + 1)
    for axis, plane in enumerate(PLANES):
        change = result.tunes[:, axis] - result.tune[axis]
        xi, sigma = result.orders[axis, 0], result.sigma[axis, 0]
        axes.plot(result.delta * 100, change, "o", color=COLOURS[plane], ms=4)
        axes.plot(
            delta * 100,
            powers @ result.orders[axis],
            color=COLOURS[plane],
            linewidth=0.9,
            label=f"$\\xi_{plane}$ = {xi:.3f} ± {sigma:.1g}",
        )
    axes.set_xlabel("momentum δ [%]")
    axes.set_ylabel("tune − tune at δ = 0")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", fontsize="small")
