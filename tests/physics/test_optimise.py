"""Optimisation of simulated rings, through devices with noise."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin import plans
from acctwin.errors import PlanError, UnknownName
from acctwin.plans.optimisation import problems
from acctwin.plans.optimisation import study as optimise_study
from acctwin.plans.optimisation.optimise import analyse
from acctwin.workflows.study import study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def soleil(accelerator):
    machine = accelerator("soleil", 2)
    machine.run(plans.correct_orbit(machine.machine, goal="zero"))
    return machine


def test_the_vertical_emittance_becomes_small(soleil):
    machine = soleil.machine
    before = soleil.true("equilibrium").emittances[1]
    problem = problems.vertical_emittance(machine, modes=3, noise=0.01 * before)
    found = soleil.run(plans.optimise(machine, problem, "rcds", evaluations=40))
    after = soleil.true("equilibrium").emittances[1]
    assert after < 0.35 * before
    assert found.values[-1, 0] == pytest.approx(after, rel=0.05)
    again = analyse(soleil.last)
    assert np.array_equal(again.candidates, found.candidates)


def test_a_study_evaluates_on_twins_and_moves_nothing(accelerator):
    fodo = accelerator("fodo", 1)
    fodo.seed = 1
    machine = fodo.machine
    fodo.run(plans.set_values(machine, "C02/HCM", 2e-5))
    before = fodo.sim.setpoints.copy()
    told: list[tuple[int, int]] = []
    result = study(
        fodo,
        "orbit",
        "random",
        words={"names": ["C01/HCM", "C02/HCM"], "reach": 5e-5},
        evaluations=6,
        workers=2,
        progress=lambda done, count: told.append((done, count)),
    )
    assert np.array_equal(fodo.sim.setpoints, before)
    assert result.evaluations == 7
    assert result.candidates[0] == pytest.approx([0.0, 2e-5])
    assert told[0] == (0, 6)
    run = fodo.run(result.uid)
    again = optimise_study.analyse(run)
    assert np.array_equal(again.values, result.values)
    assert fodo.run(run.start["derived_from"][0]).start["plan_name"] == "save_machine"
    # The twins are the machine: it reads what they said.
    best = result.candidates[result.best]
    for name, value in zip(result.variables, best, strict=True):
        fodo.run(plans.set_values(machine, name, value))
    orbit = fodo.run(plans.measure_orbit(machine, readings=20))
    rms = np.sqrt(np.mean([orbit.x**2, orbit.y**2]))
    assert rms == pytest.approx(result.values[result.best, 0], rel=0.02)


def test_a_study_that_makes_no_sense_is_refused(accelerator):
    fodo = accelerator("fodo", 1)
    fodo.seed = 1
    with pytest.raises(UnknownName, match="generator of a study"):
        study(fodo, "orbit", "rcds")
    with pytest.raises(UnknownName, match="ready problem"):
        study(fodo, "orbits")
    with pytest.raises(PlanError, match="has no argument 'name'; it has names"):
        study(fodo, "orbit", words={"name": []})
    with pytest.raises(PlanError, match="Xopt does not make a mobo"):
        study(fodo, "orbit", "mobo")
    with pytest.raises(PlanError, match="at least 1 evaluation"):
        study(fodo, "orbit", evaluations=0)
