"""Published numbers of known rings, and pyAT's own way to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import at
import numpy as np
import pytest

from acctwin.model.at_engine import AtEngine

Make = Callable[..., AtEngine]

#: Design tunes and chromaticities (4D), momentum compaction, horizontal emittance by
#: Ohmi [m], energy spread, energy loss [eV], bunch length [m], Qs.
DESIGN = {
    "hmba": {
        "tunes": (76.2099983, 27.3400132),
        "chromaticity": (5.7341, 3.9176),
        "compaction": 8.506669e-5,
        "emittance": 132.036e-12,
        "spread": 9.3446e-4,
        "loss": 2.526189e6,
        "length": 3.059e-3,
        "qs": 0.00349,
    },
    "soleil": {
        "tunes": (18.1568704, 10.2282352),
        "chromaticity": (1.3166, 2.2890),
        "compaction": 4.218403e-4,
        "emittance": 3895.6e-12,
        "spread": 1.0135e-3,
        "loss": 0.931204e6,
        "length": 4.986e-3,
        "qs": 0.00483,
    },
}
FODO_TUNES, FODO_CHROMATICITY, FODO_COMPACTION = (4.22, 3.31), (1.0, 1.0), 0.0632


@pytest.mark.parametrize("name", DESIGN)
def test_flat_ring_has_the_design_optics(make_engine: Make, name: str) -> None:
    engine = make_engine(name, "b1", flat=True)
    design = DESIGN[name]
    assert engine.layout.rf_frequency is None
    assert engine.tunes()[:2] == pytest.approx(design["tunes"], abs=2e-7)
    assert engine.tunes()[2] == 0.0
    # Four digits are pinned; pyAT differentiates over a 30 times smaller step.
    assert engine.chromaticity() == pytest.approx(design["chromaticity"], abs=2e-4)


@pytest.mark.parametrize("name", DESIGN)
def test_ring_with_radiation_has_the_design_equilibrium(
    make_engine: Make, name: str
) -> None:
    engine = make_engine(name, "b1")
    design, found = DESIGN[name], engine.equilibrium()
    assert found.momentum_compaction == pytest.approx(design["compaction"], rel=1e-6)
    assert found.emittances[0] == pytest.approx(design["emittance"], rel=2e-5)
    # The pinned values are of radiation integrals: no orbit, no quadrupoles.
    assert found.energy_loss == pytest.approx(design["loss"], rel=1e-3)
    assert found.energy_spread == pytest.approx(design["spread"], rel=3e-3)
    assert found.bunch_length == pytest.approx(design["length"], rel=3e-3)
    assert engine.tunes()[2] == pytest.approx(design["qs"], abs=5e-6)
    # Radiation moves the orbit, and so the tunes a little.
    assert engine.tunes()[:2] == pytest.approx(design["tunes"], abs=1e-3)
    assert engine.chromaticity() == pytest.approx(design["chromaticity"], rel=4e-3)


def test_equilibrium_is_that_of_pyat(make_engine: Make, oracle: Any) -> None:
    engine = make_engine("fodo")
    found, ring = engine.equilibrium(), oracle(engine).ring
    expected = ring.envelope_parameters()
    assert found.emittances[0] == pytest.approx(expected.emittances[0], rel=1e-6)
    assert found.energy_spread == pytest.approx(expected.sigma_e, rel=1e-6)
    assert found.bunch_length == pytest.approx(expected.sigma_l, rel=1e-6)
    assert found.damping_times == pytest.approx(expected.Tau, rel=1e-6)


def test_fodo_ring_is_what_it_says(make_engine: Make) -> None:
    engine = make_engine("fodo", flat=True)
    assert engine.layout.circumference == pytest.approx(75.2)
    assert engine.tunes()[:2] == pytest.approx(FODO_TUNES, abs=1e-5)
    assert engine.chromaticity() == pytest.approx(FODO_CHROMATICITY, abs=1e-3)
    radiating = make_engine("fodo")
    layout = radiating.layout
    assert layout.harmonic_number == 125
    assert layout.rf_frequency == pytest.approx(498.325e6, rel=1e-5)
    assert radiating.equilibrium().momentum_compaction == pytest.approx(
        FODO_COMPACTION, rel=1e-3
    )
    assert radiating.equilibrium().energy_loss == pytest.approx(73.3e3, rel=1e-2)


@pytest.mark.parametrize("name", ["hmba", "soleil", "fodo"])
def test_layout_is_what_is_in_the_lattice(
    make_engine: Make, oracle: Any, name: str
) -> None:
    engine = make_engine(name)
    layout, ring = engine.layout, oracle(engine).ring
    assert layout.circumference == pytest.approx(ring.circumference, abs=1e-9)
    assert layout.energy == ring.energy
    assert layout.rf_frequency == ring.get_rf_frequency()
    assert layout.harmonic_number == ring.harmonic_number
    assert layout.knobs[-1] == "rf"
    assert len(layout.knobs) == len(layout.knob_s) == len(layout.values)
    first = next(e for e in ring if e.FamName == layout.knobs[0].split()[1])
    start = ring.get_s_pos([ring.index(first)])[0]
    assert layout.knob_s[0] == pytest.approx(start + first.Length / 2, abs=1e-9)
    speed = layout.beta * at.constants.clight
    turn = layout.harmonic_number / layout.rf_frequency
    assert speed * turn == pytest.approx(layout.circumference, rel=1e-6)
    assert np.all(np.isfinite(layout.values))


def test_hash_is_of_the_lattice_and_nothing_else(make_engine: Make) -> None:
    plain = make_engine("fodo").layout.lattice_hash
    assert plain == make_engine("fodo", "b1", misaligned=True).layout.lattice_hash
    assert plain != make_engine("fodo", flat=True).layout.lattice_hash
