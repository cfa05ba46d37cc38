"""Coupling, measured and corrected, against the true lattice of simulated machines."""

from __future__ import annotations

import at
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from acctwin import plans
from acctwin.errors import PlanError
from acctwin.plans.coupling import correction as coupling_correction
from acctwin.plans.coupling import coupling


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


def emittances(machine):
    """Return the true emittances in x and y [m rad], pyAT's Ohmi envelope."""
    _, beam, _ = at.ohmi_envelope(machine.true_lattice())
    return beam.mode_emittances[:2]


def closest_approach(ring):
    """Return the least distance of the tunes of a lattice while QF is changed.

    From the eigenvalues of pyAT's one-turn matrix by finite differences, with QF
    alone, by another way through the tune diagram than the plan's.
    """
    magnets = [element for element in ring if element.FamName == "QF"]
    strengths = [element.PolynomB[1] for element in magnets]

    def distance(scale):
        for magnet, strength in zip(magnets, strengths, strict=True):
            magnet.PolynomB[1] = strength * scale
        matrix, _ = at.find_m66(ring)
        phases = np.abs(np.angle(np.linalg.eigvals(matrix))) / (2 * np.pi)
        # Each tune is there twice; the slow one is the synchrotron tune.
        high, low = np.sort(phases)[[5, 3]]
        return high - low

    # Where they meet is found first on a coarse grid, or the search could end in a
    # minimum that is none.
    grid = np.linspace(1.0, 1.08, 33)
    middle = grid[np.argmin([distance(scale) for scale in grid])]
    step = grid[1] - grid[0]
    found = minimize_scalar(
        distance, bounds=(middle - step, middle + step), options={"xatol": 1e-7}
    )
    return found.fun


def test_the_closest_tunes_are_those_of_the_true_lattice(accelerator):
    fodo = accelerator("fodo")
    found = fodo.run(plans.measure_coupling(fodo.machine, method="tunes"))
    assert np.array_equal(fodo.sim.setpoints, fodo.sim.layout.values)
    true = closest_approach(fodo.true_lattice())
    assert 5e-4 < true < 5e-3
    assert found.value == pytest.approx(true, abs=3 * found.sigma)
    assert found.sigma < 0.1 * true
    again = coupling.analyse(fodo.last)
    assert (again.value, again.sigma) == (found.value, found.sigma)


def test_the_ratio_is_that_of_the_true_response(accelerator):
    soleil = accelerator("soleil")
    found = soleil.run(plans.measure_coupling(soleil.machine))
    columns = [name for name in found.response.actuators if name != "SR/RF"]
    true = soleil.true("orbit_response", columns)
    x, y = np.split(true, 2)
    is_x = np.array(found.actuator_planes[:-1]) == "x"
    cross = np.hypot(rms(y[:, is_x]), rms(x[:, ~is_x]))
    direct = np.hypot(rms(x[:, is_x]), rms(y[:, ~is_x]))
    # Rolls of the BPMs (1 mrad) add in quadrature, their gains (1 %) average out.
    assert found.value == pytest.approx(cross / direct, rel=0.02)
    assert found.sigma < 0.01 * found.value
    ratio = soleil.run(
        plans.measure_coupling(soleil.machine, method="emittance", readings=10)
    )
    ex, ey = soleil.true("equilibrium").emittances
    assert ratio.value == pytest.approx(ey / ex, abs=4 * ratio.sigma)


@pytest.mark.parametrize(
    ("name", "options", "factor"),
    [
        ("soleil", {}, 6.0),
        ("ebs", {"correctors": 5, "readings": 1, "iterations": 1}, 3.0),
    ],
)
def test_the_vertical_emittance_becomes_small(accelerator, name, options, factor):
    """With errors as drawn and the orbit as it comes: BPMs rolled by 1 mrad rms."""
    machine = accelerator(name)
    knobs = machine.machine.skew_quadrupoles.names
    places = [machine.sim.layout.knobs.index(knob) for knob in knobs]
    others = np.delete(machine.sim.setpoints, places)
    flat, before = emittances(machine)
    found = machine.run(plans.set_coupling(machine.machine, **options))
    still_flat, after = emittances(machine)
    assert after < before / factor
    # The horizontal one gets at most what the vertical one loses, within 1 %.
    assert 0.99 * flat < still_flat < 1.01 * flat + before - after
    assert found.after.value < found.before.value / 2.5
    assert rms(found.after.eta_y) < rms(found.before.eta_y) / 1.8
    assert np.allclose(machine.sim.setpoints[places], found.setpoints, rtol=1e-6)
    assert np.allclose(np.delete(machine.sim.setpoints, places), others, rtol=1e-12)
    again = coupling_correction.analyse(machine.last)
    assert again.after.value == found.after.value
    assert np.array_equal(again.setpoints, found.setpoints)


def test_machines_that_cannot_say_so(accelerator):
    thomx = accelerator("thomx")
    with pytest.raises(PlanError, match="no skew_quadrupoles: the coupling cannot be"):
        thomx.run(plans.set_coupling(thomx.machine))
    with pytest.raises(PlanError, match="no emittance"):
        thomx.run(plans.measure_coupling(thomx.machine, method="emittance"))
    with pytest.raises(PlanError, match=r"0\.4\d+ apart .* have to cross 1\.5"):
        thomx.run(plans.measure_coupling(thomx.machine, method="tunes"))
    fodo = accelerator("fodo")
    with pytest.raises(PlanError, match="fodo has no skew_quadrupoles"):
        fodo.run(plans.set_coupling(fodo.machine))
