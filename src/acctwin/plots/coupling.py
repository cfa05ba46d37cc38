"""Plots of the coupling and of what a correction did."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.coupling import ClosestTunes, CrossResponse, SetCouplingResult
from acctwin.plots.figure import COLOURS


def draw_closest_tunes(axes: Axes, result: ClosestTunes) -> None:
    """Draw the distance of the tunes against the change that was asked of it."""
    offset = result.offset - result.center
    axes.errorbar(
        offset,
        result.distance,
        result.sigma_distance,
        fmt=".",
        color=COLOURS["x"],
        label="measured",
    )
    fine = np.linspace(offset.min(), offset.max(), 400)
    axes.plot(
        fine,
        np.hypot(result.slope * fine, result.value),
        color=COLOURS["y"],
        linewidth=0.9,
        label=f"|C⁻| = {result.value:.3g} ± {result.sigma:.1g}",
    )
    axes.set_xlabel("change of Qx − Qy")
    axes.set_ylabel("distance of the tunes")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def draw_vertical_dispersion(
    axes: Axes, before: CrossResponse, after: CrossResponse | None = None
) -> None:
    """Draw the vertical dispersion [mm] BPM by BPM, before and after a correction."""
    lines = [(before, "0.65", "before")] if after else [(before, COLOURS["y"], "")]
    if after:
        lines.append((after, COLOURS["y"], "after"))
    for found, colour, label in lines:
        rms = np.sqrt(np.mean(np.square(found.eta_y)))
        axes.plot(
            found.eta_y * 1e3,
            color=colour,
            linewidth=0.9,
            label=f"{label} rms {rms * 1e3:.3g} mm".strip(),
        )
    axes.set_xlabel("BPM")
    axes.set_ylabel("vertical dispersion [mm]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")


def draw_skews(axes: Axes, result: SetCouplingResult) -> None:
    """Draw where a correction set each skew quadrupole."""
    places = np.arange(len(result.setpoints))
    axes.bar(places, result.setpoints, width=1.0, color="0.35")
    axes.set_xlabel("skew quadrupole")
    axes.set_ylabel(f"setpoint [{result.unit}]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
