"""The closed orbit against pyAT's ``find_orbit``, on ideal and misaligned rings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from acctwin.model.at_engine import AtEngine

Make = Callable[..., AtEngine]
ALLOWED_M = 1e-9


def indices(engine: AtEngine, component: str) -> np.ndarray:
    """Return the knobs of a component."""
    names = engine.layout.knobs
    return np.array([i for i, n in enumerate(names) if n.startswith(component)])


def check(engine: AtEngine, oracle: Any) -> None:
    """Compare the engine's orbit with pyAT's."""
    known = oracle(engine)
    guess = engine._anchor().start  # pyAT alone gives up on some misaligned rings
    assert engine.orbit() == pytest.approx(known.orbit(guess=guess), abs=ALLOWED_M)


@pytest.mark.parametrize("name", ["hmba", "soleil", "fodo"])
@pytest.mark.parametrize("misaligned", [False, True], ids=["ideal", "misaligned"])
def test_orbit_follows_every_kind_of_change(
    make_engine: Make, oracle: Any, name: str, misaligned: bool
) -> None:
    engine = make_engine(name, misaligned=misaligned)
    rng, start = np.random.default_rng(3), engine.values()
    check(engine, oracle)
    for kick in ("hkick", "vkick"):
        knobs = indices(engine, kick)
        engine.set(knobs, rng.normal(0, 2e-6, len(knobs)))
    check(engine, oracle)
    knobs = indices(engine, "b1")
    engine.set(knobs, start[knobs] * (1 + rng.normal(0, 2e-4, len(knobs))))
    check(engine, oracle)
    engine.set(["rf"], start[-1:] * (1 + 1e-7))
    check(engine, oracle)
    engine.set(np.arange(len(start)), start)
    check(engine, oracle)


@pytest.mark.parametrize("name", ["soleil", "fodo"])
def test_flat_orbit_follows_too(make_engine: Make, oracle: Any, name: str) -> None:
    engine = make_engine(name, flat=True, misaligned=True)
    check(engine, oracle)
    knobs = indices(engine, "hkick")
    engine.set(knobs, np.random.default_rng(4).normal(0, 2e-6, len(knobs)))
    check(engine, oracle)


def test_large_misalignments_are_reached_in_parts(
    make_engine: Make, oracle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With steps this short, the orbit (2 mm) is out of reach in one go."""
    monkeypatch.setattr("acctwin.model.orbit.LARGEST_STEP_M", 1e-4)
    monkeypatch.setattr("acctwin.model.orbit.FULL_STEPS", 3)
    monkeypatch.setattr("acctwin.model.orbit.CHORD_TURNS", 4)
    engine = make_engine("fodo", misaligned=True)
    aligned = []
    align = engine._ring.align
    monkeypatch.setattr(engine._ring, "align", lambda f: (aligned.append(f), align(f)))
    check(engine, oracle)
    assert 0.0 in aligned and any(0.0 < f < 1.0 for f in aligned)


def test_misalignment_is_pyats(make_engine: Make, oracle: Any) -> None:
    engine = make_engine("fodo", misaligned=True)
    engine.orbit()
    ring = oracle(engine).ring
    first = engine._ring._shifts[0]
    moved = next(e for e in ring if e.FamName == "QF")
    assert (moved.dx, moved.dy, moved.tilt) == pytest.approx(tuple(first[2]))


def test_monitors_need_not_be_in_order(make_engine: Make) -> None:
    engine = make_engine("hmba", "hkick")  # all BPM_01, then all BPM_02, …
    s = engine.layout.monitor_s
    assert not np.all(np.diff(s) > 0)
    engine.set(np.array([0]), np.array([5e-6]))
    everywhere = engine.optics(everywhere=True)
    places = np.searchsorted(everywhere.s, s - 1e-9)
    assert engine.orbit() == pytest.approx(
        everywhere.orbit[places][:, [0, 2]], abs=1e-9
    )


def test_signs_are_pyats(make_engine: Make) -> None:
    """A positive kick raises the slope; a longer bend bends inwards (to -x)."""
    engine = make_engine("fodo")
    ring = engine.ring_copy()
    corrector = next(e for e in ring if e.FamName == "HCM")
    corrector.KickAngle[0] = 1e-6
    assert corrector.track(np.zeros(6), energy=1.5e9)[1] == pytest.approx(1e-6)
    response = engine.orbit_response(["hkick HCM 0"])
    engine.set(["hkick HCM 0"], np.array([1e-6]))
    moved = engine.orbit() - make_engine("fodo").orbit()
    assert moved.T.ravel() * 1e6 == pytest.approx(response[:, 0], abs=1e-4)
