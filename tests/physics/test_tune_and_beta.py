"""Tunes and beta functions of the simulated machines, against pyAT."""

from __future__ import annotations

import at
import numpy as np
import pytest

from acctwin import plans
from acctwin.plans.optics import beta
from acctwin.plans.tunes import correction as tune_correction
from acctwin.plans.tunes import tune

MACHINES = ("fodo", "thomx", "soleil", "ebs")


def true_fractions(machine) -> np.ndarray:
    """Return the fractional tunes by pyAT, (2,)."""
    return np.asarray(machine.true_lattice().get_tune())[:2] % 1.0


def true_optics_at_bpms(machine, names):
    """Return beta [m] and phase [rad] at BPMs by pyAT, (n, 2) each."""
    ring = machine.true_lattice()
    elements = {row.name: row.element for row in machine.profile.bpms}
    places = []
    for name in names:
        element = elements[name]
        places.append(at.get_uint32_index(ring, element.family)[element.index])
    _, _, found = ring.get_optics(refpts=np.sort(places))
    order = np.argsort(np.argsort(places))
    return found.beta[order], found.mu[order]


def true_beta_of_magnets(machine, names) -> np.ndarray:
    """Return the beta averaged along each quadrupole by pyAT [m], (n, 2)."""
    ring = machine.true_lattice()
    ring.disable_6d()
    elements = {row.name: row.element for row in machine.profile.magnets}
    places = np.array([
        at.get_uint32_index(ring, elements[name].family)[elements[name].index]
        for name in names
    ])
    _, average, *_ = ring.avlinopt(dp=0.0, refpts=np.sort(places))
    return average[np.argsort(np.argsort(places))]


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("method", ["monitor", "turns"])
def test_the_measured_tunes_are_the_true_ones(accelerator, name, method):
    machine = accelerator(name)
    result = machine.run(plans.measure_tune(machine.machine, method=method))
    # The monitors' noise is at most 1e-4/sqrt(20); a kicked beam's tunes depend on its
    # amplitude, which the profiles keep small enough.
    assert np.abs(result.fractional - true_fractions(machine)).max() < 1e-4
    # Errors move the tunes by a few hundredths: the integer part is the design's.
    assert np.abs(result.tunes - machine.design.tunes()[:2]).max() < 0.1
    assert tune.analyse(machine.last).tunes.tolist() == result.tunes.tolist()


@pytest.mark.parametrize("name", MACHINES)
def test_a_tune_that_is_set_is_there(accelerator, name):
    machine = accelerator(name)
    before = machine.true("tunes")[:2]
    target = before + 0.05
    result = machine.run(plans.set_tune(machine.machine, *target))
    assert result.reached, result.stopped
    assert result.iterations <= 3
    assert np.abs(true_fractions(machine) - target % 1.0).max() < 1e-3
    again = tune_correction.analyse(machine.last)
    assert np.array_equal(again.tunes, result.tunes)
    machine.reset()
    assert np.allclose(machine.true("tunes")[:2], before, atol=1e-9)


def test_the_response_of_families_in_series_is_that_of_pyat(accelerator):
    thomx = accelerator("thomx")
    ring = thomx.true_lattice()
    result = thomx.run(plans.measure_tune_response(thomx.machine, readings=50))
    assert result.actuators == ("QP31", "QP4")
    for column, family in enumerate(result.actuators):
        moved = []
        for step in (0.0, result.deltas[column]):
            other = ring.deepcopy()
            for i in at.get_uint32_index(other, family):
                other[i].PolynomB[1] += step
            moved.append(np.asarray(other.get_tune())[:2])
        expected = (moved[1] - moved[0]) / result.deltas[column]
        assert (
            np.abs(result.matrix[:, column] - expected) < 5 * result.sigma[:, column]
        ).all()


def test_betas_of_single_quadrupoles_are_within_their_errors(accelerator):
    fodo = accelerator("fodo")
    result = fodo.run(plans.measure_beta(fodo.machine))
    true = true_beta_of_magnets(fodo, result.names)
    found = np.column_stack([result.beta_x, result.beta_y])
    error = np.column_stack([result.sigma_x, result.sigma_y])
    miss = (found - true) / error
    assert np.abs(miss).max() < 4.5
    # 64 values: their rms is known to 1/sqrt(128) = 9 %; three times, and 0.1 for the
    # orbit, which each quadrupole changes a little, and with it the tunes.
    assert 0.7 < np.sqrt(np.mean(miss**2)) < 1.4
    assert np.std(found / true - 1.0) < 0.01
    assert np.array_equal(beta.analyse(fodo.last).beta_x, result.beta_x)


def test_magnets_in_series_are_one_row_with_their_mean(accelerator):
    thomx = accelerator("thomx")
    result = thomx.run(plans.measure_beta(thomx.machine, readings=50))
    assert len(result.names) == 6
    rows = zip(
        result.names,
        np.column_stack([result.beta_x, result.beta_y]),
        np.column_stack([result.sigma_x, result.sigma_y]),
        strict=True,
    )
    for name, found, sigma in rows:
        family = name.split("PS-")[1]
        true = true_beta_of_magnets(thomx, thomx.machine[family].names).mean(axis=0)
        # Four at once change the orbit in the sextupoles, and the tunes by that.
        assert (np.abs(found - true) < 4 * sigma + 0.05 * true).all()


@pytest.mark.parametrize(("name", "limit"), [("fodo", 0.005), ("soleil", 0.01)])
def test_betas_from_phase_advances_are_better_than_the_designs(
    accelerator, name, limit
):
    machine = accelerator(name)
    result = machine.run(plans.measure_beta(machine.machine, method="turns"))
    true, phase = true_optics_at_bpms(machine, result.names)
    for axis, plane in enumerate("xy"):
        found, model = (
            getattr(result, f"beta_{plane}"),
            getattr(result, f"model_{plane}"),
        )
        miss = found / true[:, axis] - 1.0
        assert np.std(miss) < limit
        assert np.std(miss) < 0.6 * np.std(model / true[:, axis] - 1.0)
        sigma = getattr(result, f"sigma_{plane}") / true[:, axis]
        # Errors of magnets that all pairs of neighbours share are not in sigma.
        assert np.sqrt(np.mean((miss / sigma) ** 2)) < 2.5
        advance = getattr(result.phase, plane) - (phase[:, axis] - phase[0, axis])
        error = getattr(result.phase, f"sigma_{plane}")
        assert np.std(advance) < 0.005
        assert np.std(advance) < 3 * np.median(error)
