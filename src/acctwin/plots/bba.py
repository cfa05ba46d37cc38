"""What BPMs read in the centres of quadrupoles."""

from __future__ import annotations

from matplotlib.axes import Axes

from acctwin.analysis.bba import BbaResult
from acctwin.plots.figure import COLOURS


def draw_offsets(axes: Axes, result: BbaResult) -> None:
    """Draw the offsets [µm] along the ring, with errors."""
    for plane in ("x", "y"):
        axes.errorbar(
            result.s,
            1e6 * getattr(result, f"offset_{plane}"),
            1e6 * getattr(result, f"sigma_{plane}"),
            fmt=".",
            color=COLOURS[plane],
            ms=4,
            linewidth=0.9,
            label=plane,
        )
    axes.axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xlabel("s [m]")
    axes.set_ylabel("BPM reading at the centre [µm]")
    axes.margins(x=0.02)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
