"""Orbits with the maps of an earlier state: the same, cheaper, and never unstable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from acctwin.errors import BeamLost
from acctwin.model.at_engine import AtEngine
from acctwin.model.engine import EngineSpec, Knob, Monitor
from acctwin.model.margin import matrix_change
from acctwin.names import Component
from acctwin.profiles.profile import ElementRef, LatticeSource

Make = Callable[..., AtEngine]


@pytest.mark.parametrize("misaligned", [False, True], ids=["ideal", "misaligned"])
def test_a_small_change_of_the_optics_costs_turns_of_one_particle(
    make_engine: Make, oracle: Any, misaligned: bool
) -> None:
    engine = make_engine("hmba", misaligned=misaligned)
    engine.tunes()
    tracker, start = engine._ring.tracker, engine.values()
    knob = engine.layout.knobs.index("b1 QF1A 3")
    for part in (1e-4, 1e-3, 0.0):
        turns, particles = tracker.turns, tracker.particle_turns
        engine.set(np.array([knob]), start[[knob]] * (1 + part))
        orbit = engine.orbit()
        assert tracker.turns - turns <= 3
        assert tracker.particle_turns - particles == tracker.turns - turns
        assert orbit == pytest.approx(oracle(engine).orbit(), abs=2e-9)
    assert engine.values() == pytest.approx(start)


@pytest.mark.parametrize("name", ["fodo", "hmba"])
def test_a_large_one_makes_new_maps(make_engine: Make, name: str) -> None:
    engine = make_engine(name, misaligned=True)
    engine.orbit()
    tracker, start = engine._ring.tracker, engine.values()
    knobs = [i for i, k in enumerate(engine.layout.knobs) if k.startswith("b1 QF")]
    particles = tracker.particle_turns
    engine.set(np.array(knobs), start[knobs] * 1.003)
    engine.orbit()
    assert tracker.particle_turns - particles >= 12


@pytest.mark.parametrize("component", ["b1", "a1"])
def test_change_of_the_matrix(component: Component) -> None:
    places = [("QF", i) for i in range(16)] + [("QD", i) for i in range(16)]
    knobs = tuple(Knob(f"{f} {i}", ElementRef(f, i), component) for f, i in places)
    monitor = Monitor("bpm", ElementRef("BPM", 0))
    engine = AtEngine(EngineSpec(LatticeSource("code:fodo"), knobs, (monitor,)))
    maps, chosen = engine._maps(), np.arange(len(knobs))
    change = np.random.default_rng(1).normal(0, 1e-5, len(knobs))
    predicted = matrix_change(engine._ring, maps, chosen, change)
    engine.set(chosen, engine.values()[chosen] + change)
    found = (engine._maps().matrix - maps.matrix)[:4, :4]
    assert np.abs(found).max() > 1e-5
    assert predicted[:4, :4] == pytest.approx(found, abs=0.05 * np.abs(found).max())


def test_a_slow_walk_into_a_resonance_ends_there(make_engine: Make) -> None:
    """Each step is small; the sum of them is not."""
    engine = make_engine("fodo", misaligned=True)
    orbit, start = engine.orbit().copy(), engine.values()
    knobs = [i for i, k in enumerate(engine.layout.knobs) if k.startswith("b1 QF")]
    outcomes = list[tuple[bool, bool]]()
    for step in range(1, 400):
        engine.set(np.array(knobs), start[knobs] * (1 - 1e-3 * step))
        matrix = engine.ring_copy().find_m66()[0]
        is_stable = np.abs(np.linalg.eigvals(matrix)).max() < 1 + 5e-5
        try:
            engine.orbit()
        except BeamLost:
            outcomes.append((is_stable, False))
            break
        outcomes.append((is_stable, True))
    assert len(outcomes) > 20
    assert outcomes[-1] == (False, False)
    assert outcomes[:-1] == [(True, True)] * (len(outcomes) - 1)
    engine.set(np.array(knobs), start[knobs])
    assert engine.orbit() == pytest.approx(orbit, abs=1e-9)
