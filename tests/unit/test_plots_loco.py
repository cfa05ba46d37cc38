"""What is drawn of a fit is what was found."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin.analysis.loco import Gains
from acctwin.analysis.loco.version import LocoResult
from acctwin.plots.figure import new_figure
from acctwin.plots.loco import draw_loco


def result() -> LocoResult:
    gains = Gains.ideal(2, 3)
    return LocoResult(
        model_version="v",
        uid="m",
        strengths=("Q1", "Q2", "S1"),
        members=(("Q1",), ("Q2",), ("S1",)),
        kinds=("b1", "b1", "a1"),
        design=np.array([2.0, -1.0, 0.0]),
        values=np.array([2.02, -0.99, 0.1]),
        sigma=np.array([0.01, 0.01, 0.01]),
        bpms=("B1", "B2"),
        beta_at_bpms=np.array([[10.0, 5.0], [8.0, 6.0]]),
        design_beta_at_bpms=np.array([[10.0, 4.0], [10.0, 6.0]]),
        tunes=np.array([4.2, 3.3, 0.01]),
        actuators=("C1", "C2", "rf"),
        gains=gains,
        gains_sigma=gains,
        chi2_dof=1.0,
        history=np.array([5.0, 4.0]),
        kept=3,
        left_out=1,
    )


def test_errors_and_beats_are_in_percent():
    found = result()
    _, axes = new_figure(4)
    draw_loco(axes, found)
    assert axes[0].lines[0].get_ydata() == pytest.approx([1.0, -1.0])
    assert axes[1].lines[0].get_ydata() == pytest.approx([0.0, -20.0])
    assert axes[1].lines[1].get_ydata() == pytest.approx([25.0, 0.0])
    assert len(axes[3].lines[0].get_ydata()) == 2, "the RF has no gain"


def test_a_summary_says_what_was_found():
    found = result()
    assert found.quadrupole_errors == pytest.approx({"Q1": 0.01, "Q2": -0.01})
    words = found.summary()
    assert "3 of 3 singular values, 1 outliers" in words
    assert "beta beat 10.00 % and 12.50 % rms" in words
    assert "quadrupole errors 1.000 % rms" in words
