"""Figures of two versions of a model beside each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acctwin.analysis.loco.comparison import (
    VersionComparison,
    VersionOptics,
    coupling_of,
)
from acctwin.plots.figure import new_figure
from acctwin.plots.loco import draw_comparison

DESIGN = VersionOptics(
    name="design",
    bpms=("B1", "B2"),
    beta=np.array([[4.0, 9.0], [16.0, 4.0]]),
    phase=np.array([[0.1, 0.2], [1.0, 2.0]]),
    dispersion=np.array([[0.2, 0.0], [0.3, 0.0]]),
    s=np.array([0.0, 1.0, 2.0]),
    beta_everywhere=np.full((3, 2), 5.0),
    tunes=np.array([4.2, 3.3, 0.01]),
    chromaticity=np.array([1.0, 1.0]),
    emittances=np.array([1e-9, 1e-12]),
    coupling=0.0,
)
FITTED = replace(
    DESIGN,
    name="fit",
    beta=np.array([[4.4, 9.0], [16.0, 3.0]]),
    phase=np.array([[0.2, 0.2], [1.3, 2.1]]),
    dispersion=np.array([[0.204, 0.0], [0.3, 0.006]]),
    beta_everywhere=np.full((3, 2), 5.5),
    tunes=np.array([4.25, 3.28, 0.01]),
    coupling=0.02,
)


def test_what_differs():
    found = VersionComparison(FITTED, DESIGN)
    assert found.beta_beat == pytest.approx(np.array([[0.1, 0.0], [0.0, -0.25]]))
    assert found.beta_beat_everywhere == pytest.approx(np.full((3, 2), 0.1))
    assert found.phase_change == pytest.approx(np.array([[0.0, 0.0], [0.2, 0.1]]))
    beat = np.array([[0.002, 0.0], [0.0, 0.003]])
    assert found.dispersion_beat == pytest.approx(beat)
    assert found.tune_change == pytest.approx([0.05, -0.02, 0.0])


def test_figures_are_rms_and_largest_of_each_plane():
    figures = VersionComparison(FITTED, DESIGN).figures()
    rms = figures["beta beat at BPMs [%], rms"]
    assert rms == pytest.approx((10 / np.sqrt(2), 25 / np.sqrt(2)))
    assert figures["beta beat at BPMs [%], largest"] == pytest.approx((10.0, 25.0))
    assert figures["phase advance [mrad], largest"] == pytest.approx((200.0, 100.0))
    assert figures["coupling"] == pytest.approx((0.02,))
    assert figures["emittances [pm], reference"] == pytest.approx((1000.0, 1.0))
    words = VersionComparison(FITTED, DESIGN).summary()
    assert words.startswith("fit against design\n")
    assert "coupling" in words


def test_coupling_is_across_over_within():
    response = np.array([[3.0, 0.1], [4.0, 0.0], [0.2, 5.0], [0.0, 0.0]])
    value = coupling_of(response, ["x", "y"])
    assert value == pytest.approx(np.hypot(0.2, 0.1) / np.hypot(5.0, 5.0))
    assert np.isnan(coupling_of(response, ["x", "x"]))


def test_it_is_drawn():
    _, axes = new_figure(3)
    draw_comparison(axes, VersionComparison(FITTED, DESIGN))
    assert axes[0].lines[0].get_ydata() == pytest.approx(10.0 * np.ones(3))
    assert axes[0].get_xlabel() == "s [m]"
    assert axes[1].lines[0].get_ydata() == pytest.approx([0.0, 200.0])
