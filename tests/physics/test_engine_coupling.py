"""Derivative of the orbit response by skew strengths, and the orbit at any place."""

from __future__ import annotations

from collections.abc import Callable

import at
import numpy as np
import pytest

from acctwin.errors import PlanError, UnknownName
from acctwin.model.at_engine import AtEngine
from acctwin.model.engine import EngineSpec, Knob, Monitor
from acctwin.model.fodo import ENERGY_EV, fodo_ring
from acctwin.model.spec import spec_of
from acctwin.profiles import load_profile
from acctwin.profiles.profile import ElementRef, LatticeSource

Make = Callable[..., AtEngine]


@pytest.fixture(scope="module", params=["4D", "6D"])
def skewed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AtEngine:
    """A FODO ring whose sextupoles are skew quadrupoles and correctors as well."""
    lattice = LatticeSource("code:fodo")
    if request.param == "4D":
        path = tmp_path_factory.mktemp("fodo") / "flat.json"
        at.Lattice(fodo_ring()[:-1], energy=ENERGY_EV, periodicity=1).save(str(path))
        lattice = LatticeSource(str(path))
    knobs = [
        Knob(f"skew {family}{i}", ElementRef(family, i), "a1")
        for family in ("SF", "SD")
        for i in range(16)
    ]
    knobs += [Knob(f"h{i}", ElementRef("HCM", i), "hkick") for i in range(16)]
    knobs += [Knob(f"v{i}", ElementRef("VCM", i), "vkick") for i in range(16)]
    knobs += [
        Knob("h in SF3", ElementRef("SF", 3), "hkick"),
        Knob("v in SF3", ElementRef("SF", 3), "vkick"),
        Knob("two skews", ElementRef("SF", 5, 2), "a1"),
    ]
    monitors = [Monitor(f"bpm{i}", ElementRef("BPM", i)) for i in range(32)]
    return AtEngine(EngineSpec(lattice, tuple(knobs), tuple(monitors)))


def differences(
    engine: AtEngine,
    monitors: list[str],
    actuators: list[str],
    skews: list[str],
    step: float,
) -> np.ndarray:
    """Return the central differences of the exact response."""
    rows = [engine.layout.monitors.index(name) for name in monitors]
    rows += [len(engine.layout.monitors) + row for row in rows]
    columns = []
    for skew in skews:
        sides = []
        for sign in (1, -1):
            engine.set([skew], np.array([sign * step]))
            sides.append(engine.orbit_response(actuators)[rows])
        engine.set([skew], np.zeros(1))
        columns.append((sides[0] - sides[1]) / (2 * step))
    return np.stack(columns, axis=2)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference over columns, relative to each column's norm."""
    gap = np.linalg.norm(found - expected, axis=0)
    return float((gap / np.linalg.norm(expected, axis=0)).max())


def test_coupling_response(skewed: AtEngine) -> None:
    monitors = [f"bpm{i}" for i in (0, 3, 10, 11, 31)]
    actuators = ["h0", "v0", "h7", "v15", "h in SF3", "v in SF3"]
    skews = ["skew SF0", "skew SF3", "skew SD7", "skew SD15", "two skews"]
    found = skewed.coupling_response(monitors, actuators, skews)
    assert found.shape == (10, 6, 5)
    expected = differences(skewed, monitors, actuators, skews, 1e-3)
    # With radiation the orbit is not quite on axis, so that skews move it a little.
    allowed = 1e-5 if "rf" not in skewed.layout.knobs else 1e-3
    assert relative(found, expected) < allowed
    # A horizontal corrector moves only the vertical orbit, to first order.
    assert np.abs(found[:5, 0]).max() < 1e-6 * np.abs(found[5:, 0]).max()


def test_one_device_of_two_skews_is_their_sum(skewed: AtEngine) -> None:
    names = ["two skews", "skew SF5", "skew SF6"]
    both, one, other = np.moveaxis(
        skewed.coupling_response(["bpm2"], ["h1", "v1"], names), 2, 0
    )
    assert both == pytest.approx(one + other, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("skewed", ["6D"], indirect=True)
def test_coupling_response_of_the_rf_is_vertical_dispersion(skewed: AtEngine) -> None:
    monitors, skews = list(skewed.layout.monitors), ["skew SF2"]
    found = skewed.coupling_response(monitors, ["rf"], skews)
    expected = differences(skewed, monitors, ["rf"], skews, 1e-3)
    assert relative(found, expected) < 1e-3


@pytest.mark.parametrize(("name", "allowed"), [("ebs", 3e-4), ("soleil", 0.02)])
def test_coupling_response_of_machines(name: str, allowed: float) -> None:
    """EBS has its correctors and skews in sextupoles; SOLEIL's orbit is off axis."""
    engine = AtEngine(spec_of(load_profile(name)))
    layout, components = engine.layout, np.array(engine._ring.components)
    kicks = np.flatnonzero(engine._ring.is_kick[: len(components)])
    actuators = [layout.knobs[i] for i in kicks[:: len(kicks) // 4]]
    skews = [layout.knobs[i] for i in np.flatnonzero(components == "a1")][::41][:3]
    monitors = list(layout.monitors[::8])
    found = engine.coupling_response(monitors, actuators, skews)
    step = 1e-3 / engine.local_optics(skews).length[0]
    expected = differences(engine, monitors, actuators, skews, step)
    gap = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert gap < allowed


def test_only_skews_couple(skewed: AtEngine) -> None:
    with pytest.raises(PlanError, match="h0 is of component 'hkick'"):
        skewed.coupling_response(["bpm0"], ["h0"], ["h0"])
    with pytest.raises(UnknownName, match="bpm77"):
        skewed.coupling_response(["bpm77"], ["h0"], ["skew SF0"])


def test_place_response_is_the_orbit_at_entrances(make_engine: Make) -> None:
    """Against two closed orbits of pyAT, in a ring with errors."""
    engine = make_engine("fodo", misaligned=True)
    places = ["b1 QD 9", "BPM 4", "hkick HCM 5", "b1 QF 0"]
    elements = [
        engine._ring.channels[engine.layout.knobs.index(name)][0].element
        if name in engine.layout.knobs
        else engine._ring.monitors[engine.layout.monitors.index(name)]
        for name in places
    ]
    knobs = {"hkick HCM 5": 1e-6, "vkick VCM 15": 1e-6, "b1 QF 3": 1e-5, "rf": 20.0}
    found = engine.place_response(places, list(knobs))
    assert found.shape == (4, 4, 4)
    guess = engine._anchor().start
    for column, (knob, step) in enumerate(knobs.items()):
        value = engine.values()[engine.layout.knobs.index(knob)]
        sides = []
        for sign in (1, -1):
            engine.set([knob], np.array([value + sign * step]))
            ring = engine.ring_copy()
            start, _ = ring.find_orbit6(guess=guess)
            orbit, _, _ = ring.track(start, refpts=np.unique(elements))
            order = np.searchsorted(np.unique(elements), elements)
            sides.append(orbit[:4, 0, :, 0][:, order])
        engine.set([knob], np.array([value]))
        expected = (sides[0] - sides[1]) / (2 * step)
        for row in range(4):
            scale = np.abs(expected[row]).max()
            assert found[row, :, column] == pytest.approx(
                expected[row], abs=1e-4 * scale
            ), (knob, row)


def test_place_response_at_monitors_is_the_orbit_response(skewed: AtEngine) -> None:
    knobs = ["h3", "v3", "h in SF3", *skewed.layout.knobs[-1:]]
    places = skewed.place_response(list(skewed.layout.monitors), knobs)
    flat = np.concatenate([places[0], places[2]])
    assert flat == pytest.approx(skewed.orbit_response(knobs), rel=1e-9, abs=1e-12)


def test_thin_skew_quadrupoles_do_not_radiate() -> None:
    """Those of soleil.m are dipoles of 1e-8 m.

    With their radiation, 1e-3/m rms would add 1.6 % to the horizontal emittance, and
    twice of it 9 %.
    """
    profile = load_profile("soleil")
    engine = AtEngine(spec_of(profile))
    skews = [row for row in profile.magnets if row.component == "a1"]
    before = engine.equilibrium()
    integrated = np.random.default_rng(1).normal(0.0, 1e-3, len(skews))
    engine.set([row.name for row in skews], integrated / skews[0].length)
    after = engine.equilibrium()
    assert after.emittances[1] > 1e-11
    assert after.emittances[0] == pytest.approx(before.emittances[0], rel=0.01)
    assert after.energy_loss == pytest.approx(before.energy_loss, rel=1e-5)
    # The same strengths in elements that have no length at all.
    thin = [
        at.ThinMultipole(e.FamName, e.PolynomA * e.Length, e.PolynomB * e.Length)
        if e.FamName == "SkewQuad"
        else e
        for e in engine.ring_copy()
    ]
    ring = at.Lattice(thin, energy=engine.layout.energy)
    _, expected, _ = at.ohmi_envelope(ring)
    assert after.emittances == pytest.approx(expected.mode_emittances[:2], rel=2e-3)
