from __future__ import annotations

import numpy as np
import pytest
from toy import LIMIT, N_COR, powered_profile, toy_profile

from acctwin import plans
from acctwin.analysis.machine_state import waveform_setpoints
from acctwin.defaults import CycleDefaults, Defaults, WaitDefaults
from acctwin.errors import DeviceError, PlanError


def test_a_waveform_is_in_fractions_of_the_way_to_the_limits():
    start, low, high = np.array([1.0, -3.0]), np.array([0.0, -3.0]), np.array([3.0, 1])
    path = waveform_setpoints(start, low, high, np.array([1.0, -0.5, 0.0]))
    assert path.tolist() == [[3.0, 1.0], [0.5, -3.0], [1.0, -3.0]]


def test_a_family_goes_round_and_comes_back(run, toy):
    run(plans.step(toy.machine, "T/C1-H", 2e-4))
    before = toy.sim.setpoints.copy()
    result = run(plans.cycle(toy.machine, "hcm", [1, -1], steps=2, with_beam=True))
    assert result.waveform.tolist() == [0.5, 1.0, 0.0, -1.0, -0.5, 0.0]
    assert result.setpoints[1].tolist() == [LIMIT] * N_COR
    assert result.setpoints[0, 1] == pytest.approx(2e-4 + 0.5 * 8e-4)
    assert np.array_equal(result.readbacks, result.setpoints)
    assert np.array_equal(toy.sim.setpoints, before)
    assert len(run.events()) == 6


def test_the_profile_has_a_waveform_for_each_family(run, make_toy):
    default = CycleDefaults(waveforms={"vcm": (0.5,)})
    toy = make_toy(profile=toy_profile(defaults=Defaults(cycle=default)))
    own = run(plans.cycle(toy.machine, "vcm", with_beam=True))
    assert own.waveform.tolist() == [0.5, 0.0]
    other = run(plans.cycle(toy.machine, toy.machine.hcm, with_beam=True))
    assert other.waveform.tolist() == [1, -1, 1, -1, 1, -1, 0]


def test_bad_members_and_unselected_ones_stay(run, toy):
    toy.machine.mark_bad("T/C1-H")
    some = toy.machine.hcm.select("T/C[12]-H")
    result = run(plans.cycle(toy.machine, some, [1], with_beam=True))
    assert result.devices == ("T/C2-H",)
    assert np.array([e["data"]["hcm_strength"][1] for e in run.events()]).max() == 0.0
    with pytest.raises(PlanError, match="nothing to cycle"):
        run(plans.cycle(toy.machine, toy.machine.hcm.select("T/C1-H"), with_beam=True))


def test_stored_beam_is_not_thrown_away(run, toy):
    with pytest.raises(PlanError, match="200 mA are stored, and cycling hcm"):
        run(plans.cycle(toy.machine, "hcm"))
    assert not run.documents


def test_supplies_are_cycled_in_amperes(run, make_toy):
    machine = make_toy(profile=powered_profile()).machine
    one = run(plans.cycle(machine, "T/C1-H", [0.5], with_beam=True))
    assert (one.devices, one.units, one.setpoints[0, 0]) == (("PS1",), ("A",), 5.0)
    both = run(
        plans.cycle(machine, machine.hcm.select("T/C[23]-H"), [1], with_beam=True)
    )
    assert both.devices == ("PS23",)
    coils = run(plans.cycle(machine, "PS0a", [1], with_beam=True))
    assert coils.setpoints[0, 0] == 10.0


def test_a_supply_that_feeds_others_too_is_refused(run, make_toy):
    machine = make_toy(profile=powered_profile()).machine
    with pytest.raises(PlanError, match="PS23 feeds T/C2-H and also T/C3-H"):
        run(plans.cycle(machine, "T/C2-H", [1], with_beam=True))
    with pytest.raises(PlanError, match="and also T/C0-V"):
        run(plans.cycle(machine, "hcm", [1], with_beam=True))


@pytest.mark.parametrize("waveform", [[], [1.5], [float("nan")], [[1.0]]])
def test_a_waveform_that_is_none_is_refused(run, toy, waveform):
    with pytest.raises(PlanError, match="a waveform is a list of fractions"):
        run(plans.cycle(toy.machine, "hcm", waveform, with_beam=True))


def test_a_failure_brings_everything_back(run, toy):
    toy.machine.hcm.waits = WaitDefaults(0.05)
    toy.sim.supplies.stick("T/C2-H")
    with pytest.raises(DeviceError, match="T/C2-H"):
        run(plans.cycle(toy.machine, "hcm", [0.5], with_beam=True))
    assert not toy.sim.setpoints[:N_COR].any()
    with pytest.raises(PlanError, match="at least 1"):
        run(plans.cycle(toy.machine, "hcm", steps=0, with_beam=True))


def test_without_a_current_monitor_nobody_is_asked(run, toy, monkeypatch):
    monkeypatch.setattr(type(toy.machine), "has", lambda self, name: name != "dcct")
    assert run(plans.cycle(toy.machine, "hcm", [0.1])).uid
