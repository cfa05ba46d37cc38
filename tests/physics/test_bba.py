"""Beam-based alignment finds hidden offsets, and says truly how well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acctwin import plans
from acctwin.errors import PlanError
from acctwin.plans.alignment.bba import analyse
from acctwin.profiles import load_profile

OFFSET = 100e-6


def with_offsets(name):
    """Return imperfections of a profile with 100 µm of BPM offsets."""
    plain = load_profile(name).imperfections
    return replace(plain, bpms=replace(plain.bpms, offset=OFFSET))


@pytest.fixture(scope="module")
def ebs(accelerator):
    """An ebs whose orbit was roughly corrected, as before any alignment."""
    ring = accelerator("ebs", seed=1, imperfections=with_offsets("ebs"))
    options = {"goal": "zero", "cutoff": 0.04, "iterations": 2}
    ring.run(plans.correct_orbit(ring.machine, "model", **options))
    return ring


def truth(ring, result):
    """Return what each BPM reads for a beam straight through the centre, (n, 2)."""
    rows = {row.name: row for row in ring.profile.magnets}
    moved = {
        (item.element.family, item.element.index): (item.dx, item.dy)
        for item in ring.errors.misalignments
    }
    where = [ring.sim.layout.monitors.index(name) for name in result.bpms]
    elements = [rows[name].element for name in result.quadrupoles]
    centre = np.array([moved[(e.family, e.index)] for e in elements])
    errors = ring.errors
    return errors.bpm_gain[where] * (centre - errors.bpm_offset[where])


def compared(ring, result):
    """Return errors of the offsets [m], and in quoted errors, (n, 2) each."""
    found = np.column_stack([result.offset_x, result.offset_y])
    sigma = np.column_stack([result.sigma_x, result.sigma_y])
    error = found - truth(ring, result)
    return error, error / sigma


def rms(values):
    return np.sqrt(np.mean(np.square(values), axis=0))


@pytest.fixture(scope="module")
def single(ebs):
    names = ebs.machine.bpms.names[:20]
    return ebs.run(plans.bba(ebs.machine, names, points=3))


def test_twenty_offsets_of_100_um_are_found_to_5_um(ebs, single):
    error, pull = compared(ebs, single)
    assert (rms(truth(ebs, single)) > 70e-6).all(), "there is something to find"
    assert (rms(error) < 5e-6).all()
    assert 0.7 < rms(pull.ravel()) < 1.4
    assert len(single.as_goal().names) == 20


def test_the_stored_run_gives_the_same(ebs, single):
    again = analyse(ebs.run(single.uid))
    assert np.array_equal(again.offset_x, single.offset_x)
    assert np.array_equal(again.sigma_y, single.sigma_y)


def test_many_at_once_take_ten_times_fewer_settings(ebs, single):
    names = ebs.machine.bpms.names[3::16]
    many = ebs.run(plans.bba(ebs.machine, names, mode="parallel"))
    assert len(many.bpms) == len(single.bpms) == 20
    assert 10 * many.settings <= single.settings
    error, pull = compared(ebs, many)
    assert (rms(error) < 15e-6).all()
    assert np.abs(pull).max() < 10.0


def test_what_was_measured_is_not_measured_again(accelerator):
    fodo = accelerator("fodo", seed=1)
    names = fodo.machine.bpms.names[:3]
    first = fodo.run(plans.bba(fodo.machine, names[:2], points=3))
    both = fodo.run(plans.bba(fodo.machine, names, points=3, resume=first.uid))
    assert both.bpms == names
    assert both.uids == (first.uid, fodo.last.uid)
    assert np.array_equal(both.offset_x[:2], first.offset_x)
    with pytest.raises(PlanError, match="nothing to measure"):
        fodo.run(plans.bba(fodo.machine, names, resume=list(both.uids)))


def test_offsets_of_a_classical_ring(accelerator):
    fodo = accelerator("fodo", seed=1)
    result = fodo.run(plans.bba(fodo.machine, fodo.machine.bpms.names[:8]))
    error, pull = compared(fodo, result)
    assert (rms(error) < 30e-6).all()
    assert rms(pull.ravel()) < 3.0


def test_quadrupoles_in_series_are_refused(accelerator):
    thomx = accelerator("thomx", seed=1)
    with pytest.raises(PlanError, match="no quadrupole of thomx has a supply of its"):
        thomx.run(plans.bba(thomx.machine))
