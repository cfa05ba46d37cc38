"""The calibration of every machine of the site: exact both ways, and no further."""

from __future__ import annotations

from functools import cache

import at
import numpy as np
import pytest

from acctwin.calibration.rigidity import rigidity
from acctwin.calibration.supplies import SupplyMap
from acctwin.errors import LimitError
from acctwin.model.lattice import elements_of, match, open_lattice, places_of
from acctwin.names import COMPONENT_UNITS
from acctwin.profiles import MagnetRow, Profile, find_site, load_profile, profile_names
from acctwin.profiles.supplies import supply_map

SITE = find_site()
NAMES = [n for n in profile_names(SITE) if load_profile(n, SITE).supplies]
REFERENCE_MACHINES = {"ebs", "soleil", "thomx", "fodo"}


@cache
def machine(name: str) -> tuple[Profile, SupplyMap, float]:
    profile = load_profile(name, SITE)
    assert profile.energy_ev is not None
    return profile, supply_map(profile), rigidity(profile.energy_ev)


@cache
def ring(name: str) -> at.Lattice:
    return open_lattice(load_profile(name, SITE).lattice)


def fed(name: str) -> list[MagnetRow]:
    profile, calibration, _ = machine(name)
    rows = {row.name: row for row in profile.magnets}
    return [rows[magnet] for magnet in calibration.magnets]


def halfway(name: str) -> np.ndarray:
    """Return currents with every magnet near the middle of its limits."""
    _, calibration, b_rho = machine(name)
    middle = np.array([0.5 * (row.low + row.high) for row in fed(name)])
    return calibration.nearest(middle, b_rho)


def test_the_reference_machines_have_supplies():
    assert set(NAMES) >= REFERENCE_MACHINES


@pytest.mark.parametrize("name", NAMES)
def test_every_magnet_is_fed(name: str):
    profile, calibration, _ = machine(name)
    assert set(calibration.magnets) == {row.name for row in profile.magnets}


@pytest.mark.parametrize("name", NAMES)
def test_strength_to_current_to_strength_of_all_at_once(name: str):
    """For groups of several functions and for single magnets, over the whole range.

    Magnets in series follow the first of them, so that all can have what they want.
    """
    _, calibration, b_rho = machine(name)
    rows = fed(name)
    low, high = (
        np.array([getattr(row, end) for row in rows]) for end in ("low", "high")
    )
    leader = leaders(calibration)
    for fraction in np.linspace(0.0, 1.0, 21):
        wanted = low + fraction * (high - low)
        wanted = wanted[leader] * relative(calibration, leader)
        currents = calibration.currents(wanted, b_rho)
        found = calibration.strengths(currents, b_rho)
        assert (np.abs(found - wanted) <= 1e-9 * (high - low)).all()
        assert (currents >= calibration.low - 1e-9).all()
        assert (currents <= calibration.high + 1e-9).all()


def leaders(calibration: SupplyMap) -> np.ndarray:
    """Return for each magnet the first one that is in series with it, or itself."""
    group, series = calibration.wiring.magnet_group, calibration.wiring.is_series
    first: dict[int, int] = {}
    for i, g in enumerate(group):
        first.setdefault(g, i)
    return np.array([
        first[g] if s else i for i, (g, s) in enumerate(zip(group, series, strict=True))
    ])


def relative(calibration: SupplyMap, leader: np.ndarray) -> np.ndarray:
    """Return the strength of each magnet for that of its leader."""
    field = np.ones(len(leader))
    weights = calibration.weights
    series = calibration.wiring.is_series[weights.rows]
    field[weights.rows[series]] = weights.values[series]
    strength = field / calibration.length
    return strength / strength[leader]


@pytest.mark.parametrize("name", NAMES)
def test_each_magnet_by_itself(name: str):
    """Set to both limits and between, read back, and the others of its group stay."""
    _, calibration, b_rho = machine(name)
    rows, start = fed(name), halfway(name)
    before = calibration.strengths(start, b_rho)
    group, series = calibration.wiring.magnet_group, calibration.wiring.is_series
    size = np.array([row.high - row.low for row in rows])
    for m, row in enumerate(rows):
        for value in np.linspace(row.low, row.high, 3):
            currents = calibration.change(start, [m], [value], b_rho)
            found = calibration.strengths(currents, b_rho)
            assert abs(found[m] - value) <= 1e-9 * size[m]
            moves = (group == group[m]) if series[m] else np.arange(len(rows)) == m
            still = np.abs(found - before)[~moves] <= 1e-9 * size[~moves]
            assert still.all()


@pytest.mark.parametrize("name", NAMES)
def test_a_value_outside_is_refused(name: str):
    """Beyond what its supplies can do, with the magnet's name and its range."""
    _, calibration, b_rho = machine(name)
    start = halfway(name)
    low, high = calibration.limits(b_rho)
    # Where the others of its coils are not in the middle, the room may be larger.
    room = 1.1 * (high - low)
    for m, magnet in enumerate(calibration.magnets):
        for value in (low[m] - room[m], high[m] + room[m]):
            with pytest.raises(LimitError, match="nothing was moved") as caught:
                calibration.change(start, [m], [value], b_rho)
            assert str(caught.value).startswith(f"{magnet}: wanted {value:.9g}")
            assert f"{low[m]:.9g} to {high[m]:.9g}" in str(caught.value)
    with pytest.raises(LimitError, match="nan"):
        calibration.change(start, [0], [np.nan], b_rho)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_of_a_magnet_may_be_at_its_limit_at_once(name: str):
    """What the limits of the tables allow, the supplies can do in any combination."""
    _, calibration, b_rho = machine(name)
    rows, rng = fed(name), np.random.default_rng(1)
    single = ~calibration.wiring.is_series
    low, high = (
        np.array([getattr(row, end) for row in rows]) for end in ("low", "high")
    )
    start = halfway(name)
    for _ in range(8):
        corner = np.where(rng.random(len(rows)) < 0.5, low, high)
        which = np.flatnonzero(single)
        currents = calibration.change(start, which, corner[which], b_rho)
        found = calibration.strengths(currents, b_rho)
        assert (np.abs(found - corner)[which] <= 1e-9 * (high - low)[which]).all()


@pytest.mark.parametrize("name", NAMES)
def test_energy_and_lengths_are_those_of_the_lattice(name: str):
    profile, _, b_rho = machine(name)
    lattice = ring(name)
    assert b_rho == pytest.approx(lattice.BRho, rel=1e-9)
    places = places_of(lattice)
    for row in profile.magnets:
        _, thin = COMPONENT_UNITS[row.component]
        if row.unit == thin:
            assert row.length == 1.0
        else:
            parts = elements_of(lattice, row.element, places)
            length = sum(lattice[i].Length for i in parts)
            assert row.length == pytest.approx(length, rel=1e-6)


def test_the_field_of_a_quadrupole_is_what_pyat_needs():
    """K·L·Bρ = ∫(dB/dx)dl, and that is what the supply excites: no factor is lost."""
    profile, calibration, b_rho = machine("fodo")
    row = next(row for row in profile.magnets if row.name == "C01/QD")
    m = calibration.magnets.index(row.name)
    quad = next(e for e in ring("fodo") if e.FamName == "QD")
    k1 = quad.PolynomB[1]
    currents = calibration.change(halfway("fodo"), [m], [k1], b_rho)
    s = calibration.supplies.index("C01/PS-QD")
    gradient = -calibration.curves[s].value(currents[s])
    x, momentum = 1e-3, ring("fodo").BRho
    thin = at.Lattice(
        [at.ThinMultipole("Q", [0, 0], [0, gradient / momentum])], energy=1.5e9
    )
    kick = thin.track(np.array([x, 0, 0, 0, 0, 0.0]))[0].ravel()[1]
    assert kick == pytest.approx(-k1 * quad.Length * x, rel=1e-9)


def test_a_wrong_energy_or_length_is_a_fault_of_the_profile():
    from dataclasses import replace

    profile = machine("fodo")[0]
    wrong = match(replace(profile, energy_ev=1.6e9))
    assert [fault.message for fault in wrong] == [
        "energy_gev: 1.6 found, the lattice has 1.5"
    ]
    magnets = tuple(
        replace(row, length=0.31) if row.name == "C02/QF" else row
        for row in profile.magnets
    )
    (wrong,) = match(replace(profile, magnets=magnets))
    assert wrong.message == "C02/QF: length 0.31 m found, the lattice has 0.3"
    assert (wrong.line, wrong.column > 1) == (7, True)


@pytest.mark.parametrize("name", NAMES)
def test_supplies_are_single_and_shared(name: str):
    """Each reference machine shows both kinds; quadrupoles of fodo stand alone."""
    profile, calibration, _ = machine(name)
    series = calibration.wiring.is_series
    assert series.any() and not series.all()
    alone = {m for m, s in zip(calibration.magnets, series, strict=True) if not s}
    if name in ("fodo", "ebs", "soleil"):
        assert set(profile.families()["quadrupoles"]) <= alone


def test_series_of_soleil_are_slightly_different_magnets():
    _, calibration, b_rho = machine("soleil")
    strengths = calibration.strengths(halfway("soleil"), b_rho)
    s3 = [
        k
        for k, n in zip(strengths, calibration.magnets, strict=True)
        if n.startswith("SR/S3-")
    ]
    assert 1e-3 < np.ptp(s3) / abs(np.mean(s3)) < 4e-3


def test_coils_of_the_ebs_make_three_functions():
    """One step of H moves three currents and leaves V, skew and sextupole alone."""
    _, calibration, b_rho = machine("ebs")
    start = halfway("ebs")
    m = calibration.magnets.index("SR/C07/SD1B-H")
    found = calibration.change(start, [m], [2e-4], b_rho)
    moved = np.flatnonzero(found != start)
    names = [calibration.supplies[s] for s in moved]
    assert names == [f"SR/C07/PS-SD1B-{k}" for k in (1, 2, 3)]
    change = calibration.strengths(found, b_rho) - calibration.strengths(start, b_rho)
    assert np.flatnonzero(np.abs(change) > 1e-15).tolist() == [m]
