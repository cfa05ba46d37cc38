from __future__ import annotations

import numpy as np
import pytest
from toy import (
    N_COR,
    RF_HZ,
    ToyReferences,
    ToyRuns,
    powered_profile,
    toy_run,
    toy_state,
)

from acctwin import plans
from acctwin.analysis.machine_state import Device, FamilyState, MachineState
from acctwin.analysis.machine_state import compare_states as compare
from acctwin.data.runs import Run
from acctwin.errors import DataError, PlanError, UnknownName
from acctwin.plans.saving.states import analyse


@pytest.fixture(autouse=True)
def _metadata(run):
    run.RE.md.update(profile="toy", operational_mode="test")


def stored(run) -> Run:
    return Run.from_documents(iter(run.documents))


def state(**setpoints: float) -> MachineState:
    values = np.array(list(setpoints.values()))
    family = FamilyState("f", tuple(setpoints), values, values, "rad")
    return MachineState("toy", (family,), 0.0)


def test_a_difference_is_more_than_the_tolerance():
    devices = {name: Device("f", "rad", 0.1, 2.0) for name in "abc"}
    found = compare(state(a=1, b=1, c=1, d=1), state(a=1.05, b=0.8, c=np.nan), devices)
    assert [item.device for item in found] == ["b", "c"], "what is not a number differs"
    assert found[0].difference == pytest.approx(-0.2)
    assert compare(state(a=1), state(b=2), devices) == ()


def test_save_and_read_back(run, toy):
    run(plans.step(toy.machine, "T/C1-H", 2e-5))
    saved = run(plans.save_machine(toy.machine, "a good day"))
    assert saved["hcm"].setpoints.tolist() == [0.0, 2e-5, 0.0, 0.0]
    assert saved.setpoints["rf"] == RF_HZ
    assert len(run.events()) == 1
    again = analyse(stored(run))
    assert again.setpoints == saved.setpoints
    assert [f.unit for f in again.families] == [f.unit for f in saved.families]
    assert (again.note, again.uid, again.machine) == ("a good day", saved.uid, "toy")
    with pytest.raises(KeyError):
        again["nonsense"]


def test_a_save_says_what_is_not_where_it_is_set(run, toy, caplog):
    toy.sim.supplies.trip("T/C2-V")
    run(plans.save_machine(toy.machine))
    assert not caplog.text, "tripped at 0, set to 0"
    toy.sim.supplies.setpoints[toy.sim.supplies.names.index("T/C2-V")] = 1e-5
    run(plans.save_machine(toy.machine))
    assert "1 devices are not where they are set to: T/C2-V" in caplog.text


def test_compare_lists_exactly_what_was_changed(run, toy):
    saved = run(plans.save_machine(toy.machine))
    assert run(plans.compare_machine(toy.machine, saved)).differences == ()
    run(plans.step(toy.machine, "T/C1-H", 2e-5))
    run(plans.step(toy.machine, "rf", 5.0))
    before = toy.sim.setpoints.copy()
    result = run(plans.compare_machine(toy.machine, saved))
    assert [item.device for item in result.differences] == ["T/C1-H", "rf"]
    first, rf = result.differences
    assert (first.family, first.unit, first.now) == ("hcm", "rad", 2e-5)
    assert rf.difference == pytest.approx(5.0)
    assert np.array_equal(toy.sim.setpoints, before)
    (event,) = run.events("result")
    assert event["data"]["comparison_now"].tolist() == [first.now, rf.now]
    some = run(plans.compare_machine(toy.machine, saved, ["CORH"]))
    assert [(item.device, item.family) for item in some.differences] == [
        ("T/C1-H", "CORH")
    ]
    assert "T/C1-H" in some.table()
    one = run(plans.compare_machine(toy.machine, saved, ["rf", "T/C0-H"]))
    assert [item.device for item in one.differences] == ["rf"]


def test_differences_are_in_both_units(run, make_toy):
    machine = make_toy(profile=powered_profile()).machine
    saved = run(plans.save_machine(machine))
    run(plans.step(machine, "PS1", 0.5))
    run(plans.step(machine, "T/C0-H", 1e-5))
    result = run(plans.compare_machine(machine, saved))
    own, combined = result.differences[1], result.differences[0]
    assert (own.device, own.supply) == ("T/C1-H", "PS1")
    assert own.now_current - own.saved_current == pytest.approx(0.5)
    assert (combined.device, combined.supply) == ("T/C0-H", "")
    assert {item.device for item in result.supplies} == {"PS0a", "PS0b", "PS1"}
    lines = result.table().splitlines()
    assert lines[0].split("  ")[0] == "device"
    assert [line.split()[0] for line in lines[1:]] == [
        "T/C0-H",
        "T/C1-H",
        "PS0a",
        "PS0b",
    ]


def test_devices_that_one_side_does_not_know_are_listed(run, toy):
    saved = state(**{"T/C0-H": 0.0, "gone": 1.0})
    result = run(plans.compare_machine(toy.machine, saved))
    assert result.missing == ("gone",)
    assert len(result.not_saved) == 2 * N_COR


def test_compare_with_the_state_before_any_run(run, toy):
    from bluesky.preprocessors import SupplementalData

    baseline = SupplementalData(baseline=list(toy.machine.baseline()))
    run.RE.preprocessors.append(baseline)
    run(plans.step(toy.machine, "T/C0-H", 1e-5))
    before = stored(run)
    toy.machine.runs = ToyRuns(before)
    result = run(plans.compare_machine(toy.machine, before.uid))
    assert [item.device for item in result.differences] == ["T/C0-H"]
    assert run.start["derived_from"] == [before.uid]


def test_golden_is_the_reference_or_the_design(run, toy, caplog):
    run(plans.step(toy.machine, "T/C3-V", 1e-5))
    result = run(plans.compare_machine(toy.machine))
    assert [item.device for item in result.differences] == ["T/C3-V"]
    assert "no golden state; comparing with the design model" in caplog.text
    with pytest.raises(UnknownName, match="no knob of the model"):
        toy.machine.design.setpoints(["nonsense"])
    golden = run(plans.save_machine(toy.machine))
    toy.machine.runs, toy.machine.references = ToyRuns(stored(run)), ToyReferences()
    toy.machine.references.add("machine", golden.uid)
    assert run(plans.compare_machine(toy.machine, "golden")).differences == ()


@pytest.mark.parametrize(
    ("saved", "error", "words"),
    [
        (toy_run("save_machine", profile="other"), PlanError, "of the machine 'other'"),
        (toy_run("measure_orbit"), DataError, "holds no setpoints"),
        ("nonsense", UnknownName, "no run is called"),
    ],
)
def test_what_cannot_be_compared_is_refused(run, toy, saved, error, words):
    toy.machine.runs = ToyRuns(*([saved] if isinstance(saved, Run) else []))
    with pytest.raises(error, match=words):
        run(plans.compare_machine(toy.machine, getattr(saved, "uid", saved)))
    assert not run.documents, "nothing was measured"


def test_a_state_of_another_machine_is_refused(run, toy):
    from dataclasses import replace

    other = replace(toy_state(toy.machine), machine="other")
    with pytest.raises(PlanError, match="of the machine 'other', and this is 'toy'"):
        run(plans.compare_machine(toy.machine, other))
    with pytest.raises(PlanError, match="names such as"):
        run(plans.compare_machine(toy.machine, toy_state(toy.machine), "hcm"))
    with pytest.raises(PlanError, match="cannot be set"):
        run(plans.compare_machine(toy.machine, toy_state(toy.machine), ["bpms"]))
