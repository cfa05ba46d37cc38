"""Plots of an orbit feedback: the distance from the goal, cycle after cycle."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.feedback import FeedbackResult
from acctwin.plots.figure import COLOURS


def draw_feedback(axes: Axes, result: FeedbackResult) -> None:
    """Draw the rms from the goal [µm] in each cycle, both planes."""
    cycle = np.arange(result.cycles)
    for plane, values in (("x", result.rms_x), ("y", result.rms_y)):
        axes.plot(cycle, values * 1e6, color=COLOURS[plane], linewidth=0.9, label=plane)
    lost = f", {result.beam_losses} × beam lost" if result.beam_losses else ""
    axes.set_title(f"{result.cycles} cycles{lost}: {result.stopped}", fontsize=10)
    axes.set_xlabel("cycle")
    axes.set_ylabel("rms from the goal [µm]")
    axes.set_yscale("log")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
