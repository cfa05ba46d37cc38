"""What of a measured response is fitted, and derivatives by differences."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin.analysis.factors import Factors, merged
from acctwin.analysis.loco import LocoData
from acctwin.analysis.loco.differences import difference_factors
from acctwin.errors import PlanError


def data(actuators: tuple[str, ...] = ("C1", "C2", "rf")) -> LocoData:
    shape = (4, len(actuators))
    return LocoData(
        ("B1", "B2"),
        actuators,
        np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape),
        np.array([1.0, 2.0, 3.0, 4.0]),
        np.arange(1.0, 1.0 + shape[1]),
        np.ones(shape, dtype=bool),
    )


def test_the_dispersion_is_weighed():
    whole = data()
    before = whole.residuals(np.zeros((4, 3)))
    after = whole.with_dispersion(2.5).residuals(np.zeros((4, 3)))
    assert after[:, :2] == pytest.approx(before[:, :2])
    assert after[:, 2] == pytest.approx(2.5 * before[:, 2])
    none = whole.with_dispersion(0.0)
    assert not none.good[:, 2].any()
    assert none.good[:, :2].all()


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_weight_is_a_number(weight):
    with pytest.raises(PlanError, match="0 or more"):
        data().with_dispersion(weight)


def test_there_must_be_a_dispersion_to_weigh():
    without = data(("C1", "C2"))
    assert without.with_dispersion(1.0) is without
    with pytest.raises(PlanError, match="no dispersion to weigh"):
        without.with_dispersion(2.0)


def test_bpms_and_actuators_are_left_out():
    less = data().without(["B1", "C2"])
    assert (less.monitors, less.actuators) == (("B2",), ("C1", "rf"))
    assert less.matrix == pytest.approx(np.array([[4.0, 6.0], [10.0, 12.0]]))
    assert less.row_sigma == pytest.approx([2.0, 4.0])
    assert less.column_sigma == pytest.approx([1.0, 3.0])
    with pytest.raises(PlanError, match="no BPM or actuator C9"):
        data().without(["C9"])


def test_differences_are_derivatives():
    first, second = np.outer([1.0, 2.0, 3.0], [1.0, 0.5]), np.eye(3)[:, :2]

    def response(values: np.ndarray) -> np.ndarray:
        return values[0] ** 2 * first + values[1] * 7.0 + values[2] * second

    found = difference_factors(
        response, np.array([3.0, 1.0, 2.0]), np.array([1e-2, 0.0, 1e-3])
    )
    assert found.owner.tolist() == [0, 2]
    assert found.left.shape == (2, 3, 2)
    dense = found.dense()
    assert dense[:, :, 0] == pytest.approx(6.0 * first)
    assert not dense[:, :, 1].any()
    assert dense[:, :, 2] == pytest.approx(second)
    with pytest.raises(PlanError, match="no value is varied"):
        difference_factors(response, np.ones(3), np.zeros(3))


def test_factors_of_the_same_strengths_are_merged_in_order():
    rng = np.random.default_rng(1)
    some = Factors(
        np.array([0, 2, 2]), rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 2, 5)), 3
    )
    other = Factors(
        np.array([1]), rng.normal(size=(1, 4, 1)), rng.normal(size=(1, 1, 5)), 3
    )
    both = merged(some, other)
    assert both.owner.tolist() == [0, 1, 2, 2]
    assert both.dense() == pytest.approx(some.dense() + other.dense())
