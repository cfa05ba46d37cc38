"""Calibration curves: monotone or refused, and exactly undone."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from acctwin.calibration.curves import Curve, Linear, Polynomial, Table
from acctwin.errors import CalibrationError, LimitError

finite = st.floats(-1e3, 1e3)
gaps = st.floats(0.01, 100.0)
signs = st.sampled_from([-1.0, 1.0])

FRACTIONS = np.linspace(0.0, 1.0, 41)


@st.composite
def linears(draw: st.DrawFn) -> Linear:
    low = draw(finite)
    gain = draw(signs) * draw(st.floats(1e-6, 1e3))
    return Linear(gain, draw(finite), low, low + draw(gaps))


@st.composite
def polynomials(draw: st.DrawFn) -> Polynomial:
    """Return ∫(a + b·(I − I₀)²)dI: the slope is at least a, of one sign."""
    low, width = draw(st.floats(-200, 200)), draw(st.floats(1, 200))
    a, b, middle = draw(gaps), draw(gaps), low + width * draw(st.floats(-1, 2))
    slope = np.polynomial.Polynomial([a, 0, b / width**2])
    shifted = slope(np.polynomial.Polynomial([-middle, 1.0]))
    total = draw(signs) * shifted.integ(k=[draw(st.floats(-10, 10))])
    return Polynomial(tuple(total.coef), low, low + width)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    n = draw(st.integers(2, 20))
    x = np.cumsum(draw(st.lists(gaps, min_size=n, max_size=n)))
    y = np.cumsum(draw(st.lists(gaps, min_size=n, max_size=n)))
    return Table(tuple(x + draw(finite)), tuple(draw(signs) * y + draw(finite)))


curves = st.one_of(linears(), polynomials(), tables())


def spread(limits: tuple[float, float]) -> np.ndarray:
    return limits[0] + (limits[1] - limits[0]) * FRACTIONS


def round_off(curve: Curve) -> float:
    """Return what doubles can do: of the values, and of a current on a steep slope."""
    steepest = np.abs(curve.slope(np.linspace(*curve.domain, 2001))).max()
    if isinstance(curve, Table):  # PCHIP is at most three times steeper than a secant
        secants = np.diff(curve.values) / np.diff(curve.currents)
        steepest = 3 * np.abs(secants).max()
    current = 1e-15 * np.abs(curve.domain).max()
    return 1e-12 * np.abs(curve.image).max() + 4 * steepest * current


@settings(deadline=None)
@given(curve=curves)
def test_value_and_back(curve: Curve):
    """The inverse is exact to the round-off of the numbers it deals in."""
    values = spread(curve.image)
    back = curve.value(curve.current(values))
    assert np.abs(back - values).max() <= round_off(curve)


@settings(deadline=None)
@given(curve=curves)
def test_current_and_back(curve: Curve):
    currents = spread(curve.domain)
    back = curve.current(curve.value(currents))
    error = np.abs(curve.value(back) - curve.value(currents)).max()
    assert error <= round_off(curve)
    steep = np.abs(curve.slope(currents)).min() * np.ptp(curve.domain)
    assume(steep > 1e-3 * np.ptp(curve.image))
    noise = round_off(curve) / np.abs(curve.slope(currents)).min()
    assert np.abs(back - currents).max() <= noise + 1e-12 * np.abs(curve.domain).max()


@settings(deadline=None)
@given(curve=curves)
def test_the_slope_is_that_of_the_values(curve: Curve):
    inner = spread(curve.domain)[1:-1]
    h = 1e-6 * np.ptp(curve.domain)
    secant = (curve.value(inner + h) - curve.value(inner - h)) / (2 * h)
    mean = np.ptp(curve.image) / np.ptp(curve.domain)
    noise = 1e-9 * np.abs([*curve.image, *curve.domain]).max() / h
    # A secant is the slope somewhere within it, which near a knot may change quickly.
    within = curve.slope(inner + h * np.linspace(-1, 1, 21)[:, np.newaxis])
    allowed = 1e-3 * mean * 40 + noise + np.ptp(within, axis=0)
    assert np.all(np.abs(curve.slope(inner) - secant) <= allowed)


@settings(deadline=None)
@given(curve=curves)
def test_values_rise_or_fall_all_the_way(curve: Curve):
    steps = np.diff(curve.value(spread(curve.domain)))
    assert (np.sign(steps) == np.sign(steps[0])).all()
    ends = np.sort(curve.value(np.array(curve.domain)))
    assert ends == pytest.approx(curve.image, rel=1e-12, abs=1e-12 * np.ptp(ends))


@settings(deadline=None)
@given(curve=curves, beyond=st.floats(1e-6, 1e3))
def test_outside_is_refused(curve: Curve, beyond: float):
    for limits, method in ((curve.domain, curve.value), (curve.image, curve.current)):
        room = beyond * (limits[1] - limits[0]) + 1e-11 * np.abs(limits).max()
        for outside in (limits[0] - room, limits[1] + room):
            with pytest.raises(LimitError, match="is outside the curve"):
                method([limits[0], outside])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(bad: float):
    curve = Linear(2.0, 1.0, 0.0, 10.0)
    for method in (curve.value, curve.current, curve.slope):
        with pytest.raises(LimitError):
            method(bad)


def test_the_message_has_value_and_range():
    curve = Table((0.0, 5.0, 10.0), (0.0, 1.0, 1.5))
    with pytest.raises(LimitError) as caught:
        curve.value([3.0, 12.5])
    assert str(caught.value) == "current 12.5 A is outside the curve, 0 to 10 A"
    with pytest.raises(LimitError, match="excitation 2 is outside the curve, 0 to 1.5"):
        curve.current(2.0)


def test_shapes_are_kept():
    curve = Polynomial((0.0, 1.0, 0.0, -1e-5), 0.0, 100.0)
    assert np.ndim(curve.value(3.0)) == 0
    assert curve.current(np.ones((2, 3))).shape == (2, 3)
    assert curve.value([]).shape == (0,)


@settings(deadline=None)
@given(table=tables())
def test_a_table_is_the_pchip_of_scipy(table: Table):
    other = PchipInterpolator(table.currents, table.values)
    currents = spread(table.domain)
    size = np.abs(table.values).max()
    assert np.abs(table.value(currents) - other(currents)).max() <= 1e-11 * size
    steepest = np.abs(np.diff(table.values) / np.diff(table.currents)).max()
    slopes = other.derivative()(currents)
    # At a point the slope may be taken from either side: it is the same.
    assert np.abs(table.slope(currents) - slopes).max() <= 1e-9 * (steepest + size)


def test_a_table_passes_through_its_points():
    table = Table((-1.0, 0.0, 2.0, 7.0), (3.0, 2.0, 1.9, -4.0))
    assert table.value(table.currents) == pytest.approx(table.values, abs=1e-14)
    assert table.current(table.values) == pytest.approx(table.currents, abs=1e-13)


@pytest.mark.parametrize(
    ("coefficients", "low", "high"),
    [
        ((0, 0, 1), -1, 2),
        ((0, 0, 1), 0, 2),  # flat at its end
        ((0, 0, 0, 1), -1, 2),  # flat inside
        ((0, 1, 0, -1e-4), 0, 60),  # turns at 57.7
        ((1, 0), 0, 1),
        ((0, 1, -3, 3.0001, -1e-9), 0.0, 1e9),
    ],
)
def test_a_polynomial_that_turns_is_refused(coefficients, low, high):
    with pytest.raises(CalibrationError, match="not monotone"):
        Polynomial(coefficients, low, high)


def test_where_a_polynomial_turns_is_said():
    with pytest.raises(CalibrationError, match=r"from 0 to 60 A: .* near (5[5-9]|60)"):
        Polynomial((0, 1, 0, -1e-4), 0, 60)
    Polynomial((0, 1, 0, -1e-4), 0, 57.7)


@given(
    coefficients=st.lists(st.floats(-10, 10), min_size=2, max_size=7),
    low=st.floats(-3, 3),
    width=st.floats(0.1, 3),
)
@settings(deadline=None, max_examples=300)
def test_the_proof_agrees_with_the_roots_of_the_slope(coefficients, low, width):
    """Accepted: no root of the slope lies inside. Refused: one does, or nearly."""
    slope = np.polynomial.Polynomial(coefficients).deriv()
    assume(np.abs(slope.coef).max() > 1e-3)
    dense = slope(np.linspace(low, low + width, 4001))
    clearance = np.sign(dense[0]) * dense / np.abs(dense).max()
    assume(not 0 < clearance.min() < 1e-6)
    try:
        Polynomial(tuple(coefficients), low, low + width)
        accepted = True
    except CalibrationError:
        accepted = False
    assert accepted == (clearance.min() > 0)


@pytest.mark.parametrize(
    ("currents", "values", "message"),
    [
        ((0.0,), (1.0,), "two or more points"),
        ((0.0, 1.0), (1.0,), "2 currents and 1 values"),
        ((0.0, 1.0, 1.0), (0.0, 1.0, 2.0), "do not increase at 1 A"),
        ((0.0, 1.0, 2.0), (0.0, 2.0, 1.0), "it turns at 2 A"),
        ((0.0, 1.0, 2.0), (0.0, 1.0, 1.0), "it turns at 2 A"),
        ((0.0, 1.0), (0.0, np.nan), "finite"),
    ],
)
def test_a_table_that_is_none_is_refused(currents, values, message):
    with pytest.raises(CalibrationError, match=message):
        Table(currents, values)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Linear(0.0, 1.0, 0.0, 1.0),
        lambda: Linear(1.0, np.nan, 0.0, 1.0),
        lambda: Linear(1.0, 0.0, 1.0, 1.0),
        lambda: Linear(1.0, 0.0, 0.0, np.inf),
        lambda: Polynomial((1.0,), 0.0, 1.0),
        lambda: Polynomial((1.0, np.inf), 0.0, 1.0),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(CalibrationError):
        make()


def test_curves_are_values():
    one, other = Linear(1.0, 0.0, 0.0, 1.0), Linear(1.0, 0.0, 0.0, 1.0)
    one.value(0.5)
    assert one == other
    assert pickle.loads(pickle.dumps(one)) == other
    assert hash(one) == hash(other)


def test_a_flat_end_is_still_undone():
    """Newton's steps run away where the slope is 0, as PCHIP's may be at an end."""
    x, y = (72.0, 79.0, 79.5, 80.0, 81.0), (-72.0, -79.0, -80.0, -82.0, -83.0)
    assert Table(x, y).slope(81.0) == 0.0
    assert Table(x, y).current(-83.0) == 81.0


def test_a_bend_is_still_undone():
    table = Table((0.0, 1.0, 2.0, 3.0), (0.0, 10.0, 10.01, 10.02))
    values = np.linspace(0.0, 10.02, 1001)
    assert np.abs(table.value(table.current(values)) - values).max() < 1e-13
