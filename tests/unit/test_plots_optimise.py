"""Drawings of optimisations."""

from __future__ import annotations

import numpy as np
from test_problem import result

from acctwin.plots.figure import new_figure, save
from acctwin.plots.optimise import draw_optimisation


def test_the_history_and_what_failed(tmp_path):
    found = result([[5.0], [1.0], [np.nan], [3.0]], [[0.0], [2.0], [0.0], [0.5]])
    figure, axes = new_figure(2)
    draw_optimisation(axes, found)
    best = axes[0].get_lines()[-1]
    assert best.get_ydata().tolist() == [5.0, 5.0, 5.0, 3.0]
    assert axes[0].get_ylabel() == "f0 [m]"
    assert "it failed" in axes[0].get_xlabel()
    assert axes[1].get_images()[0].get_array().shape == (1, 4)
    assert save(figure, tmp_path / "history.png").stat().st_size > 1000


def test_the_front_of_two_objectives():
    values = [[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [4.0, 1.0]]
    found = result(values, np.zeros((4, 0)))
    _, axes = new_figure(2)
    draw_optimisation(axes, found)
    front = axes[0].get_lines()[-1]
    assert front.get_xdata().tolist() == [1.0, 2.0, 4.0]
    assert axes[0].get_xlabel() == "f0 [m]"
    assert axes[0].get_ylabel() == "f1 [m]"
