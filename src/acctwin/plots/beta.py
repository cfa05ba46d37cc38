"""Beta functions along the ring, and how they differ from the design's."""

from __future__ import annotations

from matplotlib.axes import Axes

from acctwin.analysis.beta import BetaResult
from acctwin.plots.figure import COLOURS


def draw_beta(axes: Axes, result: BetaResult) -> None:
    """Draw the beta functions [m] with errors, and the design's in grey."""
    for plane in ("x", "y"):
        axes.plot(result.s, getattr(result, f"model_{plane}"), ".", color="0.7", ms=4)
        axes.errorbar(
            result.s,
            getattr(result, f"beta_{plane}"),
            getattr(result, f"sigma_{plane}"),
            fmt=".",
            color=COLOURS[plane],
            ms=4,
            linewidth=0.9,
            label=plane,
        )
    axes.set_ylabel("β [m]")
    _dress(axes)


def draw_beat(axes: Axes, result: BetaResult) -> None:
    """Draw by how much the beta functions differ from the design's [%]."""
    for plane, rms in zip(("x", "y"), result.rms_beat, strict=True):
        axes.errorbar(
            result.s,
            1e2 * getattr(result, f"beat_{plane}"),
            1e2 * getattr(result, f"sigma_{plane}") / getattr(result, f"model_{plane}"),
            fmt=".",
            color=COLOURS[plane],
            ms=4,
            linewidth=0.9,
            label=f"{plane}: rms {1e2 * rms:.2g} %",
        )
    axes.set_ylabel("Δβ/β [%]")
    _dress(axes)


def _dress(axes: Axes) -> None:
    axes.set_xlabel("s [m]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
