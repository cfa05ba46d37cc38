"""Plots of the dispersion and of the chromaticity."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin.analysis.chromaticity import TuneBranch, fit_chromaticity
from acctwin.analysis.dispersion import fit_dispersion
from acctwin.plots.chromaticity import draw_chromaticity
from acctwin.plots.dispersion import draw_dispersion
from acctwin.plots.figure import new_figure

DELTA = np.linspace(-4e-3, 4e-3, 5)
FIT = {"rf_hz": 5e8, "slip_factor": 0.1}
OFFSET = -DELTA * 5e7


def test_the_dispersion_is_in_millimetres_and_the_planes_are_named():
    eta = np.array([0.5, 1.0, 0.2])
    x = np.outer(DELTA, eta)
    found = fit_dispersion(("a", "b", "c"), np.arange(3.0), x, 0.1 * x, OFFSET, **FIT)
    _, (axes,) = new_figure()
    draw_dispersion(axes, found)
    assert axes.lines[0].get_ydata() == pytest.approx(eta * 1e3)
    assert axes.lines[1].get_ydata() == pytest.approx(eta * 1e2)
    assert axes.get_ylabel() == "dispersion [mm]"


def test_the_fit_goes_through_the_tunes_and_says_the_chromaticity():
    tunes = np.array([0.2, 0.3]) + np.outer(DELTA, [5.0, -3.0])
    branch = TuneBranch(np.array([6.2, 3.3]), np.zeros(2))
    found = fit_chromaticity(tunes, OFFSET, branch=branch, order=2, **FIT)
    _, (axes,) = new_figure()
    draw_chromaticity(axes, found)
    points, line = axes.lines[:2]
    assert points.get_xdata() == pytest.approx(DELTA * 100)
    assert line.get_ydata()[0] == pytest.approx(points.get_ydata()[0])
    assert "= 5.000" in axes.get_legend().get_texts()[0].get_text()
