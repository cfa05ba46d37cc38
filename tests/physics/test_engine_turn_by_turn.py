"""Turn-by-turn positions after a kick, against pyAT's tracking of the same particle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import at
import numpy as np
import pytest
from scipy.optimize import least_squares

from acctwin.errors import BeamLost, LimitError
from acctwin.model.at_engine import AtEngine
from acctwin.profiles.profile import ElementRef

Make = Callable[..., AtEngine]


@pytest.mark.parametrize("name", ["fodo", "soleil"])
def test_positions_are_pyats(make_engine: Make, oracle: Any, name: str) -> None:
    engine = make_engine(name, misaligned=True)
    kick = (50e-6, -30e-6)
    found = engine.turn_by_turn(20, kick)
    known = oracle(engine)
    start = engine._anchor().start.copy()
    start[[1, 3]] += kick
    places = np.unique(known.monitors)
    out, _, _ = known.ring.track(start, nturns=20, refpts=places)
    expected = out[[0, 2], 0].transpose(2, 1, 0)
    order = np.searchsorted(places, known.monitors)
    assert found.shape == (20, len(engine.layout.monitors), 2)
    assert np.abs(found - expected[:, order]).max() < 1e-9


def test_a_pinger_somewhere_else(make_engine: Make, oracle: Any) -> None:
    engine = make_engine("fodo", pinger=ElementRef("VCM", 7))
    kick = (0.0, 1e-4)
    found, orbit = engine.turn_by_turn(6, kick), engine.orbit()
    known = oracle(engine)
    pinger = [i for i, e in enumerate(known.ring) if e.FamName == "VCM"][7]
    before = np.array(known.monitors) <= pinger
    assert found[0, before] == pytest.approx(orbit[before], abs=1e-10)
    # The same particle, in a ring that begins at the pinger.
    turned = known.ring.rotate(pinger)
    (at_pinger,) = known.ring.find_orbit6(refpts=[pinger])[1]
    at_pinger[3] += kick[1]
    places = [(m - pinger) % len(turned) for m in known.monitors]
    order = np.argsort(places)
    out, _, _ = turned.track(at_pinger, nturns=6, refpts=np.array(places)[order])
    seen = np.empty((6, len(places), 2))
    seen[:, order] = out[[0, 2], 0].transpose(2, 1, 0)
    assert np.abs(found[0, ~before] - seen[0, ~before]).max() < 1e-9
    assert np.abs(found[1:, ~before] - seen[1:, ~before]).max() < 1e-9
    assert np.abs(found[1:, before] - seen[:-1, before]).max() < 1e-9
    assert np.abs(found[1:, :, 1]).max() > 1e-4


@pytest.mark.parametrize("shift", [0.0, 400.0], ids=["design", "off energy"])
def test_without_a_kick_it_is_the_closed_orbit(make_engine: Make, shift: float) -> None:
    engine = make_engine("fodo", misaligned=True)
    engine.orbit()  # pyAT has read the cavity once
    engine.set(["rf"], engine.layout.values[-1:] + shift)
    orbit = engine.orbit()
    assert np.abs(orbit[:, 0]).max() > 1e-5
    seen = engine.turn_by_turn(200, (0.0, 0.0))
    assert np.abs(seen - orbit).max() < 1e-8


def test_the_oscillation_has_the_tune(make_engine: Make) -> None:
    engine = make_engine("fodo", misaligned=True, flat=True)
    kick, turns = (1e-6, 1e-6), 256
    seen = engine.turn_by_turn(turns, kick) - engine.orbit()
    tunes = at.get_tune(engine.ring_copy(), orbit=engine._anchor().start)
    n = np.arange(turns)
    for plane in (0, 1):
        signal = seen[:, 5, plane] / np.abs(seen[:, 5, plane]).max()

        def misfit(tunes: np.ndarray, signal: np.ndarray = signal) -> np.ndarray:
            """Two modes, for the errors couple the planes a little."""
            angles = 2 * np.pi * np.outer(n, tunes)
            basis = np.hstack([np.cos(angles), np.sin(angles)])
            return signal - basis @ np.linalg.lstsq(basis, signal)[0]

        spectrum = np.abs(np.fft.rfft(signal * np.hanning(turns)))
        rough = np.argmax(spectrum) / turns
        other = tunes[1 - plane] if tunes[1 - plane] < 0.5 else 1 - tunes[1 - plane]
        fitted = least_squares(misfit, [rough, other], x_scale=1e-3, xtol=1e-14).x[0]
        expected = tunes[plane] if tunes[plane] < 0.5 else 1 - tunes[plane]
        assert fitted == pytest.approx(expected, abs=1e-5)


def test_it_leaves_the_engine_as_it_was(make_engine: Make) -> None:
    engine = make_engine("fodo", misaligned=True)
    orbit, tunes = engine.orbit().copy(), engine.tunes().copy()
    engine.turn_by_turn(3, (1e-4, 1e-4))
    engine.set(["hkick HCM 3"], np.array([1e-6]))
    engine.orbit()
    engine.set(["hkick HCM 3"], np.array([0.0]))
    assert engine.orbit() == pytest.approx(orbit, abs=1e-9)
    assert engine.tunes() == pytest.approx(tunes, abs=1e-9)


def test_a_beam_that_is_lost_says_where(make_engine: Make) -> None:
    engine = make_engine("fodo")
    with pytest.raises(BeamLost, match=r"lost in lattice element '.+' within 50 turns"):
        engine.turn_by_turn(50, (0.5, 0.5))
    assert np.all(np.isfinite(engine.turn_by_turn(5, (1e-5, 0.0))))


@pytest.mark.parametrize(("turns", "kick"), [(0, (0.0, 0.0)), (5, (np.nan, 0.0))])
def test_nonsense_is_refused(make_engine: Make, turns: int, kick: Any) -> None:
    with pytest.raises(LimitError, match="at least 1 turn"):
        make_engine("fodo").turn_by_turn(turns, kick)
