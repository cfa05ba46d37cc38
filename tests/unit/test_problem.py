"""What is optimised: variables, their limits, and what they set."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy_ring import ring_machine, ring_profile

from acctwin import plans
from acctwin.analysis.optimisation import OptimisationResult, Output
from acctwin.errors import LimitError, PlanError, UnknownName
from acctwin.plans.guards import check_moves
from acctwin.plans.optimisation import problems
from acctwin.plans.optimisation.generators import unit_directions
from acctwin.plans.optimisation.problem import (
    Measured,
    Variable,
    plain_variables,
    setting_of,
)
from acctwin.profiles.profile import Diagnostics, Simulation
from acctwin.profiles.touschek import Touschek

SKEWS = ("T/SQ0", "T/SQ1")


@pytest.fixture
def ring(run):
    machine, sim = ring_machine()
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def test_variables_reach_the_limits_of_their_devices_and_not_further(run, ring):
    machine, _ = ring
    problem = problems.vertical_emittance(machine)
    setting = run(setting_of(problem))
    assert setting.problem.names == SKEWS
    assert setting.low == pytest.approx([-0.1, -0.1])
    assert setting.high == pytest.approx([0.1, 0.1])
    for corner in (setting.low, setting.high):
        check_moves(setting.moves(corner))
    ((device, values),) = setting.moves(np.array([0.02, -0.03]))
    assert device is machine.skew_quadrupoles
    assert values == pytest.approx([0.02, -0.03])


def test_reach_counts_from_where_a_knob_is(run, ring):
    machine, sim = ring
    where = [sim.layout.knobs.index(name) for name in SKEWS]
    sim.put(np.array(where), np.array([0.04, 0.09]))
    sim.changes.notify()
    setting = run(setting_of(problems.vertical_emittance(machine, reach=0.02)))
    assert setting.start == pytest.approx([0.04, 0.09])
    assert setting.low == pytest.approx([0.02, 0.07])
    assert setting.high == pytest.approx([0.06, 0.1])


def test_a_combination_stays_within_the_limits_of_all_its_knobs(run, ring):
    machine, sim = ring
    sim.put(np.array([sim.layout.knobs.index("T/SQ1")]), np.array([0.06]))
    sim.changes.notify()
    both = Variable("both", "1", {"T/SQ0": 1.0, "T/SQ1": -0.5}, is_change=True)
    plain = problems.vertical_emittance(machine)
    setting = run(setting_of(replace(plain, variables=(both,))))
    # SQ0 from 0: ±0.1; SQ1 from 0.06 by −0.5 a step: 0.1 is reached at −0.08.
    assert setting.start.tolist() == [0.0]
    assert (setting.low[0], setting.high[0]) == pytest.approx((-0.08, 0.1))
    ((_, values),) = setting.moves(setting.low)
    assert values == pytest.approx([-0.08, 0.1])
    check_moves(setting.moves(setting.low))


def test_a_start_outside_the_limits_is_refused(run, ring):
    machine, _ = ring
    plain = problems.vertical_emittance(machine)
    variables = (replace(plain.variables[0], low=0.01), plain.variables[1])
    with pytest.raises(LimitError, match=r"T/SQ0 starts at 0 .* 0.01 to 0.1"):
        run(setting_of(replace(plain, variables=variables)))


def test_problems_that_make_no_sense_are_refused(ring):
    machine, _ = ring
    plain = problems.vertical_emittance(machine)
    with pytest.raises(PlanError, match="needs a variable"):
        replace(plain, objectives=())
    with pytest.raises(PlanError, match="'ey' is the name of two things"):
        replace(plain, constraints=plain.objectives)
    strange = Variable("q", "1", {"T/QF0": 1.0})
    with pytest.raises(PlanError, match="q moves T/QF0, which is none"):
        replace(plain, variables=(strange,))
    mixed = Variable("mixed", "1", {"T/SQ0": 1.0, "T/SQ1": 1.0})
    with pytest.raises(PlanError, match="is_change=True"):
        replace(plain, variables=(mixed,))
    with pytest.raises(UnknownName, match="vertical_emittance"):
        problems.ready_problem(machine, "vertical_emitance")
    with pytest.raises(UnknownName, match="T/SQ0"):
        problems.vertical_emittance(machine, skews=["T/SQO"])
    bare, _ = ring_machine(profile=replace(ring_profile(), injection=None))
    with pytest.raises(PlanError, match="has no injection"):
        problems.injection_efficiency(bare)
    bare, _ = ring_machine(profile=replace(ring_profile(), diagnostics=Diagnostics()))
    with pytest.raises(PlanError, match="has no lifetime"):
        problems.lifetime(bare)


def test_a_long_lifetime_is_found_with_sextupoles(run):
    simulation = Simulation(lifetime_s=1e6, touschek=Touschek(bunches=100))
    machine, _ = ring_machine(profile=replace(ring_profile(), simulation=simulation))
    call_in_bluesky_event_loop(machine.connect())
    run(plans.set_values(machine, "T/SF0", 26.0))
    problem = problems.lifetime(machine, noise=10.0)
    assert [one.unit for one in problem.variables] == ["1/m^3"] * 4
    result = run(plans.optimise(machine, problem, "rcds", evaluations=60, seed=1))
    lifetimes = result.values[:, 0]
    assert lifetimes[0] == pytest.approx(1.0 / (1e-6 + 7.0 / 3.6e4))
    assert lifetimes.max() > 3.0 * lifetimes[0]


def test_bad_devices_are_left_out(run, ring):
    machine, _ = ring
    machine.mark_bad("T/SQ0", "T/C1-H")
    assert problems.vertical_emittance(machine).names == ("T/SQ1",)
    assert "T/C1-H" not in problems.orbit(machine).names
    machine.mark_bad("T/SQ1")
    with pytest.raises(PlanError, match="no good skew_quadrupoles"):
        problems.vertical_emittance(machine)


def test_it_is_written_as_xopt_reads_it(run, ring):
    machine, _ = ring
    plain = problems.vertical_emittance(machine)
    bounds = [
        Output("a", "m", at_least=-1.0),
        Output("b", "m", at_most=2.0),
        Output("c", "m", at_least=-1.0, at_most=2.0),
    ]
    constraints = tuple(Measured(bound, lambda _: 0.0) for bound in bounds)
    setting = run(setting_of(replace(plain, constraints=constraints)))
    words = json.loads(json.dumps(setting.vocs()))
    assert list(words["variables"]) == list(SKEWS)
    assert words["objectives"] == {"ey": "MINIMIZE"}
    assert words["constraints"] == {
        "a": ["GREATER_THAN", -1.0],
        "b": ["LESS_THAN", 2.0],
        "c": ["BOUNDS", -1.0, 2.0],
    }


def test_the_designs_directions_of_the_orbit_part_its_response(run, ring):
    machine, _ = ring
    problem = problems.orbit(machine)
    assert problem.directions is not None
    along = problem.directions()
    response = machine.design.orbit_response(machine.bpms.names, problem.knobs.names)
    seen = (response @ along).T @ (response @ along)
    assert seen == pytest.approx(np.diag(np.diag(seen)), abs=1e-9 * seen.max())
    assert (np.diff(np.diag(seen)) <= 1e-9 * seen.max()).all()
    unit = unit_directions(along[:, :3], run(setting_of(problem)))
    assert unit.shape == (len(problem.knobs),) * 2
    assert np.linalg.matrix_rank(unit) == len(problem.knobs)


def test_units_come_from_the_devices(ring):
    machine, _ = ring
    assert {v.unit for v in problems.orbit(machine).variables} == {"rad"}
    knobs = problems.orbit(machine).knobs.with_rf(machine)
    assert plain_variables(knobs)[-1].unit == "Hz"


def result(values, bounded, **changes) -> OptimisationResult:
    values, bounded = np.array(values, float), np.array(bounded, float)
    n = len(values)
    words = {
        "variables": ("a",),
        "units": ("1",),
        "objectives": tuple(Output(f"f{i}", "m") for i in range(values.shape[1])),
        "constraints": tuple(
            Output(f"g{i}", "m", at_most=1.0) for i in range(bounded.shape[1])
        ),
        "candidates": np.arange(n)[:, None] * 1.0,
        "origins": ("start", *["generator"] * (n - 1)),
        "generator": "random",
        "finish": "best",
    }
    return OptimisationResult(values=values, bounded=bounded, **(words | changes))


def test_the_best_is_feasible_and_did_not_fail():
    values = [[5.0], [1.0], [np.nan], [3.0]]
    found = result(values, [[0.0], [2.0], [0.0], [0.5]])
    assert found.is_failed.tolist() == [False, False, True, False]
    assert found.is_feasible.tolist() == [True, False, False, True]
    assert found.best == 3
    assert found.history.tolist() == [5.0, 5.0, 5.0, 3.0]
    large = result(values, np.zeros((4, 0)), objectives=(Output("f", "m", 0.0, True),))
    assert large.best == 0
    assert "1 of them failed" in large.summary()


def test_the_pareto_front_of_several_objectives():
    values = [[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [4.0, 1.0], [0.0, np.nan]]
    found = result(values, np.zeros((5, 0)))
    assert found.pareto.tolist() == [True, True, False, True, False]
    assert found.best is None
    assert "3 on the Pareto front" in found.summary()
