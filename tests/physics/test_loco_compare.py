"""Versions of a model compared: against pyAT, with quadrupoles changed by hand."""

from __future__ import annotations

from dataclasses import replace

import at
import numpy as np
import pytest

from acctwin.analysis.loco import Gains
from acctwin.analysis.loco.version import LocoResult
from acctwin.errors import DataError
from acctwin.plans import loco_version, measure_orbit
from acctwin.workflows import loco
from acctwin.workflows.compare import compare

pytestmark = pytest.mark.slow

#: Quadrupoles that are wrong, and by how much.
WRONG = {"C01/QF": 1.01, "C07/QD": 0.985, "C12/QF": 1.004}


@pytest.fixture(scope="module")
def fodo(accelerator):
    return accelerator("fodo", None)


def made_up(machine, names, kinds, values) -> LocoResult:
    """Store a version with these strengths; return it."""
    layout = machine.model.layout
    design = layout.values[[layout.knobs.index(name) for name in names]]
    none = np.zeros((0, 2))
    result = LocoResult(
        model_version="",
        uid="nothing-was-measured",
        strengths=tuple(names),
        members=tuple((name,) for name in names),
        kinds=tuple(kinds),
        design=design,
        values=np.array(values),
        sigma=np.zeros(len(names)),
        bpms=(),
        beta_at_bpms=none,
        design_beta_at_bpms=none,
        tunes=np.zeros(3),
        actuators=(),
        gains=Gains.ideal(0, 0),
        gains_sigma=Gains.ideal(0, 0),
        chi2_dof=1.0,
        history=np.zeros(0),
        kept=0,
        left_out=0,
    )
    return machine.run(loco_version.store_loco(result, {}))


@pytest.fixture(scope="module")
def changed(fodo):
    layout = fodo.model.layout
    design = dict(zip(layout.knobs, layout.values, strict=True))
    values = [design[name] * factor for name, factor in WRONG.items()]
    return made_up(fodo, list(WRONG), ["b1"] * len(WRONG), values)


def by_pyat(fodo) -> list:
    """Return what linopt6 says of the changed lattice, then of the design."""
    found = []
    for factors in (WRONG, {}):
        ring = fodo.model.submit("ring_copy").result()
        for name, factor in factors.items():
            cell, family = int(name[1:3]) - 1, name[4:]
            place = [i for i, e in enumerate(ring) if e.FamName == family][cell]
            ring[place].PolynomB[1] *= factor
        at_bpms = ring.get_uint32_index("BPM")
        every = np.arange(len(ring) + 1)
        _, rings, optics = at.linopt6(ring, refpts=every, get_chrom=True)
        emittances = ring.ohmi_envelope()[1].mode_emittances[:2]
        ring.disable_6d()  # in 6D, linopt6 has the dispersion of a bunched beam
        flat = at.linopt6(ring, refpts=at_bpms)[2].dispersion[:, [0, 2]]
        found.append((optics, at_bpms, rings, emittances, flat))
    return found


def test_it_is_what_pyat_says(fodo, changed):
    found = compare(fodo, changed.model_version)
    (new, bpms, ring, emittances, eta), (old, _, design, _, flat) = by_pyat(fodo)
    beat = new.beta / old.beta - 1
    assert np.abs(beat).max() > 0.01
    assert found.beta_beat_everywhere == pytest.approx(beat, abs=2e-5)
    assert found.beta_beat == pytest.approx(beat[bpms], abs=2e-5)
    phase = (new.mu - old.mu)[bpms][:, :2]
    assert found.phase_change == pytest.approx(phase - phase[0], abs=2e-5)
    eta = eta - flat
    assert found.dispersion_change == pytest.approx(eta, abs=1e-2 * np.abs(eta).max())
    over = found.dispersion_change / np.sqrt(old.beta[bpms])
    assert found.dispersion_beat == pytest.approx(over, rel=1e-4)
    tunes = (ring.tune - design.tune)[:2]
    assert found.tune_change[:2] == pytest.approx(tunes, abs=1e-6)
    slopes = (ring.chromaticity - design.chromaticity)[:2]
    assert found.chromaticity_change == pytest.approx(slopes, abs=2e-3)
    assert found.version.emittances[0] == pytest.approx(emittances[0], rel=1e-4)
    assert found.version.coupling == pytest.approx(0.0, abs=1e-9)


def test_two_fits_and_the_design(fodo, changed):
    values = fodo.model.values().copy()
    less = replace(changed, values=(changed.values + changed.design) / 2)
    half = fodo.run(loco_version.store_loco(less, {}))
    both = compare(fodo, changed.model_version, half.model_version)
    whole = compare(fodo, changed.model_version, "design")
    assert both.reference.name == half.model_version
    assert whole.reference.name == "design"
    assert both.beta_beat.std() == pytest.approx(whole.beta_beat.std() / 2, rel=0.05)
    nothing = compare(fodo, "design")
    assert not nothing.beta_beat_everywhere.any()
    assert np.array_equal(fodo.model.values(), values), "the session's model stays"
    measured = fodo.run(measure_orbit(fodo.machine))
    with pytest.raises(DataError, match="not a fitted model"):
        compare(fodo, measured.uid)


def test_a_skew_quadrupole_couples(accelerator):
    soleil = accelerator("soleil", 1)
    names = [soleil.machine.skew_quadrupoles.names[3]]
    skewed = made_up(soleil, names, ["a1"], [2e5])  # thin: 2e-3 1/m
    found = compare(soleil, skewed.model_version)
    assert found.reference.coupling < 1e-6
    assert found.version.coupling > 1e-4
    assert found.version.emittances[1] > 10 * found.reference.emittances[1]
    loco.load(soleil, skewed.model_version)
    response = soleil.model.orbit_response(list(soleil.machine.hcm.good().names))
    half = len(response) // 2
    loco.load(soleil, None)
    across = np.linalg.norm(response[half:]) / np.linalg.norm(response[:half])
    assert found.version.coupling == pytest.approx(across, rel=0.5)
