from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acctwin.analysis import (
    estimate_noise,
    fit_response,
    mean_orbit,
    solve_correction,
)
from acctwin.errors import DataError, UnknownName

NAMES = ("A", "B", "C")
S = np.array([0.0, 1.0, 2.0])


def fit(readings, actuator, offset, n_actuators=1):
    readings = np.asarray(readings, dtype=float)
    return fit_response(
        readings,
        np.asarray(actuator),
        np.asarray(offset, dtype=float),
        monitors=tuple(f"m{i}" for i in range(readings.shape[1])),
        actuators=tuple(f"a{i}" for i in range(n_actuators)),
        units=("m/rad",) * n_actuators,
    )


def test_mean_orbit_and_its_error():
    x = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 3.0]])
    orbit = mean_orbit(NAMES, S, x, -x)
    assert orbit.x.tolist() == [2.0, 2.0, 3.0]
    # Two readings 1 ± 1: standard deviation sqrt(2), of the mean 1.
    assert orbit.sigma_x == pytest.approx([1.0, 0.0, 0.0])
    assert orbit.rms == pytest.approx((np.sqrt(17 / 3), np.sqrt(17 / 3)))


def test_one_reading_has_no_error():
    assert np.isnan(
        mean_orbit(NAMES, S, np.ones((1, 3)), np.ones((1, 3))).sigma_x
    ).all()


def test_noise_is_found_under_a_drift_and_the_drift_too():
    rng = np.random.default_rng(1)
    drift = np.linspace(0.0, 1e-3, 4000)[:, None]
    x = drift + rng.normal(0.0, 1e-6, (4000, 3))
    noise = estimate_noise(NAMES, S, x, x)
    # Known to about 1/sqrt(4000) = 1.6 %; five times that.
    assert noise.noise_x == pytest.approx(1e-6, rel=0.08)
    assert noise.drift_x == pytest.approx(0.5e-3, rel=0.01)


def test_bipolar_response_is_the_difference_over_the_step():
    result = fit([[3.0, 1.0], [1.0, 5.0]], [0, 0], [0.5, -0.5])
    assert result.matrix[:, 0].tolist() == [2.0, -4.0]
    assert np.isnan(result.sigma).all()
    assert result.deltas.tolist() == [1.0]


@settings(max_examples=50, deadline=None)
@given(
    slope=st.floats(-100, 100),
    intercept=st.floats(-100, 100),
    places=st.lists(
        st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=2, max_size=8, unique=True
    ),
)
def test_a_straight_line_is_found_from_any_places(slope, intercept, places):
    readings = [[intercept + slope * place] for place in places]
    result = fit(readings, [0] * len(places), places)
    assert result.matrix[0, 0] == pytest.approx(slope, rel=1e-6, abs=1e-8 * 200e3)


def test_the_quoted_error_is_the_true_one():
    rng = np.random.default_rng(2)
    offsets = np.tile([0.5, -0.5], 4)
    readings = rng.normal(0.0, 1.0, (8, 2000)) + offsets[:, None] * 3.0
    result = fit(readings, np.zeros(8, int), offsets)
    pull = (result.matrix[:, 0] - 3.0) / result.sigma[:, 0]
    # Student's t with 6 degrees of freedom: rms sqrt(6/4) = 1.22.
    assert np.sqrt(np.mean(pull**2)) == pytest.approx(1.22, abs=0.1)


def test_an_actuator_that_did_not_move_is_an_error():
    with pytest.raises(DataError, match="a1 was measured at 1 places"):
        fit([[1.0], [2.0], [1.0]], [0, 0, 1], [0.5, -0.5, 0.5], n_actuators=2)


def test_blocks_are_found_by_name():
    result = fit([[3.0, 1.0], [1.0, 5.0]], [0, 0], [0.5, -0.5])
    assert result.block(["m1", "m0"], ["a0"]).tolist() == [[-4.0], [2.0]]
    with pytest.raises(UnknownName, match="did you mean 'm0'"):
        result.rows(["m00"])


def test_correction_cancels_what_the_matrix_can():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(12, 5))
    steps = rng.normal(size=5)
    solution = solve_correction(matrix, matrix @ steps, cutoff=1e-9)
    assert solution.steps == pytest.approx(-steps)
    assert np.abs(solution.predicted).max() < 1e-12
    assert solution.kept == 5


def test_correction_is_least_squares_for_the_rest():
    rng = np.random.default_rng(4)
    matrix, residual = rng.normal(size=(12, 5)), rng.normal(size=12)
    expected = np.linalg.lstsq(matrix, -residual, rcond=None)[0]
    assert solve_correction(matrix, residual, cutoff=1e-9).steps == pytest.approx(
        expected
    )


def test_tikhonov_agrees_with_the_normal_equations():
    rng = np.random.default_rng(5)
    matrix, residual = rng.normal(size=(12, 5)), rng.normal(size=12)
    ones = np.ones(5)
    damping = 0.2 * np.linalg.svd(matrix, compute_uv=False)[0]
    expected = np.linalg.solve(
        matrix.T @ matrix + damping**2 * np.eye(5), -matrix.T @ residual
    )
    solution = solve_correction(
        matrix, residual, actuator_weights=ones, tikhonov=0.2, cutoff=0.0
    )
    assert solution.steps == pytest.approx(expected)


def test_units_of_the_knobs_do_not_matter():
    rng = np.random.default_rng(6)
    matrix, residual = rng.normal(size=(12, 5)), rng.normal(size=12)
    scale = np.array([1.0, 1e-9, 1e6, 1.0, 1.0])
    plain = solve_correction(matrix, residual, singular_values=3).steps
    scaled = solve_correction(matrix * scale, residual, singular_values=3).steps
    assert scaled * scale == pytest.approx(plain)


def test_a_dead_corrector_is_left_alone():
    matrix = np.array([[1.0, 0.0], [2.0, 0.0]])
    solution = solve_correction(matrix, np.array([1.0, 2.0]))
    assert solution.steps.tolist() == pytest.approx([-1.0, 0.0])


def test_monitor_weights_choose():
    matrix = np.array([[1.0], [1.0]])
    heavy = solve_correction(
        matrix, np.array([1.0, 0.0]), monitor_weights=np.array([10.0, 1.0])
    )
    assert heavy.steps[0] == pytest.approx(-100 / 101)
