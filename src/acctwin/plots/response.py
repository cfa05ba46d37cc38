"""Plots of response matrices."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.response import ResponseResult


def draw_matrix(axes: Axes, response: ResponseResult) -> None:
    """Draw a response matrix as an image, monitors down, actuators across."""
    size = float(np.percentile(np.abs(response.matrix), 99.0)) or 1.0
    image = axes.imshow(
        response.matrix,
        aspect="auto",
        cmap="RdBu_r",
        vmin=-size,
        vmax=size,
        interpolation="nearest",
    )
    axes.set_xlabel("actuator")
    axes.set_ylabel("monitor")
    axes.figure.colorbar(image, ax=axes, label=" · ".join(sorted(set(response.units))))


def draw_singular_values(axes: Axes, matrix: np.ndarray, kept: int) -> None:
    """Draw the singular values of a matrix, and how many a correction used."""
    values = np.linalg.svd(matrix, compute_uv=False)
    numbers = np.arange(1, len(values) + 1)
    axes.semilogy(numbers, values, ".", color="0.35", markersize=3)
    axes.axvline(kept, color="#d1622b", linewidth=0.9, label=f"{kept} used")
    axes.set_xlabel("number")
    axes.set_ylabel("singular value")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize="small")
