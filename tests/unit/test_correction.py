"""Ways to solve an orbit correction, and in which units it is set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import N_COR, ToyEngine, powered_profile, toy_machine, toy_matrix
from toy_ring import RingEngine, ring_machine

from acctwin import plans
from acctwin.analysis.correction import invert_response, solve_correction, solve_micado
from acctwin.data.runs import Run
from acctwin.errors import PlanError
from acctwin.plans.orbits import correction


def random_response(rows=30, columns=12, seed=3):
    """Return a well-conditioned response."""
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_the_inverse_gives_the_steps_of_the_solution():
    matrix = random_response()
    residual = np.arange(30.0)
    options = {"singular_values": 7, "tikhonov": 0.1}
    steps = solve_correction(matrix, residual, **options).steps
    inverse = invert_response(matrix, **options)
    assert inverse.kept == 7
    assert -inverse.matrix @ residual == pytest.approx(steps, abs=1e-12)


@pytest.mark.parametrize("cutoff", [1e-9, 0.5])
def test_a_held_sum_does_not_change_and_the_rest_is_least_squares(cutoff):
    matrix, residual = random_response(), np.linspace(-1.0, 2.0, 30)
    held = np.linspace(0.1, 1.0, 12)
    steps = solve_correction(matrix, residual, held=held, cutoff=cutoff).steps
    assert abs(held @ steps) < 1e-12 * np.abs(held * steps).sum()
    if cutoff < 1e-6:
        # Lagrange: at the constrained minimum the gradient is along the constraint.
        gradient = matrix.T @ (matrix @ steps + residual)
        along = held * (held @ gradient) / (held @ held)
        assert gradient == pytest.approx(along, abs=1e-9)


def test_few_correctors_are_those_that_made_it():
    matrix = random_response()
    true = np.zeros(12)
    true[[2, 5, 9]] = 1.0, -0.5, 0.7
    solution = solve_micado(matrix, matrix @ true, 3)
    assert solution.steps == pytest.approx(-true, abs=1e-12)
    assert solution.kept == 3
    more = solve_micado(matrix, matrix @ true, 8)
    assert more.kept <= 8
    assert more.predicted == pytest.approx(np.zeros(30), abs=1e-10)


def test_each_corrector_chosen_is_the_one_that_leaves_least():
    matrix, residual = random_response(), np.linspace(-1.0, 2.0, 30)
    one = solve_micado(matrix, residual, 1)
    left = [
        np.linalg.lstsq(matrix[:, [j]], residual, rcond=None)[1][0] for j in range(12)
    ]
    assert np.flatnonzero(one.steps) == [np.argmin(left)]
    two = solve_micado(matrix, residual, 2)
    first = int(np.argmin(left))
    pairs = {
        j: np.linalg.lstsq(matrix[:, [first, j]], residual, rcond=None)[1][0]
        for j in range(12)
        if j != first
    }
    chosen = set(np.flatnonzero(two.steps)) - {first}
    assert chosen == {min(pairs, key=pairs.__getitem__)}


def test_twins_are_not_both_chosen_and_what_is_not_free_is_not():
    matrix = random_response()
    matrix[:, 4] = matrix[:, 7]
    solution = solve_micado(matrix, matrix[:, 7], 2)
    assert np.count_nonzero(solution.steps[[4, 7]]) == 1
    free = np.ones(12)
    free[4] = 0.0
    assert solve_micado(matrix, matrix[:, 7], 1, actuator_weights=free).steps[7] != 0
    always = np.zeros(12, dtype=bool)
    always[0] = True
    with_rf = solve_micado(matrix, matrix[:, 7] + matrix[:, 0], 1, always=always)
    assert np.flatnonzero(with_rf.steps).tolist() in ([0, 4], [0, 7])
    assert with_rf.kept == 1


def test_a_plan_with_few_correctors_uses_only_these(run, make_toy):
    engine = ToyEngine(error=toy_matrix()[:, 1] * 3e-5 - toy_matrix()[:, 6] * 2e-5)
    toy = make_toy(engine)
    result = run(plans.correct_orbit(toy.machine, best=2))
    used = [result.actuators[i] for i in np.flatnonzero(result.steps)]
    assert used == ["T/C1-H", "T/C2-V"]
    assert result.kept == 2
    assert result.rms_x[-1] < 2e-6
    with pytest.raises(PlanError, match="at least 1 corrector"):
        run(plans.correct_orbit(toy.machine, best=0))


def test_the_correctors_can_leave_the_energy_to_the_rf(run):
    machine, sim = ring_machine(RingEngine(toy_matrix() @ np.full(9, 1e-5)))
    call_in_bluesky_event_loop(machine.connect())
    plain = run(plans.correct_orbit(machine, iterations=1))
    dispersion = machine.design.optics(machine.hcm.names).dispersion[:, 0]
    assert abs(dispersion @ plain.steps[:N_COR]) > 1e-6
    sim.put(np.arange(len(sim.setpoints)), sim.layout.values)
    held = run(plans.correct_orbit(machine, iterations=2, rf=True, keep_energy=True))
    assert abs(dispersion @ held.steps[:N_COR]) < 1e-16
    assert held.steps[N_COR : 2 * N_COR] == pytest.approx(-1e-5, abs=1e-6)
    few = run(plans.correct_orbit(machine, best=4, keep_energy=True))
    assert abs(dispersion @ few.steps[:N_COR]) < 1e-16


@pytest.fixture
def powered():
    """A toy machine with supplies that can cancel its orbit, and what simulates it."""
    kicks = np.array([1.0, -2.0, 1.0, 1.01, 2.0, 0.0, 0.0, 0.0, 0.0]) * 1e-5
    engine = ToyEngine(error=toy_matrix() @ kicks)
    machine, sim = toy_machine(engine, profile=powered_profile())
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def test_in_hardware_units_the_supplies_are_the_knobs(run, powered):
    machine, _ = powered
    measured = run(
        plans.measure_orbit_response(
            machine, correctors=[machine.hcm], units="hardware"
        )
    )
    assert set(measured.units) == {"m/A"}
    result = run(plans.correct_orbit(machine, measured, units="hardware"))
    assert set(result.actuators) == {"PS0a", "PS0b", "PS1", "PS23"}
    assert result.rms_x[-1] < 1e-9 < 1e-5 < result.rms_x[0]
    assert result.rms_y[-1] < 1e-9 < 1e-5 < result.rms_y[0]
    places = [machine.supplies.names.index(name) for name in result.actuators]
    seen = call_in_bluesky_event_loop(machine.supplies.current.get_value())
    assert seen[places] == pytest.approx(result.setpoints)
    assert np.abs(result.steps).max() > 1e-3  # amperes, not radians
    again = correction.analyse(Run.from_documents(run.documents))
    assert again.actuators == result.actuators
    assert again.after.x == pytest.approx(result.after.x)


def test_a_response_in_other_units_is_refused_with_what_to_give(run, powered):
    machine, sim = powered
    amperes = run(
        plans.measure_orbit_response(
            machine, correctors=[machine.hcm], units="hardware"
        )
    )
    radians = run(plans.measure_orbit_response(machine))
    with pytest.raises(PlanError, match=r"say units='hardware'"):
        run(plans.correct_orbit(machine, amperes))
    with pytest.raises(PlanError, match=r"measure_orbit_response\(machine, units='har"):
        run(plans.correct_orbit(machine, radians, units="hardware"))
    with pytest.raises(PlanError, match="the model knows no amperes"):
        run(plans.correct_orbit(machine, units="hardware"))
    with pytest.raises(PlanError, match="keep_energy"):
        run(plans.correct_orbit(machine, amperes, units="hardware", keep_energy=True))
    assert np.allclose(sim.setpoints, sim.layout.values)


@pytest.mark.parametrize("options", [{}, {"preview": True}, {"iterations": 1}])
def test_a_stored_run_gives_the_same_result(run, toy, options):
    result = run(plans.correct_orbit(toy.machine, readings=2, **options))
    again = correction.analyse(Run.from_documents(run.documents))
    for name in ("steps", "setpoints", "rms_x", "rms_y"):
        assert np.array_equal(getattr(again, name), getattr(result, name))
    for name in ("before", "after"):
        for key in ("x", "y", "sigma_x"):
            mine, theirs = (getattr(getattr(r, name), key) for r in (again, result))
            assert mine == pytest.approx(theirs, nan_ok=True)
    empty = np.zeros(0)
    same = {"before", "after", "steps", "setpoints", "rms_x", "rms_y"}
    assert replace(again, **dict.fromkeys(same, empty)) == replace(
        result, **dict.fromkeys(same, empty)
    )


def test_a_supply_that_two_correctors_share_is_measured_once(run, powered):
    machine, _ = powered
    shared = [machine.hcm.select("T/C[01]-H"), machine.vcm.select("T/C0-V")]
    measured = run(
        plans.measure_orbit_response(machine, correctors=shared, units="hardware")
    )
    assert measured.actuators == ("PS0a", "PS0b", "PS1")
