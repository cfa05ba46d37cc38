"""Plots of a local bump: what moved inside, and what leaks out."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.bump import BumpResult
from acctwin.names import PLANES
from acctwin.plots.figure import COLOURS


def draw_bump(axes: Axes, bump: BumpResult) -> None:
    """Draw the change of the orbit [µm] along the ring [m], both planes."""
    s = bump.before.s
    for plane, change in zip(PLANES, bump.change, strict=True):
        axes.plot(s, change * 1e6, color=COLOURS[plane], linewidth=0.9, label=plane)
    inside = s[bump.is_inside]
    if len(inside) and np.ptp(inside) < np.ptp(s) / 2:
        axes.axvspan(inside.min(), inside.max(), color="0.9", label="bump")
    axes.set_title(
        f"{bump.plane} at {bump.place}: {bump.leakage_max:.2%} leaks out", fontsize=10
    )
    axes.set_xlabel("s [m]")
    axes.set_ylabel("change of the orbit [µm]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
