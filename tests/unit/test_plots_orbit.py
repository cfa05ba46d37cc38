"""Plots of bumps and of the feedback."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin.analysis import BumpResult, FeedbackResult, OrbitResult
from acctwin.plots.bump import draw_bump
from acctwin.plots.feedback import draw_feedback
from acctwin.plots.figure import new_figure, save


def test_a_bump_shows_its_change_and_what_leaks(tmp_path):
    s, none = np.arange(10.0), np.zeros(10)
    names = tuple(map(str, s))
    x = np.where((s > 2) & (s < 6), 1e-3, 5e-6)
    before = OrbitResult(names, s, none, none, none, none, 1)
    after = OrbitResult(names, s, x, none, none, none, 1)
    bump = BumpResult(
        plane="x",
        place="4.0",
        position=1e-3,
        angle=None,
        correctors=("a", "b", "c"),
        steps=np.ones(3),
        setpoints=np.ones(3),
        before=before,
        after=after,
        inside=("3.0", "4.0", "5.0"),
        iterations=1,
        stopped="",
        is_preview=False,
    )
    assert bump.seen == pytest.approx(1e-3)
    assert bump.leakage_max == pytest.approx(0.005)
    assert bump.leakage == pytest.approx(0.005 / np.sqrt(2))
    figure, (axes,) = new_figure()
    draw_bump(axes, bump)
    assert axes.lines[0].get_ydata().max() == pytest.approx(1e3)
    assert "0.50%" in axes.get_title()
    assert save(figure, tmp_path / "bump.png").stat().st_size > 1000


def test_a_feedback_shows_each_cycle():
    _, (axes,) = new_figure()
    rms = np.array([1e-5, 2e-6, 1e-6])
    draw_feedback(axes, FeedbackResult(rms, rms / 2, 1, (), "it was stopped"))
    assert axes.lines[0].get_ydata() == pytest.approx([10.0, 2.0, 1.0])
    assert "1 × beam lost" in axes.get_title()
