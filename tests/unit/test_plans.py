from __future__ import annotations

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import FailedStatus
from toy import DELTA, LIMIT, N_BPM, N_COR, RF_HZ, ToyEngine, toy_matrix

from acctwin import plans
from acctwin.analysis.orbit import rms
from acctwin.data.runs import Run
from acctwin.defaults import WaitDefaults
from acctwin.errors import (
    BeamLost,
    DeviceError,
    LimitError,
    PlanError,
    RestoreError,
    UnknownName,
)
from acctwin.plans import response
from acctwin.plans.guards import restore
from acctwin.plans.orbits.orbit import analyse, analyse_noise


def stored(run) -> Run:
    return Run.from_documents(iter(run.documents))


class OneRun:
    """A source of runs that holds one."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def run(self, key):
        if key != self._run.uid:
            raise UnknownName("run", key, [self._run.uid])
        return self._run


def test_measure_orbit_averages_and_leaves_bad_bpms_out(run, make_toy):
    toy = make_toy(seed=1)
    toy.machine.mark_bad("T/B2")
    result = run(plans.measure_orbit(toy.machine, readings=5))
    assert result.readings == 5
    assert len(result.x) == N_BPM - 1
    assert "T/B2" not in result.names
    true = np.delete(toy.engine.error[:N_BPM], 2)
    assert rms(result.x - true) < 2e-6
    assert (result.sigma_x > 0).all()
    again = analyse(stored(run))
    assert np.array_equal(again.x, result.x)
    assert again.names == result.names


def test_monitor_orbit_finds_the_noise(run, make_toy):
    toy = make_toy(seed=1)
    result = run(plans.monitor_orbit(toy.machine, readings=200))
    # 200 readings: a standard deviation is known to 1/sqrt(2·200) = 5 %; six times.
    assert np.abs(result.noise_x / 0.88e-6 - 1.0).max() < 0.35
    assert np.array_equal(analyse_noise(stored(run)).noise_y, result.noise_y)
    with pytest.raises(PlanError, match="at least 2"):
        run(plans.monitor_orbit(toy.machine, readings=1))


@pytest.mark.parametrize("method", ["bipolar", "unipolar"])
def test_response_is_the_matrix_and_the_machine_is_back(run, toy, method):
    result = run(plans.measure_orbit_response(toy.machine, method=method))
    assert np.allclose(result.matrix, toy_matrix()[:, : 2 * N_COR], atol=1e-9)
    assert result.monitors[0] == "T/B0:x"
    assert result.monitors[-1] == "T/B7:y"
    assert result.units == ("m/rad",) * (2 * N_COR)
    assert not toy.sim.setpoints[: 2 * N_COR].any()
    assert len(run.events()) == 4 * N_COR
    again = response.analyse(stored(run))
    assert np.array_equal(again.matrix, result.matrix)
    assert again.units == result.units
    (event,) = run.events("result")
    assert np.array_equal(event["data"]["response_matrix"], result.matrix)


def test_response_of_tune_and_orbit_to_rf_and_a_selection(run, toy):
    some = toy.machine.hcm.select("T/C[12]-H")
    result = run(
        plans.measure_response(
            toy.machine, [some, toy.machine.rf], [toy.machine.bpms, toy.machine.tune]
        )
    )
    assert result.actuators == ("T/C1-H", "T/C2-H", "T/RF")
    assert result.monitors[-2:] == ("tune:qx", "tune:qy")
    assert np.allclose(result.matrix[: 2 * N_BPM, 2], toy_matrix()[:, -1], atol=1e-15)
    assert result.units[2] == "various/Hz"
    assert toy.sim.setpoints[-1] == RF_HZ


def test_bad_devices_are_left_out(run, toy):
    toy.machine.mark_bad("T/C1-H", "T/B0")
    result = run(plans.measure_orbit_response(toy.machine))
    assert result.matrix.shape == (2 * (N_BPM - 1), 2 * N_COR - 1)
    assert "T/C1-H" not in result.actuators
    with pytest.raises(PlanError, match="T/C1-H is marked bad"):
        run(
            plans.measure_response(
                toy.machine, [toy.machine["T/C1-H"]], [toy.machine.bpms]
            )
        )


def test_a_step_outside_the_limits_is_refused_before_anything_moves(run, toy):
    with pytest.raises(LimitError, match="T/C0-H: wanted 0.01"):
        run(plans.measure_orbit_response(toy.machine, scale=1000.0))
    assert run.events() == []
    assert run.stop["exit_status"] == "fail"
    assert "LimitError" in run.stop["reason"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"method": "both"}, "'bipolar' or"), ({"scale": 0.0}, "positive")],
)
def test_nonsense_is_refused(run, toy, options, words):
    with pytest.raises(PlanError, match=words):
        run(plans.measure_orbit_response(toy.machine, **options))


def test_a_machine_without_bpms_is_refused_in_a_sentence(run, make_toy):
    from toy import toy_profile

    profile = toy_profile(bpms=())
    engine = ToyEngine()
    toy = make_toy(engine, profile=profile)
    with pytest.raises(PlanError, match="toy has no bpms: there is no orbit"):
        run(plans.measure_orbit(toy.machine))


def test_beam_loss_in_the_middle_restores_and_says_why(run, make_toy):
    toy = make_toy(ToyEngine(error=np.zeros(2 * N_BPM), aperture=2.9e-5))
    with pytest.raises(BeamLost, match="hit the toy's aperture"):
        run(plans.measure_orbit_response(toy.machine))
    assert not toy.sim.setpoints[: 2 * N_COR].any()
    assert run.stop["exit_status"] == "fail"
    assert "BeamLost: no closed orbit" in run.stop["reason"]


def test_correction_from_a_measured_response(run, toy):
    measured = run(plans.measure_orbit_response(toy.machine))
    result = run(plans.correct_orbit(toy.machine, measured))
    assert result.rms_x[-1] < 1e-12
    assert result.rms_y[-1] < 1e-12
    assert rms(result.after.x) < 1e-12
    assert np.allclose(
        toy.sim.setpoints[: 2 * N_COR], -np.array([1, -2, 3, -1, 2, 1, -1, 2]) * 1e-5
    )
    assert np.array_equal(result.setpoints, toy.sim.setpoints[: 2 * N_COR])


def test_correction_by_uid_reads_the_stored_run(run, toy):
    measured = run(plans.measure_orbit_response(toy.machine))
    toy.machine.runs = OneRun(stored(run))
    result = run(plans.correct_orbit(toy.machine, measured.uid))
    assert result.rms_x[-1] < 1e-12
    assert run.start["plan_args"]["response"] == measured.uid
    with pytest.raises(UnknownName):
        run(plans.correct_orbit(toy.machine, "nonsense"))


def test_correction_without_a_response_asks_the_model_and_says_so(run, toy, caplog):
    result = run(plans.correct_orbit(toy.machine))
    assert "design model" in caplog.text
    assert result.rms_x[-1] < 1e-12


def test_preview_sets_nothing_and_predicts(run, toy):
    result = run(plans.correct_orbit(toy.machine, preview=True))
    assert result.is_preview
    assert not toy.sim.setpoints[: 2 * N_COR].any()
    assert result.rms_x[-1] < 1e-12 < result.rms_x[0]
    assert rms(result.after.x) < 1e-12
    done = run(plans.correct_orbit(toy.machine, iterations=1))
    assert np.allclose(done.steps, result.steps)


def test_correction_to_a_golden_orbit(run, toy):
    golden = run(plans.measure_orbit(toy.machine))
    run(plans.step(toy.machine, "hcm", 2e-5))
    result = run(plans.correct_orbit(toy.machine, goal=golden))
    assert np.allclose(result.after.x, golden.x, atol=1e-12)
    assert np.allclose(toy.sim.setpoints[: 2 * N_COR], 0.0, atol=1e-12)


def test_rf_as_a_knob_takes_out_an_energy_error(run, make_toy):
    matrix = toy_matrix()
    toy = make_toy(ToyEngine(error=matrix[:, -1] * 500.0))
    result = run(plans.correct_orbit(toy.machine, rf=True))
    assert toy.sim.setpoints[-1] == pytest.approx(RF_HZ - 500.0, abs=1e-3)
    assert result.actuators[-1] == "rf"
    without = run(plans.correct_orbit(toy.machine, rf=False))
    assert "rf" not in without.actuators


def test_fewer_singular_values_and_damping_move_less(run, toy):
    def preview(**options):
        result = run(plans.correct_orbit(toy.machine, preview=True, **options))
        return result.kept, rms(result.steps), result.rms_x[-1]

    everything, few, damped = (
        preview(),
        preview(singular_values=3),
        preview(tikhonov=0.3),
    )
    assert few[0] == 3
    assert few[1] < everything[1]
    assert damped[1] < everything[1]
    assert few[2] > everything[2]
    assert preview(cutoff=0.99)[0] < everything[0]


def test_a_correction_that_leaves_the_limits_sets_nothing(run, make_toy):
    toy = make_toy(ToyEngine(error=ToyEngine().error * 100.0))
    with pytest.raises(LimitError, match=r"use fewer \(singular_values"):
        run(plans.correct_orbit(toy.machine))
    assert not toy.sim.setpoints[: 2 * N_COR].any()


def test_a_correction_that_makes_it_worse_is_taken_back(run, toy):
    wrong = run(plans.measure_orbit_response(toy.machine))
    flipped = type(wrong)(**{**wrong.__dict__, "matrix": -wrong.matrix})
    result = run(plans.correct_orbit(toy.machine, flipped))
    assert "made it worse" in result.stopped
    assert result.iterations == 0
    assert np.allclose(toy.sim.setpoints[: 2 * N_COR], 0.0)


def test_correction_stops_when_nothing_is_gained(run, toy):
    result = run(plans.correct_orbit(toy.machine, singular_values=1, iterations=20))
    assert "gained less" in result.stopped
    assert result.iterations < 20


def test_weights_choose_what_matters(run, toy):
    bare = run(plans.correct_orbit(toy.machine, singular_values=2, preview=True))
    weighted = run(
        plans.correct_orbit(
            toy.machine, singular_values=2, preview=True, bpm_weights={"T/B0": 100.0}
        )
    )
    assert abs(weighted.after.x[0]) < abs(bare.after.x[0])
    frozen = run(
        plans.correct_orbit(
            toy.machine, preview=True, corrector_weights={"T/C0-H": 0.0}
        )
    )
    assert frozen.steps[frozen.actuators.index("T/C0-H")] == 0.0


def test_step_moves_and_stays(run, toy):
    assert run(plans.step(toy.machine, "T/C1-H", DELTA)) == pytest.approx(DELTA)
    assert toy.sim.setpoints[1] == pytest.approx(DELTA)
    with pytest.raises(LimitError):
        run(plans.step(toy.machine, "T/C1-H", 2 * LIMIT))
    with pytest.raises(PlanError, match="cannot be set"):
        run(plans.step(toy.machine, "T/B1", 1.0))
    toy.machine.mark_bad("T/C1-H")
    with pytest.raises(PlanError, match="marked bad"):
        run(plans.step(toy.machine, "T/C1-H", DELTA))


def test_a_family_step_leaves_bad_members_alone(run, toy):
    toy.machine.mark_bad("T/C1-H")
    run(plans.step(toy.machine, "hcm", 1e-5))
    assert toy.sim.setpoints[:N_COR].tolist() == [1e-5, 0.0, 1e-5, 1e-5]


def test_restore_tries_everything_and_lists_what_failed(run, toy):
    machine = toy.machine
    pairs = [(machine["T/C0-H"], 1.0), (machine["T/C1-H"], 1e-5)]
    with pytest.raises(RestoreError, match="T-C0-H: LimitError"):
        run(restore(pairs))
    assert toy.sim.setpoints[1] == 1e-5


def test_a_readback_that_never_arrives_is_named(run, toy):
    magnet = toy.machine["T/C2-H"]
    magnet.waits = WaitDefaults(0.05)
    port = magnet.readback._connector.backend._transport._port

    async def stuck():
        return 0.0, 0.0

    object.__setattr__(port, "read", stuck)
    with pytest.raises(FailedStatus) as caught:
        run(bps.abs_set(magnet, 1e-4, wait=True))
    words = str(caught.value.__cause__)
    assert "T/C2-H: wanted 0.0001 rad, reads 0" in words
    assert "sim://T/C2-H/readback" in words


def test_a_setpoint_that_is_not_taken_is_named(run, toy):
    toy.sim.put = lambda knobs, values: None
    with pytest.raises(FailedStatus) as caught:
        run(bps.abs_set(toy.machine["T/C2-H"], 1e-4, wait=True))
    words = str(caught.value.__cause__)
    assert "did not take the setpoint: T/C2-H: wanted 0.0001 rad, reads 0" in words


@pytest.mark.parametrize(("fault", "seen"), [("stick", "0"), ("trip", "0")])
def test_a_supply_that_fails_in_the_middle_is_named_and_the_rest_restored(
    run, toy, fault, seen
):
    toy.machine["T/C2-H"].waits = WaitDefaults(0.05)
    events = 0

    def fail(name, doc):
        nonlocal events
        events += name == "event"
        if events == 3:
            getattr(toy.sim.supplies, fault)("T/C2-H")

    run.RE.subscribe(fail)
    with pytest.raises(DeviceError, match=f"T/C2-H: wanted .* reads {seen}"):
        run(plans.measure_orbit_response(toy.machine))
    assert not toy.sim.setpoints[: 2 * N_COR].any()
    assert run.stop["exit_status"] == "fail"
    assert "DeviceError" in run.stop["reason"]


def test_a_supply_that_trips_while_another_moves_is_noticed(run, toy):
    run(plans.step(toy.machine, "T/C3-V", 1e-5))
    toy.machine.vcm.waits = WaitDefaults(0.05)
    events = 0

    def fail(name, doc):
        nonlocal events
        events += name == "event"
        if events == 5:
            toy.sim.supplies.trip("T/C3-V")

    run.RE.subscribe(fail)
    with pytest.raises(RestoreError, match="vcm: DeviceError.*T/C3-V"):
        run(plans.measure_orbit_response(toy.machine))
    assert "vcm is not where it is set to: T/C3-V" in run.stop["reason"]
    assert len(run.events()) == 6


def test_a_late_readback_is_only_a_warning_if_the_profile_says_so(run, toy, caplog):
    late = WaitDefaults(timeout_s=0.05, late="warn")
    toy.machine["T/C2-H"].wait_as(late)
    toy.sim.supplies.stick("T/C2-H")
    run(bps.abs_set(toy.machine["T/C2-H"], 1e-4, wait=True))
    assert "T/C2-H: wanted 0.0001 rad, reads 0" in caplog.text
    assert "the profile says to go on" in caplog.text


def test_the_same_seed_repeats_and_another_does_not(make_toy, run):
    def orbit(seed):
        toy = make_toy(seed=seed)
        return run(plans.measure_orbit(toy.machine, readings=2)).x

    assert np.array_equal(orbit(5), orbit(5))
    assert not np.array_equal(orbit(5), orbit(6))


def test_machine_connects_twice(toy):
    call_in_bluesky_event_loop(toy.machine.connect())


def test_a_ramp_goes_there_in_equal_steps_that_are_all_recorded(run, toy):
    run(plans.set_values(toy.machine, "hcm", [1e-5, 2e-5, 3e-5, 4e-5], steps=4))
    seen = np.array([event["data"]["hcm_strength"] for event in run.events()])
    assert np.allclose(seen, np.outer(np.arange(5) / 4, [1e-5, 2e-5, 3e-5, 4e-5]))
    assert run(plans.step(toy.machine, "T/C0-H", 2e-5, steps=2)) == pytest.approx(3e-5)
    assert len(run.events()) == 3
    with pytest.raises(PlanError, match="at least 1, not 0"):
        run(plans.step(toy.machine, "hcm", 1e-5, steps=0))
    with pytest.raises(PlanError, match="a ramp only if each is waited for"):
        run(plans.set_values(toy.machine, "hcm", 0.0, steps=3, wait=False))
