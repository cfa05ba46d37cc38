from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_coupling import MATRIX, PLANES, repelled, response_of

from acctwin.analysis.closest_tunes import fit_closest_tunes
from acctwin.analysis.coupling import SetCouplingResult, cross_response
from acctwin.plots.coupling import (
    draw_closest_tunes,
    draw_skews,
    draw_vertical_dispersion,
)
from acctwin.plots.figure import new_figure


def test_the_tunes_repel_each_other():
    result = fit_closest_tunes(*repelled(0.004, 5e-5))
    _, (axes,) = new_figure()
    draw_closest_tunes(axes, result)
    curve = axes.lines[-1]
    assert np.min(curve.get_ydata()) == pytest.approx(result.value, rel=1e-3)
    (words,) = [
        t.get_text() for t in axes.get_legend().get_texts() if "C" in t.get_text()
    ]
    assert words.startswith(f"|C⁻| = {result.value:.3g} ± ")


def test_the_dispersion_is_in_millimetres_and_the_skews_in_their_unit():
    before = cross_response(response_of(MATRIX), PLANES, slip_factor=1e-3, rf_hz=5e8)
    after = replace(before, eta_y=before.eta_y / 10)
    _, axes = new_figure(2)
    draw_vertical_dispersion(axes[0], before, after)
    assert axes[0].lines[0].get_ydata() == pytest.approx(before.eta_y * 1e3)
    texts = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert texts == ["before rms 50 mm", "after rms 5 mm"]
    draw_vertical_dispersion(axes[1], before)
    assert len(axes[1].lines) == 1
    result = SetCouplingResult(
        before=before,
        after=after,
        skews=("a", "b"),
        steps=np.array([1.0, 2.0]),
        setpoints=np.array([1.0, 3.0]),
        unit="1/m^2",
        residual=np.ones(2),
        kept=2,
        iterations=1,
        stopped="",
        is_preview=False,
    )
    _, (bars,) = new_figure()
    draw_skews(bars, result)
    assert [bar.get_height() for bar in bars.patches] == [1.0, 3.0]
    assert "1/m^2" in bars.get_ylabel()
