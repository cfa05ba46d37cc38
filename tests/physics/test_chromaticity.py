"""Chromaticity: measured and set, against the true lattice of a simulated machine."""

from __future__ import annotations

import at
import numpy as np
import pytest

from acctwin import plans
from acctwin.plans import (
    chromaticity,
    chromaticity_correction,
    chromaticity_response,
)

MACHINES = ["fodo", "thomx", "soleil", "ebs"]


def true_chromaticity(machine):
    """Return dQ/dδ of the true lattice, (2,), and its slip factor.

    The tunes of pyAT on the closed orbits at ±1e-4 about the momentum that the RF
    gives, in 4D.
    """
    ring = machine.true_lattice()
    start = ring.find_orbit()[0][4]
    flat = ring.disable_6d(copy=True)
    slip = -at.get_slip_factor(flat)
    up, down = (at.get_tune(flat, dp=start + d) for d in (1e-4, -1e-4))
    change = (up - down + 0.5) % 1.0 - 0.5
    return change[:2] / 2e-4, slip


@pytest.mark.parametrize("name", MACHINES)
def test_the_chromaticity_is_the_true_one(accelerator, name):
    """Within 1 % or 0.02, noise of the tune monitor and third order included.

    The momentum is that of the design's slip factor. On ThomX the true one is 0.9 %
    off it, and the chromaticity with it: that much is known here, and taken out.
    """
    machine = accelerator(name)
    found = machine.run(plans.measure_chromaticity(machine.machine))
    true, slip = true_chromaticity(machine)
    assert found.slip_factor == pytest.approx(slip, rel=0.01)
    as_seen = true * found.slip_factor / slip
    near = np.maximum(0.01 * np.abs(true), 0.02)
    assert np.all(np.abs(found.xi - as_seen) < near)
    if name != "thomx":
        assert np.all(np.abs(found.xi - true) < near)
    assert max(found.sigma_x, found.sigma_y) < 0.02
    tunes = machine.true("tunes")[:2]
    assert found.tune == pytest.approx(tunes, abs=1e-3)
    again = chromaticity.analyse(machine.last)
    assert np.array_equal(again.orders, found.orders)
    assert np.array_equal(again.tunes, found.tunes)


@pytest.mark.parametrize(
    ("name", "change"),
    [("fodo", (2, 2)), ("thomx", (-2, 2)), ("soleil", (2, -2)), ("ebs", (-2, 2))],
)
def test_the_chromaticity_is_set(accelerator, name, change):
    """Two units away in both planes, within 0.05 in at most 3 iterations."""
    machine = accelerator(name)
    start, _ = true_chromaticity(machine)
    wanted = start + change
    done = machine.run(plans.set_chromaticity(machine.machine, *wanted.tolist()))
    assert done.reached
    assert done.iterations <= 3
    assert done.stopped == chromaticity_correction.REACHED
    true, slip = true_chromaticity(machine)
    as_seen = true * done.after.slip_factor / slip
    assert np.abs(as_seen - wanted).max() < 0.05 + 0.005 * np.abs(wanted).max()
    again = chromaticity_correction.analyse(machine.last)
    assert np.array_equal(again.history, done.history)
    assert again.steps == pytest.approx(done.steps)
    machine.reset()


def test_a_measured_response_agrees_with_the_design_and_sets(accelerator):
    machine = accelerator("fodo")
    families = ["SF", "SD"]
    response = machine.run(
        plans.measure_chromaticity_response(machine.machine, families, points=3)
    )
    names = [machine.machine[f].names for f in families]
    design = np.column_stack([
        machine.design.chromaticity_response(n).sum(axis=1) for n in names
    ])
    error = np.abs(response.matrix - design)
    assert np.all(error < 5 * response.sigma + 0.02 * np.abs(design).max())
    again = chromaticity_response.analyse(machine.last)
    assert np.array_equal(again.matrix, response.matrix)
    assert np.array_equal(again.sigma, response.sigma)
    done = machine.run(
        plans.set_chromaticity(
            machine.machine, 2.0, 0.0, families=families, response=response.uid
        )
    )
    assert done.reached
    machine.reset()
