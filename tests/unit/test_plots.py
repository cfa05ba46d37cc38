from __future__ import annotations

import numpy as np
import pytest

from acctwin.analysis import CorrectionResult, OrbitResult, ResponseResult
from acctwin.plots.figure import new_figure, save
from acctwin.plots.orbit import draw_orbit, draw_plane, draw_steps
from acctwin.plots.response import draw_matrix, draw_singular_values


def orbit(size: float) -> OrbitResult:
    s = np.linspace(0.0, 10.0, 20)
    x = size * np.sin(s)
    return OrbitResult(tuple(map(str, s)), s, x, -x, x * 0, x * 0, 1)


def test_lines_are_in_micrometres_and_named():
    _, (axes,) = new_figure()
    draw_orbit(axes, orbit(1e-3))
    assert axes.lines[0].get_ydata().max() == pytest.approx(1e3, rel=0.05)
    assert "rms" in axes.get_legend().get_texts()[0].get_text()


def test_before_and_after(tmp_path):
    figure, axes = new_figure(2)
    draw_plane(axes[0], orbit(1e-3), orbit(1e-5), "x")
    result = CorrectionResult(
        orbit(1e-3),
        orbit(1e-5),
        ("a", "b", "rf"),
        np.zeros(3),
        np.array([1e-6, -2e-6, 5e8]),
        np.ones(2),
        np.ones(2),
        2,
        1,
        "",
        False,
    )
    draw_steps(axes[1], result)
    assert [bar.get_height() for bar in axes[1].patches] == pytest.approx([1.0, -2.0])
    path = save(figure, tmp_path / "deep" / "orbit.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_matrix_and_singular_values():
    matrix = np.diag([3.0, 2.0, 1.0])
    names = ("a", "b", "c")
    response = ResponseResult(matrix, matrix, names, names, np.ones(3), ("m/rad",) * 3)
    _, axes = new_figure(1, 2)
    draw_matrix(axes[0], response)
    draw_singular_values(axes[1], matrix, kept=2)
    assert axes[0].images[0].get_array().shape == (3, 3)
    assert axes[1].lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
