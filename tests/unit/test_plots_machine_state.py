from __future__ import annotations

import pytest

from acctwin.analysis.machine_state import Difference
from acctwin.plots.figure import new_figure, save
from acctwin.plots.machine_state import draw_differences

FOUND = (
    Difference("V1", "vcm", 0.0, -4e-6, "rad", 1e-6, 2e-3),
    Difference("H1", "hcm", 0.0, 2e-5, "rad", 1e-6, 2e-3),
    Difference("H2", "hcm", 1e-5, 0.0, "rad", 1e-6, 2e-3),
)


@pytest.mark.parametrize(
    ("scale", "heights"),
    [("tolerance", [20.0, -10.0, -4.0]), ("limits", [1.0, -0.5, -0.2])],
)
def test_bars_by_family_in_tolerances_or_limits(tmp_path, scale, heights):
    figure, (axes,) = new_figure()
    draw_differences(axes, FOUND, scale=scale)
    assert [bar.get_height() for bar in axes.patches] == pytest.approx(heights)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["hcm (2)", "vcm (1)"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["H1", "H2", "V1"]
    assert save(figure, tmp_path / "compare.png").exists()


def test_no_bars_are_said(tmp_path):
    _, (axes,) = new_figure()
    draw_differences(axes, ())
    assert axes.get_title() == "nothing differs"
    with pytest.raises(ValueError, match="'tolerance' or 'limits'"):
        draw_differences(axes, FOUND, scale="sigma")


def test_many_bars_have_no_names():
    _, (axes,) = new_figure()
    many = [Difference(f"H{i}", "hcm", 0.0, 1e-5, "rad", 1e-6, 2e-3) for i in range(80)]
    draw_differences(axes, many)
    assert len(axes.patches) == 80
    assert axes.get_xlabel() == "device, by family"
