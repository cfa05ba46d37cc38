from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from acctwin.calibration.bpm import to_position, to_reading

number = st.floats(-1e-2, 1e-2)
gain = st.floats(0.5, 2.0)


@given(number, number, gain, gain, st.floats(-0.5, 0.5), number, number)
def test_round_trip(x, y, gx, gy, roll, ox, oy):
    errors = (np.array([[gx, gy]]), np.array([roll]), np.array([[ox, oy]]))
    position = np.array([[x, y]])
    back = to_position(to_reading(position, *errors), *errors)
    assert np.allclose(back, position, atol=1e-15)


def test_signs():
    one, zero = np.ones((1, 2)), np.zeros(1)
    centred = to_reading(np.zeros((1, 2)), 2 * one, zero, np.array([[1e-3, -2e-3]]))
    assert centred.tolist() == [[-2e-3, 4e-3]], "a monitor to the right reads left"
    rolled = to_reading(np.array([[1.0, 0.0]]), one, np.array([np.pi / 2]), 0 * one)
    assert np.allclose(rolled, [[0.0, -1.0]]), "rolled from x towards y"


def test_many_turns_are_read_as_each_of_them():
    rng = np.random.default_rng(5)
    errors = rng.normal(1, 0.1, (3, 2)), rng.normal(size=3), rng.normal(size=(3, 2))
    turns = rng.normal(size=(4, 3, 2))
    seen = to_reading(turns, *errors)
    assert np.array_equal(seen, np.array([to_reading(turn, *errors) for turn in turns]))
    assert np.allclose(to_position(seen, *errors), turns)
