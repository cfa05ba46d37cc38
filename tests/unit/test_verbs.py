"""Get, set and step, on a machine with supplies and without."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky.utils import FailedStatus
from test_powering import powered_profile
from toy import DELTA, LIMIT, N_BPM, N_COR, RF_HZ

from acctwin.errors import (
    AcctwinError,
    BeamLost,
    DeviceError,
    LimitError,
    PlanError,
    UnknownName,
)
from acctwin.session.session import Session


class Desk:
    """What the verbs need of a session: a machine, and something that runs plans."""

    get, set, step = Session.get, Session.set, Session.step

    def __init__(self, toy, recorder) -> None:
        self.toy, self.machine, self.recorder = toy, toy.machine, recorder

    def run(self, plan):
        try:
            return self.recorder(plan)
        except FailedStatus as error:
            if isinstance(error.__cause__, AcctwinError):
                raise error.__cause__ from error
            raise

    @property
    def plans_run(self):
        return [d["plan_name"] for n, d in self.recorder.documents if n == "start"]

    def kicks(self, plane="H"):
        first = 0 if plane == "H" else N_COR
        return self.toy.sim.setpoints[first : first + N_COR].tolist()


@pytest.fixture
def desk(run, toy):
    return Desk(toy, run)


@pytest.fixture
def powered(run, make_toy):
    return Desk(make_toy(profile=powered_profile()), run)


def test_what_is_set_is_got(desk):
    wanted = np.arange(1, N_COR + 1) * 1e-5
    assert np.array_equal(desk.set("hcm", wanted), wanted)
    assert np.array_equal(desk.get("hcm"), wanted)
    assert np.array_equal(desk.get(desk.machine.hcm, "readback"), wanted)
    one = desk.get("T/C2-H")
    assert isinstance(one, float)
    assert one == wanted[2]
    assert desk.kicks() == wanted.tolist()


def test_a_number_goes_to_every_member_and_a_list_must_fit(desk):
    desk.set("hcm", 2e-5)
    assert desk.kicks() == [2e-5] * N_COR
    for wrong in ([1e-5], np.zeros(N_COR + 1), np.zeros((1, N_COR)), [1.0, [2.0]]):
        with pytest.raises(LimitError):
            desk.set("hcm", wrong)
    assert desk.kicks() == [2e-5] * N_COR


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 2 * LIMIT, "1e-5", None, True])
def test_one_wrong_value_and_nothing_moves(desk, wrong):
    values = [1e-5] * (N_COR - 1) + [wrong]
    with pytest.raises(LimitError):
        desk.set("hcm", values if not isinstance(wrong, bool) else wrong)
    assert desk.kicks() == [0.0] * N_COR


def test_the_error_names_the_device_and_the_limits(desk):
    with pytest.raises(LimitError, match="T/C3-H: wanted 0.002 rad, limits -0.001"):
        desk.set("hcm", [0.0, 0.0, 0.0, 2e-3])
    with pytest.raises(LimitError, match="wanted 1 number, or 4 of them"):
        desk.set("hcm", [0.0, 0.0])


def test_names_are_checked(desk):
    with pytest.raises(UnknownName, match="did you mean 'hcm'"):
        desk.set("hcn", 0.0)
    with pytest.raises(UnknownName, match="did you mean 'bpms'"):
        desk.get("bmps")
    with pytest.raises(PlanError, match="cannot be set"):
        desk.set("bpms", 0.0)
    with pytest.raises(PlanError, match="cannot be set"):
        desk.set(desk.machine.bpms.select("T/B1"), 0.0)
    with pytest.raises(PlanError, match="'setpoint' or 'readback', not 'golden'"):
        desk.get("hcm", "golden")
    for verb in (
        lambda u: desk.get("hcm", units=u),
        lambda u: desk.set("hcm", 0, units=u),
    ):
        with pytest.raises(PlanError, match="'physics' or 'hardware'"):
            verb("amps")


def test_a_run_for_what_moves_and_none_for_what_is_read(desk, run):
    desk.get("hcm")
    desk.get("bpms")
    assert run.documents == []
    desk.set("T/C0-H", 1e-5)
    assert desk.plans_run == ["set_values"]
    assert run.start["plan_args"] == {
        "name": "T/C0-H",
        "value": 1e-5,
        "units": "physics",
        "steps": 1,
        "wait": True,
    }
    before, after = (event["data"]["T-C0-H_strength"] for event in run.events())
    assert (before, after) == (0.0, 1e-5)
    desk.step(desk.machine.hcm.select("T/C[01]-H"), [1e-5, 2e-5])
    assert run.start["plan_args"]["name"] == ["T/C0-H", "T/C1-H"]
    assert desk.kicks() == [2e-5, 2e-5, 0.0, 0.0]


def test_bad_members_are_left_out(desk):
    desk.set("hcm", 1e-5)
    desk.machine.mark_bad("T/C1-H")
    assert len(desk.get("hcm")) == N_COR - 1
    desk.set("hcm", [2e-5, 3e-5, 4e-5])
    assert desk.kicks() == [2e-5, 1e-5, 3e-5, 4e-5]
    desk.step("hcm", 1e-5)
    assert np.allclose(desk.kicks(), [3e-5, 1e-5, 4e-5, 5e-5])
    with pytest.raises(PlanError, match="marked bad"):
        desk.set("T/C1-H", 0.0)
    assert desk.get("T/C1-H") == 1e-5, "it can still be read"
    desk.machine.mark_bad(*desk.machine.hcm.names)
    with pytest.raises(PlanError, match="all are marked bad"):
        desk.set("hcm", 0.0)


def test_a_bad_member_that_does_not_follow_holds_nobody_up(powered):
    powered.set("PS1", 1.0)
    powered.toy.sim.supplies.trip("PS1")
    assert powered.get("PS1", "readback") == 0.0
    powered.machine.mark_bad("T/C1-H")
    powered.set(powered.machine.hcm.select("T/C[023]-H"), [1e-5, 1e-5, 1.01e-5])
    powered.step("hcm", 0.0)
    assert powered.get("hcm") == pytest.approx([1e-5, 1e-5, 1.01e-5])


def test_step_is_from_the_setpoint(desk):
    desk.set("T/C0-V", DELTA)
    assert desk.step("T/C0-V", DELTA) == 2 * DELTA
    with pytest.raises(LimitError, match="nothing was moved"):
        desk.step("vcm", [0.0, 0.0, 0.0, 2 * LIMIT])
    assert desk.kicks("V") == [2 * DELTA, 0.0, 0.0, 0.0]


def test_the_rf_by_either_name(desk):
    desk.set("T/RF", RF_HZ + 100.0)
    assert desk.get("rf") == RF_HZ + 100.0
    assert desk.step("rf", -50.0) == RF_HZ + 50.0
    assert desk.get("rf", "readback", units="hardware") == RF_HZ + 50.0


def test_the_orbit_is_of_good_bpms_and_fresh(desk):
    x, y = desk.get("bpms")
    assert np.allclose(x, desk.toy.engine.error[:N_BPM])
    assert np.allclose(y, desk.toy.engine.error[N_BPM:])
    desk.machine.mark_bad("T/B0")
    assert desk.get("bpms").shape == (2, N_BPM - 1)
    assert np.allclose(desk.get(desk.machine.bpms.select("T/B[012]"))[0], x[1:3])
    assert np.allclose(desk.get("T/B3"), [x[3], y[3]])


def test_every_reading_is_a_new_one(run, make_toy):
    desk = Desk(make_toy(seed=1), run)
    assert not np.array_equal(desk.get("bpms"), desk.get("bpms")), "noise differs"


def test_tune_and_current(desk):
    assert np.allclose(desk.get("tune"), [0.2, 0.3, 0.01])
    assert desk.get("dcct") == pytest.approx(0.2)
    with pytest.raises(PlanError, match="read in SI units"):
        desk.get("dcct", units="hardware")


def test_lost_beam_is_an_error_not_a_nan(desk):
    desk.toy.engine.aperture = 0.0
    with pytest.raises(BeamLost, match="aperture"):
        desk.get("bpms")


def test_currents_behind_the_strengths(powered):
    b_rho = powered.toy.sim.powering._rigidity
    powered.set("T/C1-H", 1e-4)
    assert powered.get("T/C1-H", units="hardware") == pytest.approx(1e-4 * b_rho / 2e-4)
    powered.set("T/C1-H", 2.0, units="hardware")
    assert powered.get("T/C1-H") == pytest.approx(2.0 * 2e-4 / b_rho)
    assert powered.get("PS1") == 2.0
    powered.step("hcm", 0.5, units="hardware")
    assert powered.get("hcm", units="hardware").tolist() == [0.5, 0.5, 2.5, 0.5]
    assert powered.machine.hcm.supplies.names == ("PS0a", "PS0b", "PS1", "PS23")


def test_a_bad_magnet_keeps_its_supply(powered):
    powered.machine.mark_bad("T/C1-H")
    powered.set("hcm", 1.0, units="hardware")
    assert powered.get("PS1") == 0.0
    assert powered.get("hcm", units="hardware").tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(PlanError, match="marked bad"):
        powered.set("T/C1-H", 1.0, units="hardware")


def test_a_combined_magnet_has_several_currents(powered):
    powered.set("T/C0-V", [0.5, -0.5], units="hardware")
    assert powered.get("T/C0-V", units="hardware").tolist() == [0.5, -0.5]


def test_amperes_need_supplies(desk):
    with pytest.raises(PlanError, match="no power supplies"):
        desk.get("hcm", units="hardware")
    with pytest.raises(PlanError, match="no power supplies"):
        desk.set("hcm", 0.0, units="hardware")


def test_a_supply_that_sticks_puts_all_back(powered):
    for device in powered.machine.everything():
        if hasattr(device, "waits"):
            device.waits = type(device.waits)(timeout_s=0.1)
    powered.set("PS0a", 0.3)
    powered.toy.sim.supplies.stick("PS1")
    before = powered.toy.sim.supplies.setpoints.copy()
    with pytest.raises(DeviceError, match="PS1"):
        powered.set("hcm", 1.0, units="hardware")
    assert np.array_equal(powered.toy.sim.supplies.setpoints, before)


def test_without_waiting_it_returns_though_nothing_arrives(powered):
    powered.toy.sim.supplies.stick("PS1")
    for name in ("PS1", "T/C1-H"):
        powered.set(name, 1e-5, wait=False)
        assert powered.get(name) == pytest.approx(1e-5)
        assert powered.get(name, "readback") == 0.0
    powered.set("rf", RF_HZ + 1.0, wait=False)
    powered.set("vcm", [0.0, 1e-5, 0.0, 0.0], wait=False)
    assert powered.kicks("V") == [0.0, 1e-5, 0.0, 0.0]
    with pytest.raises(LimitError):
        powered.set("vcm", 1.0, wait=False)
