"""States of the engine: what is computed when, lost beam, and the way back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import at
import numpy as np
import pytest

from acctwin.errors import BeamLost, EngineError, LimitError, UnknownName
from acctwin.model.at_engine import AtEngine
from acctwin.model.engine import EngineSpec, Knob
from acctwin.profiles.profile import ElementRef, LatticeSource

Make = Callable[..., AtEngine]


@pytest.fixture
def fodo(make_engine: Make) -> AtEngine:
    return make_engine("fodo", misaligned=True)


def quadrupoles(engine: AtEngine, family: str = "QF") -> list[str]:
    return [n for n in engine.layout.knobs if n.startswith(f"b1 {family}")]


def scale(engine: AtEngine, names: list[str], factor: float) -> None:
    nominal = dict(zip(engine.layout.knobs, engine.layout.values, strict=True))
    engine.set(names, np.array([nominal[n] * factor for n in names]))


def test_nothing_is_computed_twice(fodo: AtEngine) -> None:
    fodo.orbit(), fodo.optics(), fodo.orbit_response(), fodo.chromaticity()
    version, turns = fodo.set(["hkick HCM 0"], np.array([0.0])), fodo.turns
    first = fodo.orbit()
    assert fodo.orbit() is first
    fodo.tunes(), fodo.optics(), fodo.orbit_response(), fodo.chromaticity()
    assert fodo.turns == turns
    assert fodo.set(["hkick HCM 0"], np.array([0.0])) == version


def test_set_alone_computes_nothing(fodo: AtEngine) -> None:
    fodo.orbit()
    turns, version = fodo.turns, fodo.set(["hkick HCM 0"], np.array([1e-6]))
    assert fodo.set(["hkick HCM 0"], np.array([2e-6])) == version + 1
    assert fodo.turns == turns


def test_an_orbit_costs_a_turn_or_two_of_one_particle(fodo: AtEngine) -> None:
    fodo.orbit()
    fodo.set(["hkick HCM 0"], np.array([1e-7]))
    fodo.orbit()  # now the response is known
    tracker = fodo._ring.tracker
    turns, particles = tracker.turns, tracker.particle_turns
    fodo.set(["hkick HCM 0"], np.array([1.1e-6]))
    fodo.orbit()
    assert tracker.turns - turns <= 2
    assert tracker.particle_turns - particles == tracker.turns - turns


def test_values_are_what_was_set(fodo: AtEngine) -> None:
    layout = fodo.layout
    assert np.array_equal(fodo.values(), layout.values)
    fodo.set(["b1 QF 3", "rf"], np.array([2.0, layout.rf_frequency + 100]))
    index = layout.knobs.index("b1 QF 3")
    assert fodo.values()[index] == 2.0
    assert fodo.values()[-1] == layout.rf_frequency + 100
    ring = fodo.ring_copy()
    assert [e for e in ring if e.FamName == "QF"][3].PolynomB[1] == 2.0
    assert ring.get_rf_frequency() == pytest.approx(layout.rf_frequency + 100)


def test_results_cannot_be_written(fodo: AtEngine) -> None:
    with pytest.raises(ValueError, match="read-only"):
        fodo.orbit()[0, 0] = 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_numbers_are_refused(fodo: AtEngine, bad: float) -> None:
    before = fodo.values()
    with pytest.raises(LimitError, match="hkick HCM 1"):
        fodo.set(["hkick HCM 0", "hkick HCM 1"], np.array([1e-6, bad]))
    with pytest.raises(LimitError, match="2 knobs but 1 values"):
        fodo.set(["hkick HCM 0", "hkick HCM 1"], np.array([1e-6]))
    with pytest.raises(UnknownName, match="did you mean 'hkick HCM 1'"):
        fodo.set(["hkick HCM 0", "hkick HCN 1"], np.array([1e-6, 0.0]))
    assert np.array_equal(fodo.values(), before)


def test_unstable_optics_lose_the_beam_and_come_back(fodo: AtEngine) -> None:
    orbit, tunes, names = fodo.orbit().copy(), fodo.tunes().copy(), quadrupoles(fodo)
    scale(fodo, names, 0.5)
    with pytest.raises(BeamLost, match=r"unstable optics: \w+ .*stable below 2") as one:
        fodo.orbit()
    turns = fodo.turns
    for product in (fodo.orbit, fodo.tunes, fodo.optics, fodo.orbit_response):
        with pytest.raises(BeamLost) as again:
            product()
        assert str(again.value) == str(one.value)
    assert fodo.turns == turns
    scale(fodo, names, 1.0)
    assert fodo.orbit() == pytest.approx(orbit, abs=1e-9)
    assert fodo.tunes() == pytest.approx(tunes, abs=1e-7)


def test_a_kick_beyond_reach_loses_the_beam(make_engine: Make) -> None:
    engine = make_engine("soleil")
    orbit = engine.orbit().copy()
    for kick in (5e-3, 0.5, 100.0):
        engine.set(["hkick COR 0"], np.array([kick]))
        with pytest.raises(BeamLost, match="no closed orbit|unstable optics"):
            engine.orbit()
    assert engine.values()[engine.layout.knobs.index("hkick COR 0")] == 100.0
    engine.set(["hkick COR 0"], np.array([1e-6]))
    assert np.all(np.isfinite(engine.orbit()))
    engine.set(["hkick COR 0"], np.array([0.0]))
    assert engine.orbit() == pytest.approx(orbit, abs=1e-9)


def test_a_large_kick_within_reach_is_found(make_engine: Make, oracle: Any) -> None:
    """A jump of a centimetre, at once."""
    engine = make_engine("fodo")
    engine.orbit()
    engine.set(["hkick HCM 0"], np.array([4e-3]))
    known = oracle(engine)
    assert np.abs(engine.orbit()).max() > 0.01
    guess = engine._anchor().start
    assert engine.orbit() == pytest.approx(known.orbit(guess=guess), abs=1e-9)


def test_an_aperture_is_named(tmp_path: Any) -> None:
    from acctwin.model.fodo import fodo_ring

    ring = fodo_ring()
    ring.insert(100, at.Aperture("SCRAPER", [-2e-3, 2e-3, -2e-3, 2e-3]))
    path = tmp_path / "scraper.json"
    ring.save(str(path))
    knobs = (Knob("kick", ElementRef("HCM", 0), "hkick"),)
    engine = AtEngine(EngineSpec(LatticeSource(str(path)), knobs, ()))
    engine.orbit()
    engine.set(["kick"], np.array([3e-3]))
    with pytest.raises(BeamLost, match="lattice element 'SCRAPER'"):
        engine.orbit()
    engine.set(["kick"], np.array([0.0]))
    engine.tunes()


def test_other_pyat_calls_do_not_spoil_the_cache(make_engine: Make) -> None:
    """Two engines and plain pyAT, by turns, in one process."""
    one, two = make_engine("fodo"), make_engine("fodo", misaligned=True)
    kick = ["hkick HCM 0"]
    expected = []
    for engine in (one, two):
        engine.set(kick, np.array([1e-5]))
        expected.append(engine.orbit().copy())
        engine.set(kick, np.array([0.0]))
        engine.orbit()
    for engine, orbit in zip((one, two), expected, strict=True):
        engine.set(kick, np.array([1e-5]))
        copy = engine.ring_copy()
        copy.find_orbit6()  # the same length, other elements
        assert engine.orbit() == pytest.approx(orbit, abs=1e-10)


def test_without_pyats_inner_functions_it_still_works(
    make_engine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = make_engine("fodo")
    monkeypatch.setattr("acctwin.model.turns._direct_calls", lambda: None)
    public = make_engine("fodo")
    assert "public" in public._ring.tracker._call.__name__
    for engine in (direct, public):
        engine.set(["hkick HCM 0", "b1 QD 2"], np.array([1e-5, -1.75]))
    assert public.orbit() == pytest.approx(direct.orbit(), abs=1e-12)
    assert public.orbit_response() == pytest.approx(direct.orbit_response(), rel=1e-6)
    turns = [engine.turn_by_turn(5, (1e-5, 1e-5)) for engine in (direct, public)]
    assert turns[0] == pytest.approx(turns[1], abs=1e-12)


def test_writes_that_pyat_does_not_see_force_it_to_read_again(
    make_engine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def blind(ring: Any, channels: Any, components: Any) -> Any:
        return [[replace(c, is_seen=False) for c in found] for found in channels]

    monkeypatch.setattr("acctwin.model.compiled.check_writes", blind)
    engine = make_engine("fodo")
    engine.orbit()
    assert engine._ring.tracker._is_fresh
    engine.set(["hkick HCM 0"], np.array([1e-5]))
    assert not engine._ring.tracker._is_fresh
    assert np.abs(engine.orbit()).max() > 1e-5


def test_no_equilibrium_without_rf(make_engine: Make) -> None:
    engine = make_engine("fodo", flat=True)
    with pytest.raises(EngineError, match="no cavity that can make up"):
        engine.equilibrium()
    engine.orbit()  # the beam is well


def test_weak_cavities_make_a_ring_of_fixed_energy(tmp_path: Any) -> None:
    from acctwin.model.fodo import fodo_ring

    ring = fodo_ring()
    ring[-1].Voltage = 50e3  # 73 keV are lost in a turn
    path = tmp_path / "weak.json"
    ring.save(str(path))
    engine = AtEngine(EngineSpec(LatticeSource(str(path)), (), ()))
    assert engine.layout.rf_frequency is None and "rf" not in engine.layout.knobs
    assert engine.tunes()[0] == pytest.approx(4.22, abs=1e-4)


def test_close_and_forget(make_engine: Make) -> None:
    engine = make_engine("fodo")
    engine.orbit()
    engine.close()
    del engine
    gc.collect()
