"""Tunes from readings and oscillations, and the plans that measure and set them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import ToyRuns, toy_machine
from toy_ring import TUNES, RingEngine, ring_machine, ring_profile, tune_matrix

from acctwin import plans
from acctwin.analysis.tune import Branch, mean_tune, nearest_whole, tune_of_oscillations
from acctwin.analysis.tune_correction import crossed, solve_tune, whole_target
from acctwin.analysis.turns import find_oscillation, is_above_half
from acctwin.data.runs import Run
from acctwin.defaults import Defaults, TuneDefaults
from acctwin.errors import BeamLost, DataError, LimitError, PlanError
from acctwin.plans.tunes import correction as tune_correction
from acctwin.plans.tunes import response as tune_response
from acctwin.plans.tunes import step as tune_step
from acctwin.plans.tunes import tune
from acctwin.plots.figure import new_figure
from acctwin.plots.tune import draw_tunes
from acctwin.profiles.imperfections import Imperfections
from acctwin.profiles.profile import Diagnostics

NEAR = np.array([18.16, 10.72])


def stored(run) -> Run:
    return Run.from_documents(iter(run.documents))


def machine_of(noise=1e-5, seed=1, **changes):
    """Return a toy ring with a noisy tune monitor, connected, and what is behind it."""
    profile = ring_profile(imperfections=Imperfections(tune_noise=noise), **changes)
    engine = RingEngine(np.zeros(16))
    machine, sim = ring_machine(engine, profile, seed=seed)
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim, engine


def waves(tune, turns=500, bpms=12, noise=0.0, amplitude=1e-3, seed=0):
    """Return positions of an oscillation, and its phases."""
    phase = 2 * np.pi * tune * np.linspace(0.0, 1.0, bpms, endpoint=False)
    angle = 2 * np.pi * tune * np.arange(turns)[:, None] + phase + 0.3
    rng = np.random.default_rng(seed)
    return amplitude * np.cos(angle) + rng.normal(0, noise, angle.shape) + 2e-3, phase


# ---- readings of a monitor


def test_the_integer_part_is_the_one_nearest_to_the_known_tune():
    assert np.allclose(nearest_whole(np.array([0.2, 0.7]), NEAR), [18.2, 10.7])
    assert nearest_whole(np.array(0.02), 4.98) == pytest.approx(5.02)
    assert nearest_whole(np.array(0.98), 5.02) == pytest.approx(4.98)


def test_readings_are_averaged_with_their_error():
    rng = np.random.default_rng(0)
    readings = np.array([0.17, 0.71]) + rng.normal(0, 1e-4, (400, 2))
    result = mean_tune(readings, np.full(400, 0.01), Branch(NEAR, False, {}), "run")
    assert np.abs(result.tunes - [18.17, 10.71]).max() < 5 * 1e-4 / 20
    # A standard error from 400 readings is known to 1/sqrt(800) = 4 %; five times.
    assert result.sigma == pytest.approx(np.full(2, 5e-6), rel=0.2)
    assert result.fractional == pytest.approx([0.17, 0.71], abs=1e-4)
    assert (result.qs, result.readings, result.uid) == (pytest.approx(0.01), 400, "run")
    assert np.isnan(
        mean_tune(readings[:1], np.zeros(1), Branch(NEAR, False, {})).sigma_x
    )


def test_a_folded_monitor_is_unfolded_towards_the_known_tune():
    readings = np.array([[0.17, 0.29], [0.17, 0.29]])
    result = mean_tune(readings, np.zeros(2), Branch(NEAR, True, {}))
    assert result.tunes == pytest.approx([18.17, 10.71])
    assert result.ambiguous == ()
    told = mean_tune(readings, np.zeros(2), Branch(NEAR, True, {"x": True, "y": False}))
    assert told.tunes == pytest.approx([17.83, 10.29])


def test_a_tune_near_the_half_integer_is_called_ambiguous_unless_it_is_told():
    near, readings = np.array([4.2, 3.51]), np.array([[0.2, 0.47]])
    assert mean_tune(readings, np.zeros(1), Branch(near, True, {})).ambiguous == ("y",)
    assert not mean_tune(readings, np.zeros(1), Branch(near, False, {})).ambiguous
    told = Branch(near, True, {"y": True})
    assert mean_tune(readings, np.zeros(1), told).ambiguous == ()
    assert mean_tune(readings, np.zeros(1), told).qy == pytest.approx(3.53)


# ---- turn-by-turn records


@pytest.mark.parametrize("noise", [0.0, 2e-5, 2e-4])
def test_the_frequency_is_found_between_the_lines_within_its_error(noise):
    misses = []
    for seed in range(8):
        record, _ = waves(0.2137713, noise=noise, seed=seed)
        found = find_oscillation(record, "x")
        misses.append((found.frequency - 0.2137713) / max(found.sigma, 2e-8))
    assert np.abs(misses).max() < 4.0
    if noise:
        assert np.std(misses) > 0.3, "the error is far too large"


def test_amplitudes_and_phases_are_those_of_the_wave():
    record, phase = waves(0.2137713, noise=1e-5)
    found = find_oscillation(record, "x")
    assert np.abs(found.amplitude) == pytest.approx(np.full(12, 1e-3), rel=0.01)
    # It counts from the second turn.
    expected = phase + 0.3 + 2 * np.pi * 0.2137713
    miss = np.angle(np.exp(1j * (found.phase - expected))) / found.sigma_phase
    assert np.abs(miss).max() < 5.0


def test_phases_tell_the_side_of_the_half_integer():
    for true, is_above in ((5.21, False), (5.79, True)):
        record, phase = waves(true)
        found = find_oscillation(record, "x")
        assert found.frequency == pytest.approx(0.21, abs=1e-6)
        assert is_above_half(found, phase) is is_above
        both = np.column_stack([phase, phase])
        far = Branch(np.array([5.5, 5.5]), False, {})
        result = tune_of_oscillations([(found, found)], both, far)
        assert result.tunes == pytest.approx([true, true], abs=1e-6)
        assert result.ambiguous == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"turns": 20}, "in y: 20 turns found, wanted at least 33"),
        ({"amplitude": 1e-6, "noise": 1e-4}, "no oscillation is seen"),
    ],
)
def test_a_record_that_shows_nothing_is_refused(options, words):
    record, _ = waves(0.21, **options)
    with pytest.raises(DataError, match=words):
        find_oscillation(record, "y")


# ---- what a correction decides


def test_a_fractional_target_means_the_nearest_whole_tune():
    present = np.array([18.16, 10.72])
    assert whole_target(np.array([0.2, 0.7]), present) == pytest.approx([18.2, 10.7])
    assert whole_target(np.array([18.3, 10.9]), present) == pytest.approx([18.3, 10.9])


def test_lines_in_the_way_are_seen():
    here = np.array([18.16, 10.72])
    assert crossed(here, np.array([18.4, 10.6])) is None
    assert crossed(here, np.array([18.2, 10.48])) == 10.5
    assert crossed(here, np.array([17.98, 10.7])) == 18.0


def test_the_smallest_steps_are_solved_and_a_long_way_is_shortened():
    matrix = np.array([[2.0, 2.0, -0.5], [-0.4, -0.4, 1.5]])
    change = np.array([0.05, -0.02])
    steps = solve_tune(matrix, change)
    assert matrix @ steps == pytest.approx(change)
    assert steps[0] == pytest.approx(steps[1])
    assert matrix @ solve_tune(matrix, change, 0.01) == pytest.approx(change / 5)
    assert not solve_tune(matrix, np.zeros(2), 0.01).any()


# ---- measure_tune


def test_measure_tune_with_the_monitor(run):
    machine, _, _ = machine_of()
    result = run(plans.measure_tune(machine, readings=20))
    assert np.abs(result.tunes - TUNES[:2]).max() < 1e-5
    assert result.sigma_x == pytest.approx(1e-5 / np.sqrt(20), rel=0.6)
    assert len(run.events()) == 20
    assert tune.analyse(stored(run)) == result
    (event,) = run.events("result")
    assert event["data"]["tunes_q"] == pytest.approx([5.2, 3.3, 0.01], abs=2e-5)


def test_measure_tune_by_kicking_puts_the_pinger_back(run):
    machine, sim, _ = machine_of()
    result = run(plans.measure_tune(machine, method="turns", readings=2))
    # 64 turns without noise: the image of the line at −q is what is left.
    assert np.abs(result.tunes - TUNES[:2]).max() < 2e-4
    assert np.isnan(result.qs)
    assert result.readings == 2
    (kick, _) = (run.events()[0]["data"][f"pinger_{p}_kick"] for p in "xy")
    assert kick == machine.pinger_x.delta
    again = tune.analyse(stored(run))
    assert (again.qx, again.sigma_y) == (result.qx, result.sigma_y)
    assert not sim.turns.kick.any()


def test_kicks_may_be_chosen_and_are_checked(run):
    machine, sim, _ = machine_of()
    run(plans.measure_tune(machine, method="turns", kick_x=3e-5, kick_y=4e-5))
    data = run.events()[0]["data"]
    assert (data["pinger_x_kick"], data["pinger_y_kick"]) == (3e-5, 4e-5)
    with pytest.raises(LimitError, match="T/PING-H"):
        run(plans.measure_tune(machine, method="turns", kick_x=1.0))
    with pytest.raises(DataError, match="no oscillation is seen"):
        run(plans.measure_tune(machine, method="turns", kick_y=0.0))
    assert not sim.turns.kick.any()


def test_a_folded_monitor_is_said_to_be_ambiguous(run, caplog, monkeypatch):
    folded = Defaults(tune=TuneDefaults(folded=True))
    machine, _, engine = machine_of(defaults=folded)
    monkeypatch.setattr(engine, "tunes", lambda: np.array([0.49, 0.3, 0.01]))
    monkeypatch.setattr(
        type(machine.design), "tunes", lambda self: np.array([5.49, 3.3, 0.01])
    )
    result = run(plans.measure_tune(machine))
    assert result.ambiguous == ("x",)
    assert "above_half={'x': True}" in caplog.text
    told = run(plans.measure_tune(machine, above_half={"x": True}))
    assert told.qx == pytest.approx(5.51, abs=1e-4)
    assert told.ambiguous == ()
    assert tune.analyse(stored(run)) == told


def test_without_rf_there_is_no_synchrotron_tune(run):
    machine, _, _ = machine_of()
    assert run(plans.measure_tune(machine)).qs == pytest.approx(0.01, abs=1e-4)
    machine, _, _ = machine_of(rf=None)
    assert np.isnan(run(plans.measure_tune(machine)).qs)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "fft"}, "method is 'monitor' or 'turns', not 'fft'"),
        ({"readings": 0}, "at least 1 reading"),
        ({"above_half": {"z": True}}, "planes 'x' and 'y', not 'z'"),
    ],
)
def test_nonsense_is_refused(run, options, words):
    machine, _, _ = machine_of()
    with pytest.raises(PlanError, match=words):
        run(plans.measure_tune(machine, **options))


def test_a_machine_that_cannot_be_kicked_is_told_so(run):
    machine, _ = toy_machine()
    with pytest.raises(PlanError, match=r"no turns and no pinger_x.*monitor"):
        run(plans.measure_tune(machine, method="turns"))
    with pytest.raises(PlanError, match=r"no pinger_x and no pinger_y"):
        run(plans.measure_beta(machine_of(pinger=None)[0], method="turns"))
    bare = machine_of(diagnostics=Diagnostics(emittance=False, turns=0))[0]
    with pytest.raises(PlanError, match="no turns: no oscillation can be recorded"):
        run(plans.measure_tune(bare, method="turns"))


# ---- measure_tune_response


def test_the_response_of_families_is_the_sum_of_their_magnets(run):
    machine, sim, _ = machine_of()
    result = run(plans.measure_tune_response(machine, ["QF", machine["T/QD1"]]))
    each = tune_matrix(("T/QF0", "T/QF1", "T/QD1"))
    expected = np.column_stack([each[:, 0] + each[:, 1], each[:, 2]])
    assert np.abs((result.matrix - expected) / result.sigma).max() < 5.0
    assert np.allclose(result.matrix, expected, rtol=0.02, atol=0.002)
    assert result.actuators == ("QF", "T/QD1")
    assert result.monitors == ("tune:qx", "tune:qy")
    assert result.units == ("1/(1/m^2)", "1/(1/m^2)")
    assert result.deltas[1] == 0.01, "no more than the magnet's own step"
    assert np.array_equal(sim.setpoints, sim.layout.values)
    offsets = [event["data"]["step_offset"] for event in run.events()]
    assert min(offsets) == 0.0, "unipolar"
    again = tune_response.analyse(stored(run))
    assert np.array_equal(again.matrix, result.matrix)
    assert again.actuators == result.actuators


def test_families_come_from_the_profile_where_none_are_named(run):
    machine, _, _ = machine_of()
    with pytest.raises(PlanError, match="the profile names none"):
        run(plans.measure_tune_response(machine))
    with pytest.raises(PlanError, match="scale is a positive number"):
        run(plans.measure_tune_response(machine, ["QF"], scale=0.0))
    named = machine_of(defaults=Defaults(tune=TuneDefaults(families=("QD",))))[0]
    assert run(plans.measure_tune_response(named)).actuators == ("QD",)


# ---- set_tune and step_tune


def test_no_single_move_changes_a_tune_by_much(run):
    machine, _, _ = machine_of()
    messages = []
    run.RE.msg_hook = messages.append
    run(plans.set_tune(machine, 5.235, 3.3, quadrupoles=["QF", "QD"]))
    moves = [m.args[0] for m in messages if m.command == "set" and m.obj.name == "QF"]
    assert len(moves) == 4
    largest = np.abs(np.diff(moves, axis=0)).max(axis=0)
    by_family = tune_matrix(("T/QF0",))[0, 0] * 2
    assert by_family * largest[0] < 0.011


def test_set_tune_reaches_a_fractional_target(run):
    machine, sim, engine = machine_of()
    result = run(plans.set_tune(machine, 0.22, 0.27, quadrupoles=["QF", "QD"]))
    assert result.reached
    assert result.stopped == "the tunes are reached"
    assert np.abs(engine.tunes()[:2] - [5.22, 3.27]).max() < 5e-5
    assert result.target == pytest.approx([5.22, 3.27])
    assert result.iterations == 1, "the toy is linear, and its design is right"
    assert result.tunes.shape == (2, 2)
    names = list(result.magnets)
    where = [sim.layout.knobs.index(name) for name in names]
    assert np.array_equal(result.setpoints, sim.setpoints[where])
    again = tune_correction.analyse(stored(run))
    assert again.after == result.after
    assert np.array_equal(again.setpoints, result.setpoints)
    assert (again.stopped, again.reached) == (result.stopped, True)


def test_a_wrong_response_needs_more_iterations_and_a_stored_one_is_found(run):
    machine, _, engine = machine_of()
    run(plans.measure_tune_response(machine, ["QF", "QD"]))
    saved = stored(run)
    machine.runs = ToyRuns(saved)
    measured = tune_response.analyse(saved)
    wrong = replace(measured, matrix=0.7 * measured.matrix)
    families = ["QF", "QD"]
    options = {"quadrupoles": families, "response": wrong}
    # It overshoots by 43 %: 0.04 becomes 0.017, 0.0073, 0.0031, 0.0013, 0.0006, 0.0002.
    result = run(plans.set_tune(machine, 5.24, 3.3, **options))
    assert not result.reached
    assert result.stopped == "all iterations were used"
    result = run(plans.set_tune(machine, 5.2, 3.3, iterations=9, **options))
    assert result.reached
    assert result.iterations > 3
    run(plans.set_tune(machine, 5.21, 3.29, quadrupoles=families))
    result = run(
        plans.set_tune(machine, 5.2, 3.3, quadrupoles=families, response=saved.uid)
    )
    assert result.reached
    assert run.start["derived_from"] == [saved.uid]
    assert result.iterations == 1
    assert np.abs(engine.tunes()[:2] - [5.2, 3.3]).max() < 6e-4
    with pytest.raises(PlanError, match="does not know T/QF0; it is of QF, QD"):
        run(
            plans.set_tune(
                machine, 5.2, 3.3, quadrupoles=[machine["T/QF0"]], response=wrong
            )
        )


def test_a_response_of_the_wrong_sign_is_noticed_and_taken_back(run):
    machine, sim, _ = machine_of()
    run(plans.measure_tune_response(machine, ["QF", "QD"]))
    measured = tune_response.analyse(stored(run))
    wrong = replace(measured, matrix=-measured.matrix)
    result = run(
        plans.set_tune(machine, 5.22, 3.3, quadrupoles=["QF", "QD"], response=wrong)
    )
    assert not result.reached
    assert "made it worse" in result.stopped
    assert result.iterations == 0
    assert not result.steps.any()
    assert np.allclose(sim.setpoints, sim.layout.values)
    assert tune_correction.analyse(stored(run)).after == result.after


def test_the_step_of_an_iteration_is_limited(run):
    machine, _, _ = machine_of()
    result = run(
        plans.set_tune(
            machine, 5.26, 3.3, quadrupoles=["QF", "QD"], max_step=0.02, iterations=2
        )
    )
    assert np.diff(result.tunes[:, 0]) == pytest.approx([0.02, 0.02], abs=1e-4)
    assert result.stopped == "all iterations were used"
    assert not result.reached


def test_the_limits_are_gone_up_to_and_then_it_is_refused(run):
    machine, sim, _ = machine_of()
    limit = machine["QF"].limits[1][0]
    far = 5.47
    options = {"quadrupoles": ["QF"], "max_step": 0.4}
    result = run(plans.set_tune(machine, far, 3.2365, **options))
    assert not result.reached
    assert result.stopped.startswith("shortened by a limit: T/QF0")
    assert result.setpoints == pytest.approx([limit, limit])
    with pytest.raises(LimitError, match="cannot be changed by .* T/QF0.* 1.8"):
        run(plans.set_tune(machine, far, 3.2365, **options))
    assert sim.setpoints[sim.layout.knobs.index("T/QF0")] == pytest.approx(limit)


def test_a_half_integer_in_the_way_is_refused_unless_it_is_meant(run, monkeypatch):
    monkeypatch.setattr("toy_ring.TUNES", np.array([5.2, 3.48, 0.01]))
    machine, sim, _ = machine_of()
    both = ["QF", "QD"]
    with pytest.raises(PlanError, match="goes through 3.5"):
        run(plans.set_tune(machine, 5.2, 3.52, quadrupoles=both))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    result = run(plans.set_tune(machine, 5.2, 3.52, quadrupoles=both, cross=True))
    assert result.after.qy == pytest.approx(3.52, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"qx": np.nan}, "the tunes are two numbers"),
        ({"tolerance": 0.0}, "all must be above 0"),
        ({"iterations": 0}, "all must be above 0"),
    ],
)
def test_set_tune_refuses_nonsense(run, options, words):
    machine, _, _ = machine_of()
    given = {"qx": 5.2, "qy": 3.3, "quadrupoles": ["QF"]} | options
    with pytest.raises(PlanError, match=words):
        run(plans.set_tune(machine, given.pop("qx"), given.pop("qy"), **given))


def test_set_tune_by_kicking_puts_only_the_pinger_back(run):
    machine, sim, engine = machine_of()
    result = run(
        plans.set_tune(machine, 5.215, 3.3, quadrupoles=["QF", "QD"], method="turns")
    )
    assert result.reached
    assert engine.tunes()[0] == pytest.approx(5.215, abs=1e-3)
    assert not sim.turns.kick.any()


def test_a_beam_that_is_lost_on_the_way_puts_all_back(run, monkeypatch):
    machine, sim, engine = machine_of()

    def tunes():
        if engine.change("T/QF0")[0]:
            raise BeamLost("on a resonance")
        return TUNES

    monkeypatch.setattr(engine, "tunes", tunes)
    with pytest.raises(BeamLost, match="on a resonance"):
        run(plans.set_tune(machine, 5.22, 3.3, quadrupoles=["QF", "QD"]))
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_step_tune_moves_and_measures_nothing(run):
    machine, sim, engine = machine_of()
    result = run(plans.step_tune(machine, 0.03, -0.01, quadrupoles=["QF", "QD"]))
    sim.send_pending()
    assert engine.tunes()[:2] == pytest.approx([5.23, 3.29])
    assert "tune_qx" not in run.events()[0]["data"]
    where = [sim.layout.knobs.index(name) for name in result.magnets]
    assert np.array_equal(result.setpoints, sim.setpoints[where])
    again = tune_step.analyse(stored(run))
    assert np.array_equal(again.steps, result.steps)
    assert again.magnets == result.magnets
    with pytest.raises(LimitError, match="T/QF0"):
        run(plans.step_tune(machine, 0.4, 0.0, quadrupoles=["QF", "QD"]))
    with pytest.raises(PlanError, match="two numbers"):
        run(plans.step_tune(machine, np.inf, 0.0, quadrupoles=["QF", "QD"]))


def test_the_way_through_the_tune_diagram_is_drawn(run):
    machine, _, _ = machine_of()
    result = run(plans.set_tune(machine, 5.235, 3.3, quadrupoles=["QF", "QD"]))
    _, (axes,) = new_figure()
    draw_tunes(axes, result, order=4)
    low, high = axes.get_xlim()
    assert low < 5.2 < 5.235 < high
    # Of the lines up to the fourth order: 4 qx = 21 would be at 5.25, and 3 qy = 10 no.
    upright = [line for line in axes.get_lines() if np.ptp(line.get_xdata()) == 0.0]
    assert 5.25 in [float(line.get_xdata()[0]) for line in upright[:-1]]
    assert len(axes.get_legend().get_texts()) == 2
