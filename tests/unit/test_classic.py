"""Devices of classic ophyd as members of a machine, without a control system."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
import toy_classic
from bluesky import plans as bp
from bluesky.preprocessors import SupplementalData
from bluesky.run_engine import call_in_bluesky_event_loop
from ophyd import Signal
from ophyd.positioner import SoftPositioner
from toy import ORIGIN, Links, SimPlant, toy_machine, toy_profile

from acctwin import plans
from acctwin.backends.classic.members import ClassicMembers
from acctwin.errors import (
    ConfigError,
    DeviceError,
    LimitError,
    LinkLost,
    PlanError,
    PutRejected,
    UnknownName,
)
from acctwin.plans.guards import restoring
from acctwin.plans.stubs import move
from acctwin.profiles.members import MemberRow, MemberSetting
from acctwin.session.verbs import read_values

PUT_S = 0.3


def row(name: str, device_class: str, **changes: Any) -> MemberRow:
    values: dict[str, Any] = {
        "args": (),
        "kwargs": {},
        "units": "mm",
        "setting": MemberSetting(-5.0, 5.0, 0.01, 0.2),
        "setpoint": None,
        "readback": None,
        "simulated": None,
        "origin": ORIGIN,
    }
    return MemberRow(name, device_class, **(values | changes))


SOFT = {"init_pos": 0.5}
ROWS = (
    row("SCR/1", "ophyd.positioner:SoftPositioner", kwargs=SOFT, simulated=1.5),
    row("phase", "ophyd:Signal", kwargs={"value": 0.25}, simulated=0.0),
    row("slit", "toy_classic:Slit", setpoint="gap", readback="measured", simulated=1.0),
    row("loss", "ophyd:Signal", kwargs={"value": 7.0}, units="1/s", setting=None),
    row("counter", "toy_classic:Counter", readback="counts", setting=None),
)


class Hardware(SimPlant):
    """A simulated ring whose members are real classic devices."""

    def __init__(self, plant: SimPlant, rows: tuple[MemberRow, ...]) -> None:
        super().__init__(plant.sim)
        self.members = ClassicMembers(rows, PUT_S, 1.0)

    async def connect(self, timeout_s: float) -> None:
        await self.members.connect(timeout_s)

    def member(self, name: str, limits: Any) -> Any:
        return self.members.transport(name, limits)


class Bench:
    """A toy machine with members, on hardware or not."""

    def __init__(self, run: Any, rows: tuple[MemberRow, ...], monkeypatch: Any) -> None:
        made: list[Links] = []

        class Kept(Links):
            def __init__(self, plant: Any) -> None:
                super().__init__(plant)
                made.append(self)

        monkeypatch.setattr("toy.Links", Kept)
        self.run, self.rows = run, rows
        self.machine, self.sim = toy_machine(profile=toy_profile(members=rows))
        (self.links,) = made
        self.physics: Any = self.links.plant
        call_in_bluesky_event_loop(self.machine.connect())

    def to_hardware(self, timeout_s: float = 1.0) -> Any:
        plant = Hardware(self.physics, self.rows)
        call_in_bluesky_event_loop(self.links.rebind(plant, timeout_s))
        return plant

    def to_physics(self) -> None:
        call_in_bluesky_event_loop(self.links.rebind(self.physics, 1.0))

    def get(self, name: str, what: Any = "setpoint") -> Any:
        return self.run(read_values(self.machine, name, what))


@pytest.fixture
def make(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *rows: Bench(run, rows, monkeypatch)


@pytest.fixture
def bench(make: Any) -> Bench:
    return make(*ROWS)


def test_stays_the_same_object_where_ever_the_machine_is(bench):
    member = bench.machine["SCR/1"]
    assert bench.machine.members["SCR/1"] is member
    assert bench.get("SCR/1") == 1.5
    bench.to_hardware()
    assert bench.get("SCR/1") == 0.5
    bench.run(plans.set_values(bench.machine, "SCR/1", 2.0))
    assert bench.get("SCR/1", "readback") == 2.0
    bench.to_physics()
    assert bench.get("SCR/1") == 1.5
    assert bench.machine["SCR/1"] is member


@pytest.mark.parametrize("name", ["SCR/1", "phase", "slit"])
def test_is_set_stepped_and_read(bench, name):
    for go in (lambda: None, bench.to_hardware):
        go()
        bench.run(plans.set_values(bench.machine, name, 3.0, steps=2))
        bench.run(plans.step(bench.machine, name, -0.5))
        assert bench.get(name) == pytest.approx(2.5)
        assert bench.get(name, "readback") == pytest.approx(2.5)


def test_its_own_signals_are_set(bench):
    plant = bench.to_hardware()
    bench.run(plans.set_values(bench.machine, "slit", 4.0))
    events = bench.run.events()
    assert events[-1]["data"]["slit_value"] == events[-1]["data"]["slit_readback"] == 4
    assert plant is bench.links.plant


@pytest.mark.parametrize("wanted", [5.1, -6.0, np.nan])
def test_limits_hold_before_anything_moves(bench, wanted):
    bench.to_hardware()
    with pytest.raises(LimitError, match=r"SCR/1.*limits -5 to 5.*nothing was moved"):
        bench.run(plans.set_values(bench.machine, "SCR/1", wanted))
    with pytest.raises(LimitError):  # also for a put that goes round the device
        call_in_bluesky_event_loop(_set(bench.machine["SCR/1"].value, wanted))
    assert bench.get("SCR/1") == 0.5


def test_is_an_actuator_and_a_monitor_beside_families(bench):
    bench.to_hardware()
    machine = bench.machine
    first = machine.hcm.select(machine.hcm.names[0])
    found = bench.run(
        plans.measure_response(
            machine,
            [first, machine["SCR/1"]],
            [machine.bpms, machine["slit"], machine["SCR/1"], machine["loss"]],
        )
    )
    assert found.actuators[-1] == "SCR/1"
    assert found.monitors[-3:] == ("slit:readback", "SCR/1:readback", "loss:value")
    assert np.allclose(found.matrix[-3:], [[0, 0], [0, 1], [0, 0]], atol=1e-9)
    assert abs(found.matrix[:8, 0]).max() > 1.0
    assert bench.get("SCR/1") == 0.5, "put back"


def test_what_a_plan_that_fails_has_moved_is_put_back(bench):
    bench.to_hardware()
    scraper, slit = devices = bench.machine["SCR/1"], bench.machine["slit"]

    def body() -> Any:
        yield from move([(scraper, 2.0), (slit, 3.0)])
        raise RuntimeError("no beam")

    with pytest.raises(RuntimeError, match="no beam"):
        bench.run(restoring(devices, body))
    assert (bench.get("SCR/1"), bench.get("slit")) == (0.5, 1.0)


def test_what_is_clamped_is_never_reported_as_done(make):
    bench = make(row("rotator", "toy_classic:Clamping", kwargs={"value": 1.0}))
    bench.to_hardware()
    words = r"ophyd://rotator.*did not take.*wanted 3 mm, found 2"
    with pytest.raises(PutRejected, match=words):
        bench.run(plans.set_values(bench.machine, "rotator", 3.0))
    assert bench.get("rotator") == 1.0, "put back"


def test_what_is_refused_is_said(make):
    bench = make(row("shutter", "toy_classic:Refusing", kwargs={"value": 1.0}))
    bench.to_hardware()
    with pytest.raises(PutRejected, match=r"ophyd://shutter.*refused.*interlock"):
        call_in_bluesky_event_loop(_set(bench.machine["shutter"], 3.0))


def test_its_own_limits_are_the_control_systems(make):
    kwargs = {"limits": [0, 1], "init_pos": 0.5}
    bench = make(row("arm", "ophyd.positioner:SoftPositioner", kwargs=kwargs))
    bench.to_hardware()
    with pytest.raises(PutRejected, match=r"not within limits"):
        bench.run(plans.set_values(bench.machine, "arm", 3.0))
    assert bench.get("arm") == 0.5


def test_a_move_that_never_ends_is_given_up(make):
    bench = make(row("stage", "toy_classic:Stuck", kwargs=SOFT))
    bench.to_hardware()
    with pytest.raises(DeviceError, match=r"ophyd://stage.*not over within 0.3 s"):
        call_in_bluesky_event_loop(_set(bench.machine["stage"], 2.0))


def test_the_loop_runs_on_while_a_device_blocks(make):
    bench = make(row("stage", "toy_classic:Stuck", kwargs=SOFT))
    bench.to_hardware()
    beats: list[int] = []

    async def watched() -> None:
        move = asyncio.ensure_future(_set(bench.machine["stage"], 2.0))
        while not move.done():
            beats.append(1)
            await asyncio.sleep(0.01)
        with pytest.raises(DeviceError):
            await move

    call_in_bluesky_event_loop(watched())
    assert len(beats) > 5


def test_a_device_whose_link_is_lost(make):
    bench = make(row("far", "toy_classic:Away", kwargs={"value": 1.0}))
    toy_classic.Away.is_away = False
    try:
        bench.to_hardware()
        toy_classic.Away.is_away = True
        with pytest.raises(LinkLost, match="ophyd://far: not connected"):
            bench.get("far")
        with pytest.raises(LinkLost, match="ophyd://far"):
            call_in_bluesky_event_loop(_set(bench.machine["far"], 2.0))
    finally:
        toy_classic.Away.is_away = True


def test_all_that_do_not_connect_are_in_one_error(make):
    bench = make(
        row("far", "toy_classic:Away", kwargs={"value": 1.0}, simulated=3.0),
        row("further", "toy_classic:Away", kwargs={"value": 1.0}),
        ROWS[0],
    )
    with pytest.raises(LinkLost) as caught:
        bench.to_hardware(0.05)
    assert "2 of 3 members" in str(caught.value)
    assert "far (toy_classic:Away): far" in str(caught.value)
    assert "further (toy_classic:Away): further" in str(caught.value)
    assert bench.get("far") == 3.0, "the devices stay where they are"


def test_without_a_stand_in_it_cannot_be_used_in_physics_mode(bench):
    assert not bench.machine["loss"].is_there
    with pytest.raises(DeviceError, match=r"loss: nothing stands for it.*`simulated"):
        bench.get("loss")
    bench.to_hardware()
    assert bench.machine["loss"].is_there
    assert bench.get("loss") == 7.0


def test_only_those_that_are_there_are_in_the_baseline(bench):
    def names() -> set[str]:
        devices = bench.machine.recorded()
        bench.run.RE.preprocessors[:] = [SupplementalData(baseline=list(devices))]
        bench.run(bp.count([bench.machine.bpms]))
        before = bench.run.events("baseline")[0]["data"]
        return {key for key in before if key.split("_")[0] in members}

    members = {"SCR-1", "phase", "slit", "loss", "counter"}
    settable = {f"{m}_{k}" for m in ("SCR-1", "phase", "slit") for k in SETTABLE}
    assert names() == settable
    bench.to_hardware()
    assert names() == settable | {"loss_value", "counter_value"}


SETTABLE = ("value", "readback")


def test_units_and_sources_are_in_the_documents(bench):
    bench.to_hardware()
    bench.run(bp.count([bench.machine["SCR/1"], bench.machine["loss"]]))
    (keys,) = (d["data_keys"] for n, d in bench.run.documents if n == "descriptor")
    assert keys["SCR-1_value"]["units"] == "mm"
    assert keys["loss_value"]["units"] == "1/s"
    assert keys["loss_value"]["source"] == "ophyd://loss"


def test_a_detector_is_triggered(bench):
    plant = bench.to_hardware()
    assert bench.get("counter") == 1.0
    bench.run(bp.count([bench.machine["counter"]], 3))
    assert [e["data"]["counter_value"] for e in bench.run.events()] == [2, 3, 4]
    toy_classic.Counter.is_broken = True
    try:
        with pytest.raises(DeviceError, match=r"no reading.*no gate"):
            bench.get("counter")
    finally:
        toy_classic.Counter.is_broken = False
    call_in_bluesky_event_loop(plant.members.close())


def test_it_is_saved_and_restored_by_name(bench):
    machine = bench.machine
    bench.run(plans.set_values(machine, "phase", 1.0))
    state = bench.run(plans.save_machine(machine))
    assert state.setpoints["phase"] == 1.0
    bench.run(plans.set_values(machine, "phase", 2.0))
    bench.run(plans.restore_machine(machine, state, ["phase"]))
    assert bench.get("phase") == 1.0
    bench.run(plans.set_values(machine, "phase", 2.0))
    bench.run(plans.restore_machine(machine, state))
    assert bench.get("phase") == 2.0, "by default magnets and RF"


def test_it_is_marked_as_any_other(bench):
    bench.machine.mark_bad("phase")
    with pytest.raises(PlanError, match="marked bad"):
        bench.run(plans.set_values(bench.machine, "phase", 1.0))
    with pytest.raises(UnknownName, match="did you mean 'phase'"):
        bench.machine["phas"]


def test_what_is_only_read_cannot_be_set(bench):
    with pytest.raises(PlanError, match="cannot be set"):
        bench.run(plans.set_values(bench.machine, "loss", 1.0))


def test_changes_are_told(bench):
    plant = bench.to_hardware()
    seen: list[float] = []
    member = bench.machine["loss"]

    async def watched() -> None:
        told = asyncio.Event()

        def hear(reading: Any) -> None:
            seen.append(reading[member.value.name]["value"])
            told.set()

        member.value.subscribe_reading(hear)
        await asyncio.wait_for(told.wait(), 5)
        told.clear()
        device = plant.members.device("loss")
        device.put(9.0)
        await asyncio.wait_for(told.wait(), 5)
        member.value.clear_sub(hear)

    call_in_bluesky_event_loop(watched())
    assert seen == [7.0, 9.0]


def test_own_classic_devices_beside_families(bench):
    mine, knob = Signal(name="mine", value=4.0), bench.machine.hcm[0]
    mover = SoftPositioner(name="mover", init_pos=0.0)
    bench.run(bp.scan([bench.machine.bpms, mine], knob, -1e-5, 1e-5, 3))
    events = bench.run.events()
    assert [e["data"]["mine"] for e in events] == [4.0] * 3
    bench.run(bp.scan([bench.machine.bpms], mover, 0, 1, 3))
    assert [e["data"]["mover"] for e in bench.run.events()] == [0.0, 0.5, 1.0]


WRONG = {
    "no_such_package:Motor": "no_such_package cannot be imported",
    "ophyd:NoMotor": "ophyd has no NoMotor",
    "ophyd:Signal": "cannot be made with args",
    "toy_classic:Slit": "cannot be told",
    "ophyd.signal:SignalRO": "it cannot be set",
    "ophyd:__version__": "not a class",
}


def test_all_that_cannot_be_built_are_in_one_error():
    kwargs = {"ophyd:Signal": {"nonsense": 1}}
    rows = [row(f"m{i}", c, kwargs=kwargs.get(c, {})) for i, c in enumerate(WRONG)]
    rows.append(row("s", "toy_classic:Slit", setpoint="gap", readback="gab"))
    rows.append(row("t", "toy_classic:Slit", setpoint="gap", readback="get"))
    with pytest.raises(ConfigError) as caught:
        ClassicMembers(rows, 1.0, 1.0)
    messages = [fault.message for fault in caught.value.faults]
    wanted = [*WRONG.values(), "its signals are: gap, measured", "not a signal"]
    for message, words in zip(messages, wanted, strict=True):
        assert words in message


def test_what_is_no_number_is_an_error(make):
    bench = make(row("name", "ophyd:Signal", kwargs={"value": "a"}, setting=None))
    bench.to_hardware()
    with pytest.raises(DeviceError, match="wanted a number, found 'a'"):
        bench.get("name")


async def _set(device: Any, value: float) -> None:
    await device.set(value)
