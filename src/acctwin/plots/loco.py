"""What a LOCO fit has found: magnets, β functions, BPMs and correctors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.loco.comparison import VersionComparison
from acctwin.analysis.loco.version import LocoResult
from acctwin.plots.figure import COLOURS


def draw_strengths(axes: Axes, result: LocoResult) -> None:
    """Draw the errors of the quadrupoles, fitted over design − 1 [%]."""
    chosen = result.of_kind("b1")
    design = result.design[chosen]
    errors = 100 * (result.values[chosen] / design - 1)
    sigma = 100 * np.abs(result.sigma[chosen] / design)
    where = np.arange(len(chosen))
    axes.errorbar(where, errors, sigma, fmt=".", ms=4, linewidth=0.9, color="0.3")
    _finish(axes, "quadrupole", "strength error [%]")


def draw_beta_beat(axes: Axes, result: LocoResult) -> None:
    """Draw β of the fitted model over that of the design − 1 [%] at the BPMs."""
    for plane, beat in zip("xy", 100 * result.beta_beat.T, strict=True):
        axes.plot(beat, ".-", ms=3, lw=0.8, color=COLOURS[plane], label=plane)
    _finish(axes, "BPM", "β beat [%]")
    axes.legend(loc="upper right", fontsize="small")


def draw_bpm_gains(axes: Axes, result: LocoResult) -> None:
    """Draw the gains of the BPMs."""
    for index, plane in enumerate("xy"):
        gains, sigma = (
            part.bpm[:, index, index] for part in (result.gains, result.gains_sigma)
        )
        where, colour = np.arange(len(gains)), COLOURS[plane]
        axes.errorbar(
            where, gains, sigma, fmt=".", ms=3, lw=0.8, color=colour, label=plane
        )
    _finish(axes, "BPM", "gain", zero=1.0)
    axes.legend(loc="upper right", fontsize="small")


def draw_corrector_gains(axes: Axes, result: LocoResult) -> None:
    """Draw the gains of the correctors."""
    chosen = [i for i, name in enumerate(result.actuators) if name != "rf"]
    gains, sigma = result.gains.kick[chosen], result.gains_sigma.kick[chosen]
    axes.errorbar(
        np.arange(len(chosen)), gains, sigma, fmt=".", ms=3, lw=0.8, color="0.3"
    )
    _finish(axes, "corrector", "gain", zero=1.0)


def draw_loco(axes: Sequence[Axes], result: LocoResult) -> None:
    """Draw all of these, on four axes."""
    drawings = (
        draw_strengths,
        draw_beta_beat,
        draw_bpm_gains,
        draw_corrector_gains,
    )
    for one, draw in zip(axes, drawings, strict=True):
        draw(one, result)


def draw_comparison(axes: Sequence[Axes], found: VersionComparison) -> None:
    """Draw β beat, phase advance and dispersion of two versions, on three axes."""
    s = found.version.s
    drawings = (
        (s, 100 * found.beta_beat_everywhere, "s [m]", "β beat [%]"),
        (None, 1e3 * found.phase_change, "BPM", "phase advance [mrad]"),
        (None, 1e3 * found.dispersion_change, "BPM", "dispersion change [mm]"),
    )
    for one, (where, values, x, y) in zip(axes, drawings, strict=True):
        places = np.arange(len(values)) if where is None else where
        for plane, curve in zip("xy", values.T, strict=True):
            one.plot(places, curve, lw=0.8, color=COLOURS[plane], label=plane)
        _finish(one, x, y)
        one.legend(loc="upper right", fontsize="small")


def _finish(axes: Axes, x: str, y: str, zero: float = 0.0) -> None:
    axes.axhline(zero, color="0.7", linewidth=0.8, zorder=0)
    axes.set_xlabel(x if x.endswith("]") else f"{x}, in the order of the ring")
    axes.set_ylabel(y)
    axes.margins(x=0.02)
    axes.grid(alpha=0.3)
