"""Responses against finite differences of pyAT's orbits and trajectories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import at
import numpy as np
import pytest

from acctwin.model.at_engine import AtEngine

Make = Callable[..., AtEngine]


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the difference of two matrices, relative (Frobenius)."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def differences(
    engine: AtEngine, oracle: Any, knobs: list[str], step: float
) -> np.ndarray:
    """Return the response by two orbits of pyAT for each knob."""
    index = {name: i for i, name in enumerate(engine.layout.knobs)}
    values, guess = engine.values(), engine._anchor().start
    columns = []
    for name in knobs:
        sides = []
        for sign in (1, -1):
            engine.set([name], values[[index[name]]] + sign * step)
            sides.append(oracle(engine).orbit(guess=guess).T.ravel())
        engine.set([name], values[[index[name]]])
        columns.append((sides[0] - sides[1]) / (2 * step))
    return np.array(columns).T


@pytest.mark.parametrize("misaligned", [False, True], ids=["ideal", "misaligned"])
def test_response_of_kicks(make_engine: Make, oracle: Any, misaligned: bool) -> None:
    engine = make_engine("fodo", misaligned=misaligned)
    knobs = [f"{k} {i}" for k in ("hkick HCM", "vkick VCM") for i in (0, 7, 15)]
    found = engine.orbit_response(knobs)
    expected = differences(engine, oracle, knobs, 1e-6)
    assert found.shape == (64, 6)
    assert relative(found, expected) < 1e-6


def test_response_of_a_large_ring(make_engine: Make, oracle: Any) -> None:
    """Thick sextupoles as correctors, radiation, cavities, errors: a few columns."""
    engine = make_engine("hmba", "hkick", "vkick", misaligned=True)
    knobs = ["hkick SD1A 3", "vkick SF2A 20", "hkick SH3E 31"]
    whole = engine.orbit_response()
    assert whole.shape == (640, 576)
    columns = [engine.layout.knobs.index(name) for name in knobs]
    step = 1e-7  # the ring is far off axis, and differences are wrong as step²
    expected = differences(engine, oracle, knobs, step)
    # Orbits known to 1e-12 m over a step of 1e-7 rad: 1e-5 m/rad of several m/rad.
    assert relative(whole[:, columns], expected) < 5e-6


def test_error_of_differences_goes_with_the_square_of_the_step(
    make_engine: Make, oracle: Any
) -> None:
    engine = make_engine("fodo")
    knobs = ["hkick HCM 2"]
    found = engine.orbit_response(knobs)
    errors = [
        relative(found, differences(engine, oracle, knobs, step))
        for step in (2e-4, 4e-4)
    ]
    assert errors[1] / errors[0] == pytest.approx(4.0, rel=0.05)


def test_response_of_the_rf_and_of_quadrupoles(make_engine: Make, oracle: Any) -> None:
    engine = make_engine("fodo", misaligned=True)
    for knob, step in (("rf", 20.0), ("b1 QF 3", 1e-5)):
        found = engine.orbit_response([knob])
        assert relative(found, differences(engine, oracle, [knob], step)) < 1e-5


def test_response_in_4d(make_engine: Make, oracle: Any) -> None:
    engine = make_engine("fodo", flat=True, misaligned=True)
    knobs = ["hkick HCM 4", "vkick VCM 4"]
    expected = differences(engine, oracle, knobs, 1e-6)
    assert relative(engine.orbit_response(knobs), expected) < 1e-6


def test_trajectory_response_is_that_of_one_turn(make_engine: Make) -> None:
    engine = make_engine("fodo", misaligned=True)
    start, ring = engine._anchor().start, engine.ring_copy()
    places = np.unique(engine._ring.monitors)
    for name, component in (("hkick HCM 5", 0), ("vkick VCM 9", 1)):
        _, family, number = name.split()
        index = [i for i, e in enumerate(ring) if e.FamName == family][int(number)]
        sides = []
        for sign in (1, -1):
            ring[index].KickAngle[component] = sign * 1e-6
            out, _, _ = ring.track(start, refpts=places)
            sides.append(out[[0, 2], 0, :, 0].ravel())
        ring[index].KickAngle[component] = 0.0
        expected = (sides[0] - sides[1]) / 2e-6
        found = engine.trajectory_response([name])[:, 0]
        assert relative(found, expected) < 1e-6
        upstream = np.tile(engine._ring.monitors <= index, 2)
        assert np.all(found[upstream] == 0.0) and np.any(found[~upstream] != 0.0)
    assert not np.any(engine.trajectory_response(["rf"]))


def test_sliced_magnets_share_a_kick(make_engine: Make) -> None:
    """Two neighbours as one device answer like the mean of both."""
    from acctwin.model.engine import EngineSpec, Knob
    from acctwin.profiles.profile import ElementRef, LatticeSource

    engine = make_engine("fodo")
    single = engine.orbit_response(["hkick HCM 0", "hkick HCM 1"])
    spec = EngineSpec(
        LatticeSource("code:fodo"),
        (Knob("both", ElementRef("HCM", 0, 2), "hkick"),),
        (),
    )
    pair = AtEngine(spec)
    pair.set(["both"], np.array([2e-6]))
    ring = pair.ring_copy()
    kicks = [e.KickAngle[0] for e in ring if isinstance(e, at.Corrector)]
    assert kicks[0] == kicks[2] == pytest.approx(1e-6) and kicks[4] == 0.0
    both = AtEngine(
        EngineSpec(spec.lattice, spec.knobs, make_engine_monitors(engine))
    ).orbit_response(["both"])
    assert both[:, 0] == pytest.approx(single.mean(axis=1), rel=1e-9, abs=1e-9)


def make_engine_monitors(engine: AtEngine) -> tuple[Any, ...]:
    """Return the monitors of an engine of the FODO ring, for another one."""
    from acctwin.model.engine import Monitor
    from acctwin.profiles.profile import ElementRef

    return tuple(
        Monitor(name, ElementRef(name.split()[0], int(name.split()[1])))
        for name in engine.layout.monitors
    )
