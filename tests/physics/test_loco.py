"""LOCO on simulated machines: measured through devices, fitted, taken out again.

What is true of the machine is read by the tests alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acctwin import plans
from acctwin.analysis.loco import Options
from acctwin.errors import DataError, LimitError, PlanError
from acctwin.plans import loco_version
from acctwin.plans.loco import measurement as measuring
from acctwin.profiles import load_profile
from acctwin.workflows import loco

pytestmark = pytest.mark.slow


def true_beta(machine, names) -> np.ndarray:
    """Return the beta of the simulated machine at BPMs [m], (n, 2)."""
    place = {name: i for i, name in enumerate(machine.model.layout.monitors)}
    return machine.true("optics").beta[[place[name] for name in names]]


@pytest.fixture(scope="module")
def fodo(accelerator):
    machine = accelerator("fodo", 1)
    machine.run(plans.correct_orbit(machine.machine, goal="zero"))
    return machine


@pytest.fixture(scope="module")
def measured(fodo):
    return fodo.run(plans.measure_loco(fodo.machine, readings=2, chunk=12))


@pytest.fixture(scope="module")
def found(fodo, measured):
    return loco.fit(fodo, measured.uid)


def test_a_measurement_is_a_set_of_runs(fodo, measured):
    assert len(measured.uids) == 1 + 2 + 2 + 1  # noise, 16 + 16 by 12, the RF
    run = fodo.run(measured.uid)
    assert run.start["derived_from"] == list(measured.uids)
    parts = {uid: fodo.run(uid) for uid in measured.uids}
    again = measuring.analyse(run, parts)
    assert np.array_equal(again.response.matrix, measured.response.matrix)
    assert again.uids == measured.uids
    data = measured.data(without=["C01/BPM1", "C02/HCM"])
    assert data.matrix.shape == (62, 32)
    assert data.actuators[-1] == "rf"


def test_a_measurement_that_was_stopped_goes_on(fodo, measured):
    last = measured.uids[-3]  # as if it had been stopped after this run
    count = len(fodo.runs)
    again = fodo.run(
        plans.measure_loco(fodo.machine, readings=2, chunk=12, resume=last)
    )
    assert len(fodo.runs) - count == 2 + 1
    assert again.uids[:-2] == measured.uids[:-2]
    assert again.response.actuators == measured.response.actuators
    with pytest.raises(DataError, match="not a part of a measure_loco"):
        fodo.run(plans.measure_loco(fodo.machine, resume=measured.uid))


def test_the_fitted_model_has_the_betas_of_the_machine(fodo, found):
    true = true_beta(fodo, found.bpms)
    before = (true / found.design_beta_at_bpms - 1).std(axis=0)
    after = (found.beta_at_bpms / true - 1).std(axis=0)
    assert before.min() > 5e-3
    assert after.max() < 1.5e-3
    assert 0.9 < found.chi2_dof < 1.8
    assert found.left_out < 10
    assert set(found.quadrupole_errors) == set(fodo.machine.quadrupoles.names)


def test_a_fit_is_kept_as_a_version_of_the_model(fodo, found):
    again = loco.version(fodo, found.model_version)
    assert np.array_equal(again.values, found.values)
    assert again.members == found.members
    assert again.gains.bpm == pytest.approx(found.gains.bpm)
    assert again.uid == found.uid
    place = fodo.model.layout.monitors.index(found.bpms[3])
    design = fodo.model.optics().beta[place].copy()
    loco.load(fodo, found.model_version)
    assert fodo.model.optics().beta[place] == pytest.approx(found.beta_at_bpms[3])
    loco.load(fodo, None)
    assert fodo.model.optics().beta[place] == pytest.approx(design)
    with pytest.raises(DataError, match="not a fitted model"):
        loco.version(fodo, found.uid)
    with pytest.raises(PlanError, match="needs the uid of a measure_loco"):
        loco.fit(fodo, found.model_version)


def test_applied_it_makes_the_machine_the_design(fodo, found):
    true = true_beta(fodo, found.bpms)
    start = fodo.sim.supplies.setpoints.copy()
    shown = fodo.run(plans.apply_loco(fodo.machine, found, preview=True))
    assert np.array_equal(fodo.sim.supplies.setpoints, start)
    state = fodo.run(plans.save_machine(fodo.machine))
    applied = fodo.run(plans.apply_loco(fodo.machine, found.model_version))
    assert np.allclose(applied.after, shown.after)
    assert "would change" in shown.summary()
    before = (true / found.design_beta_at_bpms - 1).std(axis=0)
    now = true_beta(fodo, found.bpms) / found.design_beta_at_bpms - 1
    assert (now.std(axis=0) < 0.25 * before).all()
    assert np.abs(applied.predicted).max() < 0.01 * np.abs(applied.beta_beat).max()
    assert np.array_equal(fodo.model.values(), fodo.model.layout.values)
    fodo.run(plans.restore_machine(fodo.machine, state))
    assert np.allclose(fodo.sim.supplies.setpoints, start, atol=1e-9)


def test_again_and_again_until_little_is_left(fodo):
    start = fodo.sim.supplies.setpoints.copy()
    state = fodo.run(plans.save_machine(fodo.machine))
    fits = loco.correct(fodo, iterations=2, fraction=0.7)
    beats = [fit.beta_beat.std() for fit in fits]
    assert len(fits) == 2
    assert beats[1] < 0.6 * beats[0]
    true = true_beta(fodo, fits[0].bpms) / fits[0].design_beta_at_bpms - 1
    assert true.std() < 0.4 * beats[0]
    assert len(loco.correct(fodo, iterations=3, enough=1.0)) == 1
    fodo.run(plans.restore_machine(fodo.machine, state))
    assert np.allclose(fodo.sim.supplies.setpoints, start, atol=1e-9)


def test_what_cannot_be_applied_moves_nothing(fodo, found):
    start = fodo.sim.supplies.setpoints.copy()
    with pytest.raises(PlanError, match="no strengths for coupling"):
        fodo.run(plans.apply_loco(fodo.machine, found, what=["coupling"]))
    with pytest.raises(PlanError, match="fraction"):
        fodo.run(plans.apply_loco(fodo.machine, found, fraction=2.0))
    wild = replace(found, values=100 * found.values)
    with pytest.raises(LimitError, match="smaller fraction"):
        fodo.run(plans.apply_loco(fodo.machine, wild))
    fodo.machine.mark_bad(found.strengths[0])
    try:
        with pytest.raises(PlanError, match="marked bad"):
            fodo.run(plans.apply_loco(fodo.machine, found))
    finally:
        fodo.machine.mark_good(found.strengths[0])
    assert np.array_equal(fodo.sim.supplies.setpoints, start)


def test_optics_and_coupling_of_soleil(accelerator):
    soleil = accelerator("soleil", 1)
    machine = soleil.machine
    soleil.run(plans.correct_orbit(machine, goal="zero"))
    measured = soleil.run(plans.measure_loco(machine))
    found = loco.fit(soleil, measured.uid)
    true = true_beta(soleil, found.bpms)
    before = (true / found.design_beta_at_bpms - 1).std(axis=0)
    assert (found.beta_at_bpms / true - 1).std(axis=0).max() < 3e-3
    emittance = soleil.true("equilibrium").emittances[1]
    soleil.run(plans.apply_loco(machine, found))
    now = (true_beta(soleil, found.bpms) / found.design_beta_at_bpms - 1).std(axis=0)
    assert now.max() < 5e-3
    assert before.max() > 4 * now.max()
    assert soleil.true("equilibrium").emittances[1] < 0.1 * emittance
    version = loco_version.analyse(soleil.run(found.model_version))
    assert version.summary() == found.summary()


def test_magnets_in_series(accelerator):
    """Errors are found magnet by magnet, and taken out supply by supply."""
    thomx = accelerator("thomx", 1)
    machine = thomx.machine
    thomx.run(plans.correct_orbit(machine, goal="zero"))
    measured = thomx.run(plans.measure_loco(machine, readings=4))
    # 12 BPMs cannot tell 24 quadrupoles apart.
    found = loco.fit(thomx, measured.uid, options=Options(cut=0.01))
    assert len(found.strengths) == 24
    assert found.kept < 20
    true = true_beta(thomx, found.bpms)
    before = (true / found.design_beta_at_bpms - 1).std(axis=0)
    after = (found.beta_at_bpms / true - 1).std(axis=0)
    assert (after < 0.5 * before).all()
    applied = thomx.run(plans.apply_loco(machine, found, what=["optics"]))
    assert len(applied.strengths) == 6
    now = (true_beta(thomx, found.bpms) / found.design_beta_at_bpms - 1).std(axis=0)
    assert now == pytest.approx(applied.predicted.std(axis=0), rel=0.25)
    together = loco.fit(thomx, measured.uid, by="supply")
    assert [len(group) for group in together.members] == [4] * 6


def test_quoted_errors_of_gains_hold(accelerator):
    """Pulls over seeds, of a machine that is wrong in nothing but what is fitted."""
    spread = load_profile("fodo").imperfections
    magnets = [replace(one, dx=0.0, dy=0.0, roll=0.0) for one in spread.magnets]
    changed = replace(spread, magnets=tuple(magnets))
    pulls = [pulls_of(accelerator("fodo", n, imperfections=changed)) for n in (1, 2, 3)]
    for block in pulls[0]:
        found = np.concatenate([one[block] for one in pulls])
        assert 0.8 < np.sqrt(np.mean(found**2)) < 1.2, block


def pulls_of(fodo) -> dict[str, np.ndarray]:
    """Return the errors of fitted gains over those that are quoted."""
    fodo.run(plans.correct_orbit(fodo.machine, goal="zero"))
    measured = fodo.run(plans.measure_loco(fodo.machine, noise_readings=100))
    found = loco.fit(fodo, measured.uid)
    order = {row.name: i for i, row in enumerate(fodo.profile.bpms)}
    bpms = [order[name] for name in found.bpms]
    gain, roll = fodo.errors.bpm_gain[bpms], fodo.errors.bpm_roll[bpms]
    cos, sin = np.cos(roll), np.sin(roll)
    turned = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    bpm = found.gains.bpm - gain[:, :, None] * turned
    place = {row.name: i for i, row in enumerate(fodo.profile.magnets)}
    true = fodo.errors.scale[[place[name] for name in found.actuators[:-1]]]
    kick, of = found.gains.kick[:-1] - true, fodo.machine.hcm.names
    vertical = np.array([name not in of for name in found.actuators[:-1]])
    # Nothing measured tells all vertical gains from all vertical kicks.
    common = np.concatenate([bpm[:, 1, 1], -kick[vertical]]).mean()
    bpm[:, 1, 1] -= common
    kick[vertical] += common
    over = bpm / found.gains_sigma.bpm
    return {
        "bpm_gain": np.concatenate([over[:, 0, 0], over[:, 1, 1]]),
        "bpm_coupling": np.concatenate([over[:, 0, 1], over[:, 1, 0]]),
        "kick_gain": kick / found.gains_sigma.kick[:-1],
        "kick_roll": found.gains.roll[:-1] / found.gains_sigma.roll[:-1],
    }
