"""Plots of what differs between two states of a machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.machine_state import Difference

#: One after the other, for families; readable for most colour-blind people.
SHADES = ("#1f5fa8", "#d1622b", "#3a8f5c", "#8a5aa8", "#b8992e", "#6b6b6b")


def draw_differences(
    axes: Axes, differences: Sequence[Difference], *, scale: str = "tolerance"
) -> None:
    """Draw a bar for each setpoint that differs, family by family.

    Args:
        axes: Where.
        differences: Of a comparison: its ``differences`` (strengths, and the RF) or
            its ``supplies`` (currents).
        scale: Unit of the bars: ``"tolerance"``, on a logarithmic scale, or
            ``"limits"``: percent of the way from the lower to the upper limit.
    """
    if scale not in ("tolerance", "limits"):
        raise ValueError(f"scale is 'tolerance' or 'limits', not {scale!r}")
    ordered = sorted(differences, key=lambda item: item.family)
    size = np.array([
        item.difference / item.tolerance
        if scale == "tolerance"
        else 100.0 * item.difference / item.span
        for item in ordered
    ])
    families = np.array([item.family for item in ordered])
    for number, family in enumerate(dict.fromkeys(families.tolist())):
        where = np.flatnonzero(families == family)
        colour = SHADES[number % len(SHADES)]
        label = f"{family} ({len(where)})"
        axes.bar(where, size[where], width=0.9, color=colour, label=label)
    _dress(axes, ordered, scale)


def _dress(axes: Axes, ordered: Sequence[Difference], scale: str) -> None:
    axes.axhline(0.0, color="0.35", linewidth=0.8)
    axes.grid(alpha=0.3, axis="y")
    if not ordered:
        axes.set_title("nothing differs", fontsize="medium")
        return
    if scale == "tolerance":
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylabel("now − saved [tolerances]")
    else:
        axes.set_ylabel("now − saved [% of the range]")
    axes.margins(x=0.01)
    axes.legend(loc="upper right", fontsize="small")
    names = [item.device for item in ordered]
    if len(names) <= 60:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize="x-small")
    else:
        axes.set_xlabel("device, by family")
