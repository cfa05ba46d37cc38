"""Plots of the dispersion."""

from __future__ import annotations

from matplotlib.axes import Axes

from acctwin.analysis.dispersion import DispersionResult
from acctwin.names import PLANES
from acctwin.plots.figure import COLOURS


def draw_dispersion(axes: Axes, result: DispersionResult) -> None:
    """Draw both planes of the dispersion [mm] with errors along the ring [m]."""
    for plane in PLANES:
        eta, sigma = getattr(result, f"eta_{plane}"), getattr(result, f"sigma_{plane}")
        axes.errorbar(
            result.s,
            eta * 1e3,
            sigma * 1e3,
            color=COLOURS[plane],
            linewidth=0.9,
            elinewidth=0.6,
            label=f"$\\eta_{plane}$",
        )
    axes.set_xlabel("s [m]")
    axes.set_ylabel("dispersion [mm]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
