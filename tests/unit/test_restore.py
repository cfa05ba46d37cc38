from __future__ import annotations

import threading

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from toy import N_COR, RF_HZ, ToyRuns, powered_profile, toy_run, toy_state

from acctwin import plans
from acctwin.analysis.machine_state import FamilyState, MachineState
from acctwin.data.runs import Run
from acctwin.defaults import WaitDefaults
from acctwin.errors import LimitError, PlanError, RestoreError, UnknownName


@pytest.fixture(autouse=True)
def _metadata(run):
    run.RE.md.update(profile="toy", operational_mode="test")


def knobs(toy) -> np.ndarray:
    return toy.sim.setpoints[: 2 * N_COR]


def interrupt_at(run, number: int) -> None:
    """Ask for a pause when an event comes, as the first Ctrl-C does."""
    events = 0

    def press(name, doc):
        nonlocal events
        events += name == "event"
        if events == number:
            threading.Thread(target=run.RE.request_pause, args=(True,)).start()

    run.RE.subscribe(press)


def test_everything_comes_back(run, toy):
    saved = toy_state(toy.machine)
    result = run(plans.restore_machine(toy.machine, saved))
    assert np.array_equal(knobs(toy), np.full(2 * N_COR, 1e-5))
    assert toy.sim.setpoints[-1] == RF_HZ + 10.0
    assert result.is_restored.all()
    assert len(result.devices) == 2 * N_COR + 1
    assert result.families[0] == "hcm"
    assert "9 of 9 devices (hcm 4 of 4, vcm 4 of 4, rf 1 of 1)" in result.summary()
    (event,) = run.events("result")
    assert event["data"]["restore_is_restored"].all()


def test_a_ramp_goes_in_equal_steps(run, toy):
    run(plans.restore_machine(toy.machine, toy_state(toy.machine), steps=4))
    path = [event["data"]["hcm_strength"][0] for event in run.events()]
    assert path == pytest.approx([0.0, 0.25e-5, 0.5e-5, 0.75e-5, 1e-5])
    assert path[-1] == 1e-5, "the last step is exact"


def test_some_families_or_devices_only(run, toy):
    saved = toy_state(toy.machine)
    run(plans.restore_machine(toy.machine, saved, ["CORV", "T/C0-H"]))
    assert knobs(toy).tolist() == [1e-5, 0, 0, 0] + [1e-5] * 4
    assert toy.sim.setpoints[-1] == RF_HZ
    with pytest.raises(UnknownName, match="did you mean"):
        run(plans.restore_machine(toy.machine, saved, ["CORX"]))


def test_a_preview_moves_nothing(run, toy):
    result = run(
        plans.restore_machine(toy.machine, toy_state(toy.machine), preview=True)
    )
    assert result.is_preview
    assert not result.is_restored.any()
    assert not knobs(toy).any()
    assert "already there: 0 of 9" in result.summary()
    assert "to be set: T/C0-H wants 1e-05 rad" in result.summary()


def test_nothing_moves_if_one_setpoint_is_outside_its_limits(run, toy):
    with pytest.raises(LimitError, match="T/C0-V: wanted 0.01 rad"):
        run(
            plans.restore_machine(
                toy.machine, toy_state(toy.machine, 0.01), ["vcm", "rf"]
            )
        )
    assert not knobs(toy).any()
    assert toy.sim.setpoints[-1] == RF_HZ
    with pytest.raises(LimitError):
        run(plans.restore_machine(toy.machine, toy_state(toy.machine, np.nan)))


def test_bad_devices_stay_where_they_are_and_are_listed(run, toy):
    toy.machine.mark_bad("T/C1-H")
    result = run(plans.restore_machine(toy.machine, toy_state(toy.machine)))
    assert knobs(toy)[:N_COR].tolist() == [1e-5, 0.0, 1e-5, 1e-5]
    assert result.left == ("T/C1-H",)
    assert "marked bad: T/C1-H" in result.summary()
    toy.machine.mark_bad(*toy.machine.hcm.names)
    with pytest.raises(PlanError, match="nothing to restore"):
        run(plans.restore_machine(toy.machine, toy_state(toy.machine), ["hcm"]))


@pytest.mark.parametrize("fault", ["stick", "trip"])
def test_what_did_not_arrive_is_listed_and_the_rest_is_restored(run, toy, fault):
    for device in toy.machine.setpoints():
        device.waits = WaitDefaults(0.05)
    getattr(toy.sim.supplies, fault)("T/C2-V")
    with pytest.raises(RestoreError) as caught:
        run(plans.restore_machine(toy.machine, toy_state(toy.machine)))
    words = str(caught.value)
    assert "restored: 8 of 9 devices (hcm 4 of 4, vcm 3 of 4, rf 1 of 1)" in words
    assert "not restored: T/C2-V wants 1e-05 rad, is set to 1e-05, reads 0" in words
    assert (knobs(toy) == 1e-5).all(), "it is not taken back"
    assert run.stop["exit_status"] == "fail"
    (event,) = run.events("result")
    assert event["data"]["restore_is_restored"].sum() == 8


def test_a_late_readback_that_only_warns_is_still_not_restored(run, toy):
    toy.machine.vcm.waits = WaitDefaults(0.05, "warn")
    toy.sim.supplies.stick("T/C2-V")
    with pytest.raises(RestoreError, match="T/C2-V wants"):
        run(plans.restore_machine(toy.machine, toy_state(toy.machine)))


def test_a_failure_goes_back_to_the_start_if_asked(run, toy):
    toy.machine.vcm.waits = WaitDefaults(0.05)
    toy.sim.supplies.stick("T/C2-V")
    with pytest.raises(RestoreError, match="taken back to the start: restored: 0 of 9"):
        run(plans.restore_machine(toy.machine, toy_state(toy.machine), undo=True))
    assert not knobs(toy).any()


@pytest.mark.parametrize("undo", [False, True])
def test_interrupted_half_way_it_stays_and_says_what_was_restored(
    run, toy, caplog, undo
):
    run(plans.step(toy.machine, "hcm", 1e-5))  # already there
    interrupt_at(run, 3)
    with pytest.raises(RunEngineInterrupted):
        run(
            plans.restore_machine(
                toy.machine, toy_state(toy.machine), steps=4, undo=undo
            )
        )
    run.RE.abort("pressed")
    assert run.stop["exit_status"] == "abort"
    there = 0.0 if undo else knobs(toy)[N_COR]
    assert undo or 0.0 < there < 1e-5
    assert knobs(toy).tolist() == [1e-5] * N_COR + [there] * N_COR
    assert "restore_machine was interrupted" in caplog.text
    assert "restored: 4 of 9 devices (hcm 4 of 4, vcm 0 of 4, rf 0 of 1)" in caplog.text
    again = Run.from_documents(iter(run.documents))["result"]
    assert again["restore_is_restored"][0].sum() == 4
    assert "vcm 0 of 4" in again.config("restore_summary")


def test_currents_are_restored_where_there_are_supplies(run, make_toy):
    toy = make_toy(profile=powered_profile())
    run(plans.step(toy.machine, "PS1", 0.5))
    run(plans.step(toy.machine, "T/C0-V", 2e-5))
    saved = run(plans.save_machine(toy.machine))
    before = toy.sim.supplies.setpoints.copy()
    for name in ("PS0a", "PS0b", "PS1", "PS23", "T/C2-V"):
        run(plans.step(toy.machine, name, 1e-4))
    result = run(plans.restore_machine(toy.machine, saved))
    assert np.allclose(toy.sim.supplies.setpoints, before, rtol=0.0, atol=1e-9)
    assert result.devices[:2] == ("PS0a", "PS0b")
    assert result.units[0] == "A"


def test_the_other_function_of_a_combined_magnet_keeps_its_strength(run, make_toy):
    toy = make_toy(profile=powered_profile())
    saved = run(plans.save_machine(toy.machine))
    run(plans.step(toy.machine, "T/C0-V", 2e-5))
    run(plans.step(toy.machine, "T/C0-H", 3e-5))
    result = run(plans.restore_machine(toy.machine, saved, ["hcm"]))
    assert result.devices[0] == "T/C0-H", "strengths were set"
    assert knobs(toy)[0] == pytest.approx(0.0, abs=1e-15)
    assert knobs(toy)[N_COR] == pytest.approx(2e-5)


def test_a_supply_is_left_when_all_that_it_feeds_is_bad(run, make_toy):
    toy = make_toy(profile=powered_profile())
    saved = run(plans.save_machine(toy.machine))
    for name in ("PS1", "PS23"):
        run(plans.step(toy.machine, name, 0.5))
    toy.machine.mark_bad("T/C1-H", "T/C2-H")  # C3-H, on the same supply, is good
    result = run(plans.restore_machine(toy.machine, saved))
    assert result.left == ("PS1",)
    assert toy.sim.supplies.setpoints[toy.sim.supplies.names.index("PS1")] == 0.5
    assert toy.sim.supplies.setpoints[toy.sim.supplies.names.index("PS23")] == 0.0


def test_a_device_that_was_not_saved_stays(run, toy):
    from dataclasses import replace

    saved = toy_state(toy.machine)
    saved = replace(saved, families=saved.families[1:])
    result = run(plans.restore_machine(toy.machine, saved))
    assert result.not_saved == toy.machine.hcm.names
    assert not knobs(toy)[:N_COR].any()
    assert "nothing saved for: T/C0-H" in result.summary()


def test_what_makes_no_sense_is_refused(run, toy):
    with pytest.raises(PlanError, match="no golden state to restore"):
        run(plans.restore_machine(toy.machine))
    with pytest.raises(PlanError, match="at least 1"):
        run(plans.restore_machine(toy.machine, toy_state(toy.machine), steps=0))
    failed = toy_run("save_machine")
    toy.machine.runs = ToyRuns(
        type(failed)(failed.uid, failed.start, {"exit_status": "fail"}, {})
    )
    with pytest.raises(PlanError, match="did not succeed"):
        run(plans.restore_machine(toy.machine, failed.uid))
    assert not run.documents


def test_a_state_of_strengths_alone_sets_strengths(run, make_toy):
    toy = make_toy(profile=powered_profile())
    strengths = FamilyState(
        "hcm",
        toy.machine.hcm.names,
        *[np.array([2e-5, 4e-5, 1e-5, 1.01e-5])] * 2,
        "rad",
    )
    model = MachineState("toy", (strengths,), np.nan, "a model")
    result = run(plans.restore_machine(toy.machine, model, ["hcm"]))
    assert result.devices == toy.machine.hcm.names
    assert np.allclose(knobs(toy)[:N_COR], strengths.setpoints, rtol=1e-12)
    assert not knobs(toy)[N_COR:].any(), "the other function of the coils stays"
