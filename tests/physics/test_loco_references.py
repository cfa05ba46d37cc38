"""A LOCO fit as what other plans use: its response, and its gains of BPMs."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin import plans
from acctwin.errors import PlanError
from acctwin.plans import loco_version
from acctwin.plans.orbits import orbit as measuring
from acctwin.plans.orbits.inputs import resolve
from acctwin.workflows import loco

pytestmark = pytest.mark.slow


class Chosen:
    """References of which the test says what they are."""

    operational_mode, is_frozen = "default", False

    def __init__(self, **uids: str) -> None:
        self.uids = uids

    def current(self, kind: str) -> str | None:
        return self.uids.get(kind)


@pytest.fixture(scope="module")
def fodo(accelerator):
    machine = accelerator("fodo", 1)
    machine.run(plans.correct_orbit(machine.machine, goal="zero"))
    return machine


@pytest.fixture(scope="module")
def measured(fodo):
    return fodo.run(plans.measure_loco(fodo.machine))


@pytest.fixture(scope="module")
def version(fodo, measured) -> str:
    return loco.fit(fodo, measured.uid).model_version


def true_orbit(fodo, names) -> np.ndarray:
    """Return x and y of the simulated beam at BPMs [m], (2, n)."""
    place = {name: i for i, name in enumerate(fodo.model.layout.monitors)}
    return fodo.true("orbit")[[place[name] for name in names]].T


def measured_orbit(machine, calibrated: bool):
    return plans.measure_orbit(machine, readings=4, calibrated=calibrated)


def responses(fodo, measured, response) -> np.ndarray:
    """Return the rms difference to the measured response of what a plan would use."""

    def plan():
        return (yield from resolve(fodo.machine, response, "correct_orbit"))

    found = fodo.run(plan())
    known = measured.response
    both = [name for name in found.actuators if name in known.actuators]
    difference = found.block(known.monitors, both) - known.block(known.monitors, both)
    kicks = [i for i, name in enumerate(both) if name != fodo.machine.rf.info.name]
    return np.sqrt((difference[:, kicks] ** 2).mean())


def test_the_fitted_model_shows_what_is_measured(fodo, measured, version):
    design = responses(fodo, measured, None)
    fitted = responses(fodo, measured, version)
    step = np.median(measured.response.deltas[:-1])
    noise = np.median(measured.noise) * np.sqrt(2 / measured.readings) / step
    assert fitted < 1.5 * noise
    assert design > 3 * fitted


def test_orbits_are_corrected_with_it(fodo, version):
    machine = fodo.machine
    kicks = np.random.default_rng(3).normal(0.0, 2e-5, len(machine.hcm.names))
    fodo.run(plans.set_values(machine, "hcm", kicks))
    machine.references = Chosen(orbit_response=version)
    found = fodo.run(plans.correct_orbit(machine, goal="zero", rf=False))
    assert found.after.rms[0] < 0.25 * found.before.rms[0]
    assert fodo.run(found.uid).start["derived_from"] == [version]
    with pytest.raises(PlanError, match="the model knows no amperes"):
        fodo.run(plans.correct_orbit(machine, version, units="hardware"))


def test_a_calibrated_orbit_is_that_of_the_beam(fodo, version):
    machine = fodo.machine
    machine.references = Chosen(gains=version)
    one = [fodo.run(measured_orbit(machine, c)) for c in (False, True)]
    true = true_orbit(fodo, one[0].names)
    fodo.run(plans.step(machine, "C01/HCM", 1e-4))
    fodo.run(plans.step(machine, "C01/VCM", 1e-4))
    two = [fodo.run(measured_orbit(machine, c)) for c in (False, True)]
    moved = true_orbit(fodo, one[0].names) - true
    errors = []
    for before, after in zip(one, two, strict=True):
        seen = np.array([after.x - before.x, after.y - before.y])
        # The scale common to BPMs and correctors cannot be known.
        scale = (seen * moved).sum() / (moved**2).sum()
        errors.append(np.sqrt(((seen / scale - moved) ** 2).mean()))
    assert errors[1] < 0.3 * errors[0]
    run = fodo.run(two[1].uid)
    again = measuring.analyse(run)
    assert np.array_equal(again.x, two[1].x)
    assert np.array_equal(again.sigma_y, two[1].sigma_y)
    assert run.start["derived_from"] == [version]
    gains = loco_version.analyse(fodo.run(version)).bpm_gains(two[1].names)
    raw = run["primary"]["bpms_x"].mean(axis=0)
    assert np.allclose(gains[:, 0, 0] * again.x + gains[:, 0, 1] * again.y, raw)


def test_without_a_reference_it_is_said(fodo):
    fodo.machine.references = Chosen()
    with pytest.raises(PlanError, match="no gains reference"):
        fodo.run(plans.measure_orbit(fodo.machine, calibrated=True))
