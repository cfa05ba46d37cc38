"""The decay of the stored current."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.lifetime import LifetimeResult
from acctwin.plots.figure import COLOURS


def draw_lifetime(axes: Axes, result: LifetimeResult) -> None:
    """Draw the readings [mA] against time [s], and the exponential through them."""
    used = slice(result.first, None)
    time, current = result.time[used], result.current[used]
    for part, colour in ((slice(None, result.first), "0.7"), (used, COLOURS["x"])):
        axes.plot(
            result.time[part], result.current[part] * 1e3, ".", color=colour, ms=4
        )
    if math.isinf(result.lifetime):
        axes.set_title(f"lifetime > {result.lower_limit / 3600:.3g} h (95 %)")
    else:
        level = np.exp(np.mean(np.log(current) + time / result.lifetime))
        axes.plot(
            time, level * np.exp(-time / result.lifetime) * 1e3, color=COLOURS["y"]
        )
        hours = result.lifetime / 3600, result.sigma / 3600
        axes.set_title(f"lifetime ({hours[0]:.4g} ± {hours[1]:.2g}) h")
    axes.set_xlabel("time [s]")
    axes.set_ylabel("current [mA]")
    axes.grid(alpha=0.3)
