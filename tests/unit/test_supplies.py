"""Supplies and magnets: round trips, groups that keep together, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acctwin.calibration.curves import Curve, Linear, Polynomial, Table
from acctwin.calibration.links import Links
from acctwin.calibration.rigidity import ELECTRON_REST_MASS_EV, rigidity
from acctwin.calibration.supplies import SupplyMap
from acctwin.errors import AcctwinError, CalibrationError, LimitError

B_RHO = 20.0
QUAD = Polynomial((0.0, 0.2, 0.0, -8e-7), -5.0, 105.0)
TABLE = Table((-10.0, 0.0, 50.0, 110.0), (-2.0, 0.0, 9.8, 19.0))
COIL = Linear(0.007, 0.0, -2.1, 2.1)

#: H, V and skew quadrupole of three coils.
COILS = np.array([[1.0, 0.5, 0.5], [0.0, 0.866, -0.866], [-50.0, 25.0, 25.0]])

MAGNETS = ("Q1", "Q2", "S1", "S2", "S3", "H", "V", "SQ", "T")
SUPPLIES = ("PS-Q1", "PS-Q2", "PS-S", "PS-1", "PS-2", "PS-3", "PS-T1", "PS-T2")
CURVES: tuple[Curve, ...] = (QUAD, TABLE, QUAD, COIL, COIL, COIL, COIL, COIL)
UNITS = ("1/m^2", "1/m^2", "1/m^3", "1/m^3", "1/m^3", "rad", "rad", "1/m^2", "rad")


def weights() -> np.ndarray:
    """Return two single magnets, three in series, a coil magnet, one magnet on two."""
    w = np.zeros((9, 8))
    w[0, 0], w[1, 1] = 1.0, -1.0
    w[2:5, 2] = 1.001, 0.999, -1.0
    w[5:8, 3:6] = COILS
    w[8, 6:8] = 1.0, 2.0
    return w


def links(matrix: np.ndarray) -> Links:
    rows, columns = np.nonzero(matrix)
    found = zip(rows, columns, matrix[rows, columns], strict=True)
    return Links.of(found, matrix.shape)


def make(**changes: object) -> SupplyMap:
    values = {
        "supplies": SUPPLIES,
        "magnets": MAGNETS,
        "curves": CURVES,
        "weights": links(weights()),
        "length": np.array([0.3, 0.5, 0.2, 0.2, 0.2, 1.0, 1.0, 0.1, 1.0]),
        "units": UNITS,
    }
    return SupplyMap(**(values | changes))  # type: ignore[arg-type]


MAP = make()


@st.composite
def currents(draw: st.DrawFn) -> np.ndarray:
    """Return currents of all supplies within their limits."""
    fractions = draw(st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8))
    return MAP.low + np.array(fractions) * (MAP.high - MAP.low)


@st.composite
def smallest(draw: st.DrawFn) -> np.ndarray:
    """Return the same, with the two supplies of T excited no more than they must."""
    given = draw(currents())
    given[6] = given[7] / 2
    return given


rigidities = st.floats(0.1, 100.0)


def close(one: np.ndarray, other: np.ndarray, scale: np.ndarray | float) -> bool:
    return bool((np.abs(one - other) <= 1e-12 * np.maximum(np.abs(scale), 1)).all())


def test_the_formula():
    """gain · Σ w·excitation / (Bρ·L) + offset, written out."""
    gain, offset = np.linspace(0.9, 1.1, 9), np.linspace(-1e-3, 1e-3, 9)
    given = np.array([80.0, 40.0, 60.0, 0.5, -1.0, 1.5, 0.2, 0.3])
    excited = [c.value(i) for c, i in zip(CURVES, given, strict=True)]
    wanted = gain * (weights() @ excited) / (B_RHO * MAP.length) + offset
    found = make(gain=gain, offset=offset).strengths(given, B_RHO)
    assert found == pytest.approx(wanted, rel=1e-14)


@settings(deadline=None)
@given(given=smallest(), b_rho=rigidities)
def test_currents_and_back(given: np.ndarray, b_rho: float):
    found = MAP.currents(MAP.strengths(given, b_rho), b_rho)
    assert close(found, given, 100.0)


@settings(deadline=None)
@given(
    given=currents(),
    magnet=st.integers(0, 8),
    fraction=st.floats(0.0, 1.0),
    b_rho=rigidities,
)
def test_set_one_magnet_and_read_it_back(
    given: np.ndarray, magnet: int, fraction: float, b_rho: float
):
    """The others stay, but for those in series with it."""
    before = MAP.strengths(given, b_rho)
    low, high = MAP.limits(b_rho)
    value = low[magnet] + fraction * (high[magnet] - low[magnet])
    try:
        found = MAP.change(given, [magnet], [value], b_rho)
    except LimitError:
        assert magnet in (5, 6, 7, 8)  # others of its coils are in the way
        return
    after = MAP.strengths(found, b_rho)
    size = np.maximum(np.abs(low), np.abs(high))
    assert abs(after[magnet] - value) <= 1e-12 * size[magnet]
    follows = [2, 3, 4] if magnet in (2, 3, 4) else [magnet]
    still = np.setdiff1d(np.arange(9), follows)
    assert (np.abs(after - before)[still] <= 1e-12 * size[still]).all()
    if magnet in (2, 3, 4):
        ratio = weights()[2:5, 2] / weights()[magnet, 2]
        assert after[2:5] == pytest.approx(ratio * value, abs=1e-12 * size[2])


@settings(deadline=None)
@given(magnet=st.integers(0, 8), b_rho=rigidities)
def test_the_limits_are_what_can_be_set(magnet: int, b_rho: float):
    """From the middle of all supplies, each magnet reaches both limits, no more."""
    middle = np.array([
        curve.current(0.5 * (curve.value(low) + curve.value(high)))
        for curve, low, high in zip(CURVES, MAP.low, MAP.high, strict=True)
    ])
    low, high = MAP.limits(b_rho)
    room = (high - low) / 100
    for end, beyond in ((low, low - room), (high, high + room)):
        found = MAP.change(middle, [magnet], [end[magnet]], b_rho)
        assert (found >= MAP.low).all() and (found <= MAP.high).all()
        with pytest.raises(LimitError, match=rf"{MAGNETS[magnet]}: wanted"):
            MAP.change(middle, [magnet], [beyond[magnet]], b_rho)


@settings(deadline=None)
@given(given=currents(), factor=st.floats(0.1, 10.0))
def test_strengths_go_with_one_over_the_rigidity(given: np.ndarray, factor: float):
    one, other = MAP.strengths(given, B_RHO), MAP.strengths(given, factor * B_RHO)
    assert other * factor == pytest.approx(one, rel=1e-13)


@settings(deadline=None)
@given(given=currents())
def test_the_jacobian(given: np.ndarray):
    inner = MAP.low + 0.98 * (given - MAP.low) + 0.01 * (MAP.high - MAP.low)
    jacobian = MAP.jacobian(inner, B_RHO).dense()
    for s in range(8):
        step = np.zeros(8)
        step[s] = 1e-4
        up, down = (MAP.strengths(inner + k * step, B_RHO) for k in (1, -1))
        assert (up - down) / 2e-4 == pytest.approx(jacobian[:, s], rel=1e-4, abs=1e-9)


def test_a_magnet_on_two_supplies_takes_the_smallest_excitations():
    found = MAP.change(np.zeros(8), [8], [5e-4], B_RHO)
    field = 5e-4 * B_RHO
    wanted = np.linalg.lstsq([[1.0, 2.0]], [field], rcond=None)[0] / 0.007
    assert found[6:] == pytest.approx(wanted, rel=1e-12)
    assert (found[:6] == 0).all()


def test_several_at_once_are_as_one_by_one():
    given = np.array([80.0, 40.0, 60.0, 0.5, -1.0, 1.0, 0.0, 0.0])
    asked, values = [0, 3, 5, 7], [2.0, 2.5, 1e-4, 0.01]
    together = MAP.change(given, asked, values, B_RHO)
    step = given
    for magnet, value in zip(asked, values, strict=True):
        step = MAP.change(step, [magnet], [value], B_RHO)
    assert together == pytest.approx(step, abs=1e-12)


def test_what_is_not_asked_does_not_move_by_a_bit():
    given = np.array([80.1, 40.1, 60.1, 0.51, -1.1, 1.1, 0.1, 0.1])
    found = MAP.change(given, [5], [1e-4], B_RHO)
    assert (found[[0, 1, 2, 6, 7]] == given[[0, 1, 2, 6, 7]]).all()
    assert (MAP.change(given, [], [], B_RHO) == given).all()


def test_magnets_in_series_must_agree():
    given = np.full(8, 1.0)
    strengths = MAP.strengths(np.where(np.arange(8) == 2, 50.0, given), B_RHO)
    found = MAP.change(given, [2, 3, 4], strengths[2:5], B_RHO)
    assert found[2] == pytest.approx(50.0, abs=1e-9)
    with pytest.raises(LimitError) as caught:
        MAP.change(given, [0, 2, 3], [1.0, 2.0, 2.0], B_RHO)
    assert str(caught.value) == (
        "S1: wanted 2 1/m^3; S2: wanted 2 1/m^3: they share the supply PS-S and want "
        "different currents of it; set one of them, or the supply; nothing was moved"
    )
    strengths[3] *= 1.01
    with pytest.raises(LimitError, match="share the supply PS-S"):
        MAP.currents(strengths, B_RHO)
    nearest = MAP.strengths(MAP.nearest(strengths, B_RHO), B_RHO)
    assert abs(nearest[3] / strengths[3] - 1) < 0.01
    others = [0, 1, 5, 6, 7, 8]
    assert nearest[others] == pytest.approx(strengths[others], rel=1e-12)


def test_outside_names_magnet_value_range_and_supply():
    given = np.full(8, 1.0)
    low, high = MAP.limits(B_RHO)
    with pytest.raises(LimitError) as caught:
        MAP.change(given, [1, 0], [-1.0, 9.0], B_RHO)
    assert str(caught.value) == (
        f"Q1: wanted 9 1/m^2, limits {low[0]:.9g} to {high[0]:.9g} "
        "(supply PS-Q1, -5 to 105 A); nothing was moved"
    )
    with pytest.raises(LimitError, match=r"H: wanted 0\.1 rad, alone -.* PS-1, -2\.1"):
        MAP.change(given, [5], [0.1], B_RHO)


def test_supply_limits_are_narrower_than_the_curve():
    narrow = make(low=np.full(8, -1.0), high=np.full(8, 2.0))
    narrow.strengths(np.full(8, 2.05), B_RHO)  # a reading may be beyond them
    with pytest.raises(LimitError, match="supply PS-Q1, -1 to 2 A"):
        narrow.change(np.zeros(8), [0], [0.1], B_RHO)
    top = narrow.limits(B_RHO)[1][0]
    assert narrow.change(np.zeros(8), [0], [top], B_RHO)[0] == pytest.approx(2.0)
    with pytest.raises(CalibrationError, match="PS-1: limits -5 to 2 A; the curve is"):
        make(low=np.where(np.arange(8) == 3, -5.0, 0.0), high=np.full(8, 2.0))


def test_a_current_outside_its_curve():
    given = np.array([80.0, 111.0, 0, 0, 0, -2.2, 0, 0])
    with pytest.raises(LimitError) as caught:
        MAP.strengths(given, B_RHO)
    assert str(caught.value) == (
        "PS-Q2: 111 A is outside its curve, -10 to 110 A; "
        "PS-3: -2.2 A is outside its curve, -2.1 to 2.1 A"
    )


ZEROS, NINE = np.zeros(8), np.zeros(9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MAP.strengths(np.zeros(7), B_RHO), "a current for each of 8, found"),
        (lambda: MAP.strengths(0.0, B_RHO), "a current for each of 8, found"),
        (lambda: MAP.strengths([*ZEROS[1:], np.nan], B_RHO), "PS-T2: current nan A is"),
        (lambda: MAP.currents(np.zeros(8), B_RHO), "a strength for each of 9, found"),
        (lambda: MAP.currents([np.inf, *NINE[1:]], B_RHO), "Q1: strength inf is no"),
        (lambda: MAP.change(ZEROS, [0], [np.nan], B_RHO), "Q1: strength nan is no"),
        (lambda: MAP.change(ZEROS, [0], [1, 2], B_RHO), "for each of 1, found"),
        (lambda: MAP.change(ZEROS, [0], ["much"], B_RHO), "is not a number"),
        (lambda: MAP.change(ZEROS, [9], [1], B_RHO), "numbered 0 to 8; found 9"),
        (lambda: MAP.change(ZEROS, [-1], [1], B_RHO), "numbered 0 to 8; found -1"),
        (lambda: MAP.change(ZEROS, [0.5], [1], B_RHO), "wanted the indices"),
        (lambda: MAP.change(ZEROS, [1, 1], [0, 0], B_RHO), "Q2 is to be set twice"),
    ],
)
def test_nonsense_is_refused(call, message: str):
    with pytest.raises(LimitError, match=message):
        call()


@pytest.mark.parametrize("b_rho", [0.0, -1.0, np.nan, np.inf])
def test_a_rigidity_that_is_none(b_rho: float):
    with pytest.raises(CalibrationError, match="rigidity"):
        MAP.strengths(ZEROS, b_rho)


def changed(row: int, column: int, value: float) -> Links:
    matrix = weights()
    matrix[row, column] = value
    return links(matrix)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": np.zeros(9)}, "Q1: the length must be above 0"),
        ({"length": np.ones(8)}, "wanted a length for each of 9"),
        ({"gain": np.arange(9.0)}, "Q1: a gain of 0 cannot be undone"),
        ({"offset": np.full(9, np.nan)}, "Q1: offset nan is no number"),
        ({"curves": CURVES[1:]}, "9 magnets and 8 supplies do not go with 7 curves"),
        ({"units": ("m",)}, "1 units for 9 magnets"),
        ({"weights": changed(0, 0, 0.0)}, "Q1 has no supply"),
        ({"weights": changed(4, 3, 1.0)}, "S1, S2, S3, H, V, SQ: 6 functions on 4"),
        ({"weights": changed(7, 3, 50.0)}, "H, V, SQ: the weights are too much alike"),
    ],
)
def test_maps_that_cannot_be(changes: dict[str, object], message: str):
    with pytest.raises(CalibrationError, match=message):
        make(**changes)


def test_two_magnets_that_see_each_other_s_supply():
    """As many supplies as functions: cross-talk is taken out."""
    crossed = make(weights=changed(0, 1, 0.05))
    given = np.array([80.0, 40.0, *np.zeros(6)])
    before = crossed.strengths(given, B_RHO)
    found = crossed.change(given, [1], [before[1] * 1.01], B_RHO)
    assert found[0] != given[0]
    after = crossed.strengths(found, B_RHO)
    assert after[:2] == pytest.approx(before[:2] * [1.0, 1.01], rel=1e-12)


def test_a_supply_that_feeds_nothing():
    with pytest.raises(CalibrationError, match="PS-Q3 feeds no magnet"):
        SupplyMap(
            supplies=("PS-Q1", "PS-Q3"),
            magnets=("Q1",),
            curves=(QUAD, QUAD),
            weights=Links.of([(0, 0, 1.0)], (1, 2)),
            length=np.ones(1),
        )


@pytest.mark.parametrize("entry", [(0, 8, 1.0), (9, 0, 1.0), (0, 0, np.nan)])
def test_weights_that_are_none(entry: tuple[int, int, float]):
    with pytest.raises(CalibrationError, match="a weight is"):
        Links.of([entry], (9, 8))


def test_no_supplies_at_all():
    empty = SupplyMap((), (), (), Links.of([], (0, 0)), np.ones(0))
    assert empty.strengths([], B_RHO).shape == (0,)
    assert empty.currents([], B_RHO).shape == (0,)
    assert empty.limits(B_RHO)[0].shape == (0,)


@settings(deadline=None)
@given(given=smallest(), seed=st.integers(0, 99))
def test_corrections_are_on_top_and_undone(given: np.ndarray, seed: int):
    rng = np.random.default_rng(seed)
    gain, offset = rng.normal(1.0, 0.02, 9), rng.normal(0.0, 1e-5, 9)
    corrected = MAP.with_corrections(gain, offset)
    plain, found = MAP.strengths(given, B_RHO), corrected.strengths(given, B_RHO)
    assert found == pytest.approx(gain * plain + offset, rel=1e-12, abs=1e-15)
    assert close(corrected.currents(found, B_RHO), given, 100.0)
    twice = corrected.with_corrections(1.01)
    assert twice.strengths(given, B_RHO) == pytest.approx(1.01 * found, rel=1e-12)
    assert (MAP.gain == 1).all()


def test_a_negative_gain_turns_the_limits_round():
    low, high = MAP.limits(B_RHO)
    turned = replace(MAP, gain=-np.ones(9)).limits(B_RHO)
    assert turned[0] == pytest.approx(-high)
    assert turned[1] == pytest.approx(-low)


def test_rigidity():
    """0.299792458·Bρ [T m] is the momentum in GeV/c."""
    assert rigidity(6e9) == pytest.approx(20.0138, abs=1e-4)
    assert rigidity(1e9, 0.0) * 0.299792458 == pytest.approx(1.0, rel=1e-14)
    proton = 938.27208943e6
    kinetic, momentum = 7e6, np.sqrt(7e6**2 + 2 * 7e6 * proton)
    wanted = momentum / 299792458
    assert rigidity(kinetic + proton, proton) == pytest.approx(wanted, rel=1e-12)
    for energy in (0.0, ELECTRON_REST_MASS_EV, np.nan, np.inf):
        with pytest.raises(CalibrationError, match="rest mass"):
            rigidity(energy)


def test_the_errors_are_acctwin_s():
    assert issubclass(CalibrationError, AcctwinError)
