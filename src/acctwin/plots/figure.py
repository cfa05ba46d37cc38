"""Figures without a window: made, drawn on, saved as PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

#: Horizontal, vertical: readable in print and for most colour-blind people.
COLOURS = {"x": "#1f5fa8", "y": "#d1622b"}


def new_figure(
    rows: int = 1, columns: int = 1, *, width: float = 9.0, height: float = 3.2
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, row by row.

    Args:
        rows: Rows of axes.
        columns: Columns of axes.
        width: Of the figure [inch].
        height: Of one row [inch].
    """
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(np.ravel(axes))


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path
