"""Dispersion and the centred RF, against the true lattice of a simulated machine."""

from __future__ import annotations

import at
import numpy as np
import pytest

from acctwin import plans
from acctwin.analysis.rf import rf_step
from acctwin.calibration.bpm import to_reading
from acctwin.plans import center_rf, dispersion, rf

MACHINES = ["fodo", "thomx", "soleil", "ebs"]


def true_dispersion(machine, names):
    """Return pyAT's dispersion of the true lattice at some BPMs [m], (n, 2)."""
    ring = machine.true_lattice().disable_6d(copy=True)
    rows = {row.name: row.element for row in machine.profile.bpms}
    places = [at.get_refpts(ring, rows[n].name)[rows[n].index] for n in names]
    order = np.argsort(places)
    _, _, optics = at.get_optics(ring, np.sort(places), get_chrom=False)
    found = np.empty((len(names), 2))
    found[order] = optics.dispersion[:, [0, 2]]
    return found, -at.get_slip_factor(ring)


@pytest.mark.parametrize("name", MACHINES)
def test_the_dispersion_is_the_true_one_as_the_bpms_show_it(accelerator, name):
    """Within 1 % rms of its maximum.

    The BPMs' gains are 1 to 2 % off, which nobody can tell from the dispersion
    itself, so the truth goes through them; and the momentum is that of the design's
    slip factor, which on ThomX is 0.9 % off the true one.
    """
    machine = accelerator(name)
    found = machine.run(plans.measure_dispersion(machine.machine))
    true, slip = true_dispersion(machine, found.names)
    true *= found.slip_factor / slip
    places = [machine.sim.layout.monitors.index(n) for n in found.names]
    errors = machine.errors
    seen = to_reading(
        true, errors.bpm_gain[places], errors.bpm_roll[places], np.zeros_like(true)
    )
    largest = np.abs(true[:, 0]).max()
    assert largest > 0.05
    for plane, eta in enumerate((found.eta_x, found.eta_y)):
        assert np.std(eta - seen[:, plane]) < 0.01 * largest
        assert np.sqrt(np.mean((eta - seen[:, plane]) ** 2)) < 0.01 * largest
    assert np.all(found.sigma_x < 0.01 * largest)
    assert machine.sim.setpoints[-1] == machine.sim.layout.values[-1]
    again = dispersion.analyse(machine.last)
    assert np.array_equal(again.eta_x, found.eta_x)
    assert np.array_equal(again.sigma_y, found.sigma_y)


def test_a_curved_orbit_does_not_enter_with_three_points(accelerator):
    machine = accelerator("soleil")
    rf_delta = machine.machine.rf.delta
    wide = {"delta_hz": 3 * rf_delta, "readings": 1}
    three = machine.run(plans.measure_dispersion(machine.machine, points=5, **wide))
    flat, slip = true_dispersion(machine, three.names)
    assert three.slip_factor == pytest.approx(slip, rel=0.01)
    assert np.isfinite(three.second_x).all()
    gain = np.median(three.eta_x[flat[:, 0] > 0.1] / flat[flat[:, 0] > 0.1, 0])
    assert gain == pytest.approx(1.0, abs=0.01)


def test_set_rf_goes_in_steps_and_changes_the_energy(accelerator):
    machine = accelerator("fodo")
    before = machine.run(plans.measure_orbit(machine.machine, readings=3))
    start = machine.machine.rf.delta
    result = machine.run(
        plans.set_rf(machine.machine, machine.sim.layout.rf_frequency + start)
    )
    assert result.steps == 4
    assert rf.analyse(machine.last) == result
    after = machine.run(plans.measure_orbit(machine.machine, readings=3))
    eta = true_dispersion(machine, before.names)[0][:, 0]
    moved = (after.x - before.x) @ eta / (eta @ eta)
    slip = machine.design.slip_factor()
    assert moved == pytest.approx(-start / result.before_hz / slip, rel=0.03)
    machine.reset()


def test_the_rf_comes_back_to_where_the_ring_wants_it(accelerator):
    """With correctors at zero the orbit alone tells; 2e-6 is its noise."""
    machine = accelerator("fodo")
    devices = machine.machine
    options = {"goal": "zero", "readings": 4}
    home = machine.run(plans.center_rf(devices, **options))
    assert home.corrector_delta == 0.0
    slip = machine.design.slip_factor()
    wrong = home.after_hz + rf_step(2e-3, home.after_hz, -slip)
    machine.run(plans.set_rf(devices, wrong))
    found = machine.run(plans.center_rf(devices, **options))
    # η of the true ring is 1 % off the design's: what is found is, too.
    assert found.delta == pytest.approx(2e-3, rel=0.03)
    assert found.after_hz == pytest.approx(home.after_hz, abs=2e-5 * slip * wrong)
    assert abs(found.residual[-1]) < 2e-5
    again = center_rf.analyse(machine.last)
    assert np.array_equal(again.residual, found.residual)
    assert again.after_hz == found.after_hz
    assert again.stopped == found.stopped
    machine.reset()


def test_what_the_correctors_hide_is_counted(accelerator):
    """A corrected orbit shows nothing of a wrong RF; the correctors' sum does."""
    machine = accelerator("fodo")
    devices = machine.machine
    options = {"goal": "zero", "readings": 4}
    machine.run(plans.correct_orbit(devices, rf=False, goal="zero", iterations=4))
    home = machine.run(plans.center_rf(devices, **options))
    machine.run(plans.correct_orbit(devices, rf=False, goal="zero", iterations=4))
    home = machine.run(plans.center_rf(devices, **options))
    slip = machine.design.slip_factor()
    wrong = home.after_hz + rf_step(3e-4, home.after_hz, -slip)
    machine.run(plans.set_rf(devices, wrong))
    machine.run(plans.correct_orbit(devices, rf=False, goal="zero", iterations=6))
    found = machine.run(plans.center_rf(devices, **options))
    assert abs(found.orbit_delta) < 6e-5
    assert abs(found.corrector_delta) > 2.4e-4
    assert found.after_hz == pytest.approx(home.after_hz, abs=5e-5 * slip * wrong)
    machine.reset()
