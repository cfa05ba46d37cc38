"""The lifetime of the simulated beam against pyAT, tracking, and the beam's decay."""

from __future__ import annotations

import at
import numpy as np
import pytest

from acctwin import plans
from acctwin.model.at_engine import AtEngine
from acctwin.model.compiled import CompiledRing
from acctwin.model.lifetime import bucket_height, momentum_acceptance
from acctwin.model.spec import spec_of
from acctwin.profiles.load import load_profile
from acctwin.profiles.touschek import Touschek
from acctwin.session.verbs import read_values

pytestmark = pytest.mark.slow

HOW = Touschek(bunches=416, places=3, turns=40)
BUNCH_A = 1e-3


@pytest.fixture(scope="module")
def soleil(accelerator):
    machine = accelerator("soleil", 1)
    machine.run(plans.correct_orbit(machine.machine, goal="zero"))
    return machine


@pytest.fixture(scope="module")
def ring():
    return CompiledRing(spec_of(load_profile("soleil")))


def test_momentum_acceptance_and_lifetime_are_those_of_pyat(ring):
    start, _ = ring.ring.find_orbit()
    places = np.searchsorted(ring.boundaries[:-1], np.arange(3) * 354.097 / 3)
    found = momentum_acceptance(ring, start, places, HOW)
    theirs, _, _ = at.get_momentum_acceptance(
        ring.ring.deepcopy(),
        HOW.momentum / 40,
        HOW.momentum,
        refpts=places,
        nturns=HOW.turns,
    )
    theirs = np.clip(theirs[:, ::-1], -HOW.momentum, HOW.momentum)
    assert found == pytest.approx(theirs, abs=HOW.momentum / 40)
    assert 0.02 < np.abs(found).min() < 0.05

    engine = AtEngine(spec_of(load_profile("soleil")))
    equilibrium = engine.equilibrium()
    height = bucket_height(ring, equilibrium)
    lengths = np.array([element.Length for element in ring.ring])
    every = np.flatnonzero(lengths > 0.0)
    acceptance = np.column_stack([
        np.interp(ring.boundaries[every], ring.boundaries[places], side, period=354.097)
        for side in theirs.T
    ])
    lifetime, _, _ = at.get_lifetime(
        ring.ring.deepcopy(),
        1e-13,
        BUNCH_A,
        emitx=equilibrium.emittances[0],
        sigs=equilibrium.bunch_length,
        sigp=equilibrium.energy_spread,
        momap=np.clip(acceptance, -height, height),
        refpts=every,
        interpolate=False,
        epsrel=1e-4,
    )
    assert engine.touschek_lifetime(BUNCH_A, HOW) == pytest.approx(lifetime, rel=0.1)
    assert engine.touschek_lifetime(2 * BUNCH_A, HOW) == pytest.approx(
        lifetime / 2.0, rel=0.1
    )


def test_particles_leave_the_bucket_where_it_ends():
    spec = spec_of(load_profile("fodo"))
    equilibrium, lattice = AtEngine(spec).equilibrium(), CompiledRing(spec)
    height = bucket_height(lattice, equilibrium)
    ring = lattice.ring.deepcopy()
    start, _ = ring.find_orbit()
    wavelength = ring.circumference / ring.harmonic_number

    def slips(momentum: float) -> bool:
        beam = start.copy()
        beam[4] += momentum
        seen, _, _ = ring.track(beam, nturns=300, refpts=[0])
        return bool(np.abs(seen[5, 0, 0] - start[5]).max() > wavelength)

    assert 0.003 < height < 0.03
    assert not slips(0.95 * height)
    assert slips(1.1 * height)


def test_the_beam_decays_with_the_lifetime_that_is_shown(soleil):
    machine = soleil.machine
    shown = soleil.run(read_values(machine, "lifetime"))
    measured = soleil.run(plans.measure_lifetime(machine, max_s=1e5, precision=0.01))
    assert 3600.0 < measured.lifetime < 3.6e5
    assert measured.lifetime == pytest.approx(shown, rel=0.1)


def test_a_sextupole_makes_it_shorter(soleil):
    machine = soleil.machine
    before = soleil.run(read_values(machine, "lifetime"))
    strength = soleil.run(read_values(machine, "SR/S4-01"))
    soleil.run(plans.set_values(machine, "SR/S4-01", 1.1 * strength))
    after = soleil.run(read_values(machine, "lifetime"))
    assert after < 0.5 * before
