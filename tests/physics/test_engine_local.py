"""Optics along magnets, and what tunes and chromaticities make of their strengths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import at
import numpy as np
import pytest

from acctwin.errors import PlanError, UnknownName
from acctwin.model.at_engine import AtEngine
from acctwin.model.engine import EngineSpec, Knob, Monitor
from acctwin.model.spec import spec_of
from acctwin.profiles import load_profile
from acctwin.profiles.profile import ElementRef, LatticeSource

Open = Callable[[str], AtEngine]
MACHINES = ["fodo", "thomx", "soleil", "ebs"]


@pytest.fixture(scope="module")
def open_engine() -> Open:
    """Return a function that gives the engine of a profile, made once."""
    engines: dict[str, AtEngine] = {}

    def open_one(name: str) -> AtEngine:
        if name not in engines:
            engines[name] = AtEngine(spec_of(load_profile(name)))
        return engines[name]

    return open_one


def knobs_of(engine: AtEngine, component: str, most: int) -> list[str]:
    """Return some knobs of a component, from all around the ring."""
    names = engine.layout.knobs
    components = engine._ring.components
    found = [names[i] for i, c in enumerate(components) if c == component]
    return found[:: max(1, len(found) // most)][:most]


def slope(engine: AtEngine, product: str, knob: str, step: float) -> np.ndarray:
    """Return the central difference of a product; the step is relative."""
    value = engine.layout.values[engine.layout.knobs.index(knob)]
    sides = []
    for sign in (1, -1):
        engine.set([knob], np.array([value * (1 + sign * step)]))
        sides.append(getattr(engine, product)()[:2].copy())
    engine.set([knob], np.array([value]))
    return (sides[0] - sides[1]) / (2 * step * value)


@pytest.mark.parametrize("name", MACHINES)
def test_slip_factor_is_pyats(open_engine: Open, name: str) -> None:
    engine = open_engine(name)
    flat = engine.ring_copy()
    flat.disable_6d()
    # pyAT's sign is the other one. (Radiation shifts the 6D one a little.)
    expected = -at.get_slip_factor(flat)
    assert engine.slip_factor() == pytest.approx(expected, rel=1e-3)


def test_slip_factor_in_4d(make_engine: Callable[..., AtEngine]) -> None:
    engine = make_engine("fodo", "b1", flat=True)
    expected = -at.get_slip_factor(engine.ring_copy())
    assert engine.slip_factor() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", MACHINES)
def test_tune_response(open_engine: Open, name: str) -> None:
    engine = open_engine(name)
    knobs = knobs_of(engine, "b1", 6)
    found = engine.tune_response(knobs)
    expected = np.array([slope(engine, "tunes", knob, 1e-4) for knob in knobs]).T
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert np.all(np.abs(found - expected) < 0.01 * np.abs(expected) + 1e-4 * scale)


@pytest.mark.parametrize("name", MACHINES)
def test_chromaticity_response(open_engine: Open, name: str) -> None:
    engine = open_engine(name)
    knobs = knobs_of(engine, "b2", 6)
    found = engine.chromaticity_response(knobs)
    rows = [slope(engine, "chromaticity", knob, 0.05) for knob in knobs]
    expected = np.array(rows).T
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert np.all(np.abs(found - expected) < 0.02 * np.abs(expected) + 1e-3 * scale)


@pytest.mark.parametrize("name", ["fodo", "soleil", "hmba"])
def test_optics_along_magnets_are_means_of_a_finely_cut_lattice(
    make_engine: Callable[..., AtEngine], name: str
) -> None:
    engine = make_engine(name, "b1", flat=True)
    ring, slices = engine.ring_copy(), 40
    quadrupoles = knobs_of(engine, "b1", 5)
    found = engine.local_optics([*quadrupoles, *engine.layout.monitors[:5]])
    for i, knob in enumerate(quadrupoles):
        (channel,) = engine._ring.channels[engine.layout.knobs.index(knob)]
        here, element = channel.element, ring[channel.element]
        pieces = element.divide(np.full(slices, 1 / slices))
        cut = at.Lattice([*ring[:here], *pieces, *ring[here + 1 :]], energy=ring.energy)
        _, _, optics = cut.linopt6(refpts=range(len(cut)))
        inside = optics[here : here + slices + 1]
        beta, eta = inside.beta, inside.dispersion[:, [0, 2]]
        means = [(v[:-1] + v[1:]).sum(axis=0) / (2 * slices) for v in (beta, eta)]
        assert found.length[i] == pytest.approx(element.Length)
        assert found.s[i] == pytest.approx(inside.s_pos[slices // 2])
        assert found.beta[i] == pytest.approx(means[0], rel=1e-3)
        assert found.dispersion[i] == pytest.approx(means[1], rel=3e-3, abs=1e-5)
        assert found.alpha[i] == pytest.approx(inside.alpha[0], rel=1e-4, abs=1e-4)
        assert found.phase[i] == pytest.approx(inside.mu[slices // 2], abs=3e-3)
    at_monitors = engine.optics()
    assert found.beta[-5:] == pytest.approx(at_monitors.beta[:5])
    assert found.phase[-5:] == pytest.approx(at_monitors.phase[:5])
    assert not np.any(found.length[-5:])
    assert found.tunes == pytest.approx(engine.tunes()[:2])


def test_sliced_magnets_are_composed() -> None:
    """Neighbouring quadrupoles as one device: the sum of two, or the mean."""
    lattice = LatticeSource("code:fodo")
    spec = EngineSpec(
        lattice,
        (
            Knob("both", ElementRef("QF", 2, 2), "b1"),
            Knob("one", ElementRef("QF", 2), "b1"),
            Knob("other", ElementRef("QF", 3), "b1"),
        ),
        (Monitor("bpm", ElementRef("BPM", 0)),),
    )
    engine = AtEngine(spec)
    both, one, other = engine.tune_response(["both", "one", "other"]).T
    assert both == pytest.approx(one + other)
    optics = engine.local_optics(["both", "one", "other"])
    assert optics.beta[0] == pytest.approx(optics.beta[1:].mean(axis=0))
    assert optics.phase[0] == pytest.approx(optics.phase[1:].mean(axis=0))
    assert optics.length[0] == pytest.approx(0.6)
    assert np.array_equal(optics.alpha[0], optics.alpha[1])


def test_thin_quadrupoles_have_integrated_strengths(tmp_path: Path) -> None:
    ring = at.Lattice(
        [
            element
            for _ in range(16)
            for element in (
                at.Monitor("BPM"),
                at.ThinMultipole("QF", [0, 0], [0, 0.8]),
                at.Drift("D", 0.5),
                at.Dipole("B", 0.5, 2 * np.pi / 16),
                at.ThinMultipole("QD", [0, 0], [0, -0.8]),
                at.Drift("D", 1.0),
            )
        ],
        energy=1e9,
        periodicity=1,
    )
    path = tmp_path / "thin.json"
    ring.save(str(path))
    knobs = (
        Knob("QF", ElementRef("QF", 0), "b1"),
        Knob("QD", ElementRef("QD", 2, 2), "b1"),
    )
    engine = AtEngine(EngineSpec(LatticeSource(str(path)), knobs, ()))
    found = engine.tune_response(["QF", "QD"])
    expected = [slope(engine, "tunes", knob, 1e-4) for knob in ("QF", "QD")]
    assert found == pytest.approx(np.array(expected).T, rel=1e-3)
    assert not np.any(engine.local_optics(["QD"]).length)


def test_magnets_that_do_nothing_to_first_order_are_refused(
    make_engine: Callable[..., AtEngine],
) -> None:
    engine = make_engine("fodo")
    with pytest.raises(PlanError, match="hkick HCM 3 is of component 'hkick'"):
        engine.tune_response(["b1 QF 3", "hkick HCM 3"])
    with pytest.raises(PlanError, match="rf is of component 'rf'"):
        engine.chromaticity_response(["rf"])
    with pytest.raises(UnknownName, match="QF 2"):
        engine.local_optics(["b1 QF2"])
    with pytest.raises(UnknownName, match="no monitor or magnet of the model"):
        engine.local_optics(["rf"])
