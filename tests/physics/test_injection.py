"""The injection efficiency against pyAT's own tracking of the same particles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acctwin import plans
from acctwin.analysis.injection import injection_of
from acctwin.errors import BeamLost, PlanError
from acctwin.model.injection import particles_of
from acctwin.plans import injection
from acctwin.plans.optimisation.problems import injection_efficiency

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fodo(accelerator):
    machine = accelerator("fodo", 1)
    machine.run(plans.correct_orbit(machine.machine, goal="zero"))
    return machine


def test_it_is_what_pyat_tracks(fodo):
    bunch = replace(fodo.profile.injection, turns=40)
    found = fodo.true("injection_efficiency", bunch)
    lattice = fodo.true_lattice()
    orbit, _ = lattice.find_orbit()
    start = orbit[:, None] + particles_of(bunch)
    seen, _, _ = lattice.track(start.copy(), nturns=40, refpts=[0])
    x = seen[0, :, 0]
    survived = (np.abs(x) < bunch.aperture_x).all(axis=1) & np.isfinite(
        seen[:, :, 0, -1]
    ).all(axis=0)
    assert 0.2 < survived.mean() < 0.9
    assert found == survived.mean()


def test_the_further_off_the_fewer_survive(fodo):
    bunch = replace(fodo.profile.injection, turns=40)
    offsets = (0.0, -11e-3, -12e-3, -13e-3, -20e-3)
    seen = [
        fodo.true("injection_efficiency", replace(bunch, x=offset))
        for offset in offsets
    ]
    assert seen[0] == 1.0
    assert seen[-1] == 0.0
    assert sorted(seen, reverse=True) == seen
    narrow = replace(bunch, x=0.0, y=1e-3, aperture_y=1e-3)
    assert fodo.true("injection_efficiency", narrow) < 0.5


def test_shots_have_noise_and_are_averaged(fodo):
    machine = fodo.machine
    result = fodo.run(plans.measure_injection(machine, shots=8))
    true = fodo.true("injection_efficiency", fodo.profile.injection)
    assert 0.0 < result.sigma < 0.01
    assert result.efficiency == pytest.approx(true, abs=5 * 0.01 / np.sqrt(8))
    again = injection.analyse(fodo.last)
    assert np.array_equal(again.shots, result.shots)
    assert (again.efficiency, again.sigma) == (result.efficiency, result.sigma)
    assert np.isnan(injection_of(np.array([0.5])).sigma)
    with pytest.raises(PlanError, match="at least 1 shot"):
        fodo.run(plans.measure_injection(machine, shots=0))


def test_nothing_is_stored_without_a_closed_orbit(fodo):
    machine = fodo.machine
    name = machine.quadrupoles.supplies.names[0]
    low, _ = machine[name].limits
    fodo.run(plans.set_values(machine, name, low))
    assert fodo.run(plans.measure_injection(machine, shots=1)).efficiency < 0.05
    with pytest.raises(BeamLost):
        fodo.true("orbit")
    fodo.reset()
    assert fodo.run(plans.measure_injection(machine, shots=1)).efficiency > 0.05


def test_sextupoles_make_it_better(accelerator):
    soleil = accelerator("soleil", 1)
    machine = soleil.machine
    soleil.run(plans.correct_orbit(machine, goal="zero"))
    problem = injection_efficiency(machine, reach=20.0, noise=0.01)
    result = soleil.run(
        plans.optimise(machine, problem, "random", evaluations=6, seed=3)
    )
    assert result.values[-1, 0] > result.values[0, 0] + 0.1
