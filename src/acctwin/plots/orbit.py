"""Plots of orbits and of what a correction did."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.correction import CorrectionResult
from acctwin.analysis.orbit import OrbitResult, rms
from acctwin.plots.figure import COLOURS


def draw_orbit(axes: Axes, orbit: OrbitResult, label: str = "") -> None:
    """Draw both planes of an orbit [µm] along the ring [m]."""
    for plane, values in (("x", orbit.x), ("y", orbit.y)):
        axes.plot(
            orbit.s,
            values * 1e6,
            color=COLOURS[plane],
            linewidth=0.9,
            label=f"{plane} {label} (rms {rms(values) * 1e6:.3g} µm)",
        )
    _dress(axes)


def draw_plane(axes: Axes, before: OrbitResult, after: OrbitResult, plane: str) -> None:
    """Draw one plane before and after a correction [µm] along the ring [m]."""
    for orbit, colour, label in (
        (before, "0.65", "before"),
        (after, COLOURS[plane], "after"),
    ):
        values = getattr(orbit, plane)
        axes.plot(
            orbit.s,
            values * 1e6,
            color=colour,
            linewidth=0.9,
            label=f"{label}: rms {rms(values) * 1e6:.3g} µm",
        )
    _dress(axes)
    axes.set_ylabel(f"{plane} [µm]")


def draw_steps(axes: Axes, correction: CorrectionResult) -> None:
    """Draw the setpoint of each corrector after a correction [µrad]."""
    kicks = np.array([
        value * 1e6
        for name, value in zip(correction.actuators, correction.setpoints, strict=True)
        if name != "rf"
    ])
    axes.bar(np.arange(len(kicks)), kicks, width=1.0, color="0.35")
    axes.set_xlabel("corrector (horizontal, then vertical)")
    axes.set_ylabel("setpoint [µrad]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)


def _dress(axes: Axes) -> None:
    axes.set_xlabel("s [m]")
    axes.set_ylabel("orbit [µm]")
    axes.margins(x=0.01)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
