from __future__ import annotations

import numpy as np
import pytest

from acctwin.devices.bounds import Bounds
from acctwin.errors import LimitError

BOUNDS = Bounds(
    ("A", "B", "C"),
    np.array([-1.0, -2.0, -3.0]),
    np.array([1.0, 2.0, 3.0]),
    np.full(3, 0.1),
    "rad",
)


def test_what_is_inside_comes_back_as_an_array():
    assert BOUNDS.check([1, -2, 0]).tolist() == [1.0, -2.0, 0.0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0, 2.5, 0], "B: wanted 2.5 rad, limits -2 to 2; nothing was moved"),
        ([0, 0, np.nan], "C: wanted nan rad"),
        ([0, 0, np.inf], "C: wanted inf rad"),
        ([0, 0], "wanted 3 values [rad], found shape (2,)"),
        ([[0, 0, 0]], "found shape (1, 3)"),
        ("strong", "'strong' is not a number"),
        ([0, None, 0], "C: "),
    ],
)
def test_what_is_not_allowed_is_named(values, words):
    if values == [0, None, 0]:
        words = "B: wanted nan rad"
    with pytest.raises(LimitError) as caught:
        BOUNDS.check(values)
    assert words in str(caught.value)


def test_every_offender_is_counted_but_few_are_named():
    many = Bounds(
        tuple(f"M{i}" for i in range(20)),
        np.zeros(20),
        np.ones(20),
        np.full(20, 0.1),
        "A",
    )
    with pytest.raises(LimitError, match="M4: .*; and 15 more"):
        many.check(np.full(20, 2.0))


def test_reached_takes_each_tolerance():
    assert BOUNDS.reached([0, 0, 0], [0.1, -0.1, 0.05])
    assert not BOUNDS.reached([0, 0, 0], [0, 0.11, 0])
    assert not BOUNDS.reached([0, 0, 0], [0, np.nan, 0])
    assert BOUNDS.missing([0, 0, 0], [0, np.nan, 0]).startswith("B: wanted 0 rad")
