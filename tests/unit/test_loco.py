"""The fit of a response: its algebra against plain derivatives, and what it finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acctwin.analysis.factors import Factors, joined
from acctwin.analysis.loco import (
    Gains,
    Linear,
    LocoData,
    Options,
    fit,
    kicked,
    normal_equations,
    parameters_of,
    shown,
)
from acctwin.errors import PlanError

MONITORS, ACTUATORS, STRENGTHS = 7, 6, 4
BLOCKS = ("bpm_gain", "bpm_coupling", "kick_gain", "kick_roll", "energy")


class ToyModel:
    """A response that is linear in its strengths, each of two elements of rank 2."""

    def __init__(self, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        rows = 2 * MONITORS
        self._base = rng.normal(0, 5, (rows, ACTUATORS))
        self._crossed = rng.normal(0, 5, (rows, ACTUATORS))
        self._crossed[:, -1] = 0.0
        self._dispersion = rng.normal(0, 1, rows)
        self._factors = Factors(
            np.repeat(np.arange(STRENGTHS), 2),
            rng.normal(0, 1, (2 * STRENGTHS, rows, 2)),
            rng.normal(0, 1, (2 * STRENGTHS, 2, ACTUATORS)),
            STRENGTHS,
        )
        self.strengths = tuple(f"Q{i}" for i in range(STRENGTHS))
        self.start = np.ones(STRENGTHS)
        self.values = self.start
        self.sets = 0

    def set(self, values: np.ndarray) -> None:
        self.values, self.sets = values, self.sets + 1

    def linear(self) -> Linear:
        change = self._factors.dense() @ (self.values - self.start)
        return Linear(self._base + change, self._crossed, self._dispersion)

    def factors(self) -> Factors:
        return self._factors


def errors(seed: int = 2) -> Gains:
    rng = np.random.default_rng(seed)
    ideal = Gains.ideal(MONITORS, ACTUATORS)
    kick = ideal.kick + rng.normal(0, 0.02, ACTUATORS)
    roll, energy = rng.normal(0, 0.02, (2, ACTUATORS))
    kick[-1], roll[-1], energy[-1] = 1.0, 0.0, 0.0
    bpm = ideal.bpm + rng.normal(0, 0.02, ideal.bpm.shape)
    return Gains(bpm, kick, roll, energy)


def measured(model: ToyModel, gains: Gains, noise: float = 0.0) -> LocoData:
    rng = np.random.default_rng(3)
    row = rng.uniform(1, 3, 2 * MONITORS) * 1e-3
    column = rng.uniform(1, 3, ACTUATORS)
    matrix = shown(gains.bpm, kicked(model.linear(), gains))
    matrix = matrix + noise * rng.normal(0, 1, matrix.shape) * np.outer(row, column)
    return LocoData(
        tuple(f"B{i}" for i in range(MONITORS)),
        (*(f"C{i}" for i in range(ACTUATORS - 1)), "rf"),
        matrix,
        row,
        column,
        np.ones(matrix.shape, dtype=bool),
    )


def numerical(data, model, parameters, values) -> np.ndarray:
    """Weighted derivatives of what is predicted, one parameter at a time."""
    ideal = Gains.ideal(MONITORS, ACTUATORS)
    weight = np.outer(data.row_weight, data.column_weight)

    def predicted(all_values: np.ndarray) -> np.ndarray:
        model.set(parameters.split(all_values)[0])
        gains = parameters.gains(all_values, ideal)
        # A strength's effect through a roll is of second order, and left out.
        linear = model.linear()
        return shown(gains.bpm, kicked(linear, gains)) * weight

    columns = []
    for i in range(parameters.count):
        step = np.zeros(parameters.count)
        step[i] = 1e-5
        sides = predicted(values + step), predicted(values - step)
        columns.append(((sides[0] - sides[1]) / 2e-5)[data.good])
    model.set(parameters.split(values)[0])
    return np.array(columns).T


@pytest.mark.parametrize("bad", [0, 3], ids=["all", "some left out"])
def test_normal_equations_are_those_of_the_jacobian(bad):
    model, gains = ToyModel(), errors()
    data = measured(model, errors(5))
    good = data.good.copy()
    good[2, 1] = good[9, 5] = good[2, 4] = bad == 0
    data = replace(data, good=good)
    parameters = parameters_of(data, model.strengths, BLOCKS)
    assert parameters.counts == (4, 4 * MONITORS, 3 * (ACTUATORS - 1))
    values = parameters.start(np.array([1.1, 0.9, 1.0, 1.2]), gains)
    model.set(values[:4])
    jacobian = numerical(data, model, parameters, values)
    found = normal_equations(data, model.linear(), model.factors(), gains, parameters)
    predicted = shown(gains.bpm, kicked(model.linear(), gains))
    residuals = data.residuals(predicted)[data.good]
    size = np.abs(jacobian.T @ jacobian).max()
    assert found.matrix == pytest.approx(jacobian.T @ jacobian, abs=1e-8 * size)
    slope = jacobian.T @ residuals
    assert found.gradient == pytest.approx(slope, abs=1e-8 * np.abs(slope).max())
    assert found.chi2 == pytest.approx((residuals**2).sum())


@pytest.mark.parametrize("solver", ["gauss_newton", "levenberg_marquardt", "scaled_lm"])
def test_without_noise_all_is_found(solver):
    model, gains = ToyModel(), errors()
    true = np.array([1.02, 0.97, 1.01, 0.99])
    model.set(true)
    data = measured(model, gains)
    model.set(model.start)
    options = Options(
        blocks=BLOCKS, solver=solver, iterations=60, tolerance=1e-6, outliers=np.inf
    )
    found = fit(data, model, options)
    assert found.converged
    assert found.chi2_dof < 0.2  # what the priors of 10 % pull
    predicted = shown(found.gains.bpm, kicked(model.linear(), found.gains))
    assert np.abs(data.residuals(predicted)).max() < 5.0
    assert found.values == pytest.approx(true, abs=0.02)
    assert np.array_equal(model.values, found.values)


def test_errors_hold_over_many_noises():
    pulls = []
    for seed in range(40):
        model = ToyModel()
        true = np.array([1.02, 0.97, 1.01, 0.99])
        model.set(true)
        data = measured(model, Gains.ideal(MONITORS, ACTUATORS))
        noise = np.random.default_rng(100 + seed).normal(0, 1, data.matrix.shape)
        sigma = np.outer(data.row_sigma, data.column_sigma)
        data = replace(data, matrix=data.matrix + noise * sigma)
        model.set(model.start)
        found = fit(data, model, Options(blocks=("bpm_gain",), outliers=np.inf))
        pulls.append((found.values - true) / found.sigma)
        assert 0.5 < found.chi2_dof < 1.6
    assert 0.8 < np.std(pulls) < 1.2
    assert np.abs(np.mean(pulls)) < 0.3


def test_outliers_are_left_out_and_named():
    model = ToyModel()
    data = measured(model, errors(), noise=1.0)
    matrix = data.matrix.copy()
    matrix[4, 2] += 1.0
    found = fit(replace(data, matrix=matrix), model, Options(blocks=BLOCKS))
    assert not found.good[4, 2]
    assert (~found.good).sum() < 3
    assert found.residuals[4, 2] == 0.0
    assert found.chi2_dof < 2.0


def test_strengths_that_cannot_be_told_apart_are_named():
    model = ToyModel()
    own = model._factors
    twin = Factors(own.owner[:2], own.left[:2], own.right[:2], 1)
    model._factors = joined(own, twin)
    model.strengths, model.start = (*model.strengths, "twin"), np.ones(STRENGTHS + 1)
    model.set(np.array([1.02, 1.0, 1.0, 1.0, 1.0]))
    data = measured(model, Gains.ideal(MONITORS, ACTUATORS), noise=1.0)
    model.set(model.start)
    found = fit(data, model, Options(blocks=("bpm_gain",)))
    assert found.kept == STRENGTHS
    (combination,) = found.degenerate
    assert set(combination.names) == {"Q0", "twin"}
    assert found.values[[0, 4]] == pytest.approx([1.01, 1.01], abs=5e-3)


def test_what_is_known_beforehand_holds():
    model = ToyModel()
    data = measured(model, errors())
    options = Options(blocks=BLOCKS, priors={"bpm_coupling": 1e-9})
    found = fit(data, model, options)
    assert np.abs(found.gains.bpm[:, 0, 1]).max() < 1e-7
    assert found.gains.kick[-1] == 1.0


def test_an_interrupt_gives_the_best_so_far(caplog):
    model = ToyModel()
    model.set(np.array([1.2, 0.9, 1.1, 0.8]))
    data = measured(model, errors())
    model.set(model.start)

    def stop(number: int, chi2: float) -> None:
        assert chi2 > 0
        if number == 2:
            raise KeyboardInterrupt

    found = fit(data, model, Options(blocks=BLOCKS, tolerance=0.0), stop)
    assert len(found.history) == 2
    assert not found.converged
    assert "best so far" in caplog.text
    assert found.history[1] <= found.history[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"row_sigma": np.zeros(2 * MONITORS)}, "row_sigma .* not positive"),
        ({"matrix": np.zeros((3, 3))}, r"matrix .* \(3, 3\), wanted \(14, 6\)"),
        ({"matrix": np.full((14, 6), np.nan)}, "no numbers"),
    ],
)
def test_bad_data_are_refused(change, words):
    data = measured(ToyModel(), errors())
    with pytest.raises(PlanError, match=words):
        replace(data, **change)


def test_factors_of_families_are_sums():
    factors = ToyModel().factors()
    dense = factors.dense()
    assert dense.shape == (2 * MONITORS, ACTUATORS, STRENGTHS)
    first = factors.left[0] @ factors.right[0] + factors.left[1] @ factors.right[1]
    assert dense[:, :, 0] == pytest.approx(first)
    both = joined(
        factors,
        Factors(factors.owner[:1], factors.left[:1, :, :1], factors.right[:1, :1], 1),
    )
    assert both.strengths == STRENGTHS + 1
    assert both.dense()[:, :, :STRENGTHS] == pytest.approx(dense)
