"""Optics against pyAT's ``linopt6``, ``get_tune``, ``get_chrom`` and dispersion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from acctwin.model.at_engine import AtEngine

Make = Callable[..., AtEngine]


@pytest.mark.parametrize(
    ("name", "misaligned"),
    [("hmba", False), ("soleil", False), ("soleil", True), ("fodo", True)],
)
@pytest.mark.parametrize("flat", [True, False], ids=["4D", "6D"])
def test_optics_everywhere(
    make_engine: Make, oracle: Any, name: str, misaligned: bool, flat: bool
) -> None:
    engine = make_engine(name, "b1", flat=flat, misaligned=misaligned)
    found, known = engine.optics(everywhere=True), oracle(engine)
    start = engine._anchor().start
    places = range(len(known.ring) + 1)
    _, _, expected = known.ring.linopt6(refpts=places, orbit=start)
    allowed = 1e-8 if flat else 1e-5
    assert found.beta == pytest.approx(expected.beta, rel=allowed)
    assert found.alpha == pytest.approx(expected.alpha, rel=allowed, abs=allowed)
    assert found.phase == pytest.approx(expected.mu[:, :2], abs=allowed)
    assert found.orbit == pytest.approx(expected.closed_orbit, abs=1e-9)
    assert found.s == pytest.approx(expected.s_pos)
    if flat:  # there by two orbits: another difference
        assert found.dispersion == pytest.approx(expected.dispersion, abs=1e-6)
    assert found.tunes == pytest.approx(expected.mu[-1, :2] / (2 * np.pi), abs=allowed)


@pytest.mark.parametrize("flat", [True, False], ids=["4D", "6D"])
def test_tunes_after_a_change(make_engine: Make, oracle: Any, flat: bool) -> None:
    engine = make_engine("fodo", flat=flat, misaligned=True)
    names = [n for n in engine.layout.knobs if n.startswith("b1 QF")]
    k1 = engine.values()[engine.layout.knobs.index(names[0])]
    engine.set(names, np.full(len(names), 1.01 * k1))
    expected = oracle(engine).ring.get_tune(orbit=engine._anchor().start)
    fractions = np.mod(engine.tunes(), 1.0)[: len(expected)]
    assert fractions == pytest.approx(expected, abs=1e-7)
    assert engine.tunes()[0] > 4.25  # whole tune: it was 4.22


@pytest.mark.parametrize("name", ["hmba", "soleil", "fodo"])
def test_chromaticity_is_pyats(make_engine: Make, oracle: Any, name: str) -> None:
    flat = make_engine(name, "b1", flat=True)
    expected = oracle(flat).ring.get_chrom(dp=0.0)[:2]
    assert flat.chromaticity() == pytest.approx(expected, abs=2e-4)
    # By RF and with radiation it is a slightly different number, as on a machine.
    assert make_engine(name, "b1").chromaticity() == pytest.approx(
        expected, rel=4e-3, abs=1e-3
    )


def test_chromaticity_with_rf_is_the_slope_of_the_tunes(make_engine: Make) -> None:
    """By two orbits at two RF frequencies, as an operator would measure it."""
    engine = make_engine("fodo", "b1")
    frequency, tunes, energies = engine.layout.rf_frequency, [], []
    found = engine.chromaticity()
    for sign in (1, -1):
        engine.set(["rf"], np.array([frequency + sign * 1000.0]))
        tunes.append(engine.tunes()[:2])
        energies.append(engine._anchor().start[4])
    slope = (tunes[0] - tunes[1]) / (energies[0] - energies[1])
    assert found == pytest.approx(slope, rel=1e-3)


@pytest.mark.parametrize("name", ["soleil", "fodo"])
def test_dispersion_is_how_the_orbit_moves_with_energy(
    make_engine: Make, name: str
) -> None:
    engine = make_engine(name, "b1")
    eta, response = engine.dispersion(), engine.orbit_response(["rf"])[:, 0]
    compaction = engine.equilibrium().momentum_compaction
    slip = compaction - 1 / engine.layout.gamma**2
    by_rf = -response * engine.layout.rf_frequency * slip
    count = len(eta)
    # Radiation bends a little differently off energy.
    assert eta[:, 0] == pytest.approx(by_rf[:count], rel=1e-3, abs=1e-5)
    assert np.abs(eta[:, 1]).max() < 1e-9
    flat = make_engine(name, "b1", flat=True)
    assert eta == pytest.approx(flat.dispersion(), rel=2e-3, abs=1e-3)


def test_optics_at_monitors_are_those_everywhere(make_engine: Make) -> None:
    engine = make_engine("fodo", misaligned=True)
    monitors, everywhere = engine.optics(), engine.optics(everywhere=True)
    places = engine._ring.monitors
    for field in ("s", "beta", "alpha", "phase", "dispersion", "orbit"):
        found = getattr(monitors, field)
        assert np.array_equal(found, getattr(everywhere, field)[places]), field
    assert np.array_equal(engine.dispersion(), monitors.dispersion[:, [0, 2]])
    assert np.array_equal(monitors.s, engine.layout.monitor_s)
