"""How an optimisation went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from acctwin.analysis.optimisation import OptimisationResult
from acctwin.plots.figure import COLOURS


def draw_history(axes: Axes, result: OptimisationResult) -> None:
    """Draw the first objective of each evaluation, and the best so far."""
    objective = result.objectives[0]
    number = np.arange(result.evaluations)
    feasible, values = result.is_feasible, result.values[:, 0]
    rest = ~feasible & ~result.is_failed
    axes.plot(number[feasible], values[feasible], ".", color="0.6", label="evaluations")
    if rest.any():
        axes.plot(number[rest], values[rest], "x", color="0.6", label="out of bounds")
    for one in number[result.is_failed]:
        axes.axvline(one, color=COLOURS["y"], alpha=0.3, linewidth=0.8)
    axes.step(number, result.history, color=COLOURS["x"], where="post", label="best")
    axes.set_xlabel(
        "evaluation; a line: it failed" if result.is_failed.any() else "evaluation"
    )
    axes.set_ylabel(f"{objective.name} [{objective.unit}]")
    axes.legend(loc="best", fontsize="small")
    axes.grid(alpha=0.3)


def draw_variables(axes: Axes, result: OptimisationResult) -> None:
    """Draw where each variable went, from its least to its largest value."""
    least, most = result.candidates.min(axis=0), result.candidates.max(axis=0)
    part = (result.candidates - least) / np.where(most > least, most - least, 1.0)
    image = axes.imshow(part.T, aspect="auto", interpolation="nearest", cmap="RdBu_r")
    axes.figure.colorbar(image, ax=axes, label="from least to largest")
    axes.set_xlabel("evaluation")
    if len(result.variables) <= 20:
        axes.set_yticks(range(len(result.variables)), result.variables)
    else:
        axes.set_ylabel("variable")


def draw_front(axes: Axes, result: OptimisationResult) -> None:
    """Draw two objectives against each other, and the Pareto front."""
    x, y = result.objectives[:2]
    feasible, front = result.is_feasible, result.pareto
    axes.plot(*result.values[feasible, :2].T, ".", color="0.6", label="evaluations")
    order = np.argsort(result.values[front, 0])
    axes.plot(
        *result.values[front][order, :2].T, ".-", color=COLOURS["x"], label="front"
    )
    axes.set_xlabel(f"{x.name} [{x.unit}]")
    axes.set_ylabel(f"{y.name} [{y.unit}]")
    axes.legend(loc="best", fontsize="small")
    axes.grid(alpha=0.3)


def draw_optimisation(axes: Sequence[Axes], result: OptimisationResult) -> None:
    """Draw the objective, or the front of two, and the variables, on two axes."""
    draw = draw_history if len(result.objectives) == 1 else draw_front
    draw(axes[0], result)
    draw_variables(axes[1], result)
