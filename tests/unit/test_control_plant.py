"""Devices on a control system: nothing is reported as done that was not."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from toy import N_BPM, ToyEngine, engine_design
from toy_control import (
    DCCT,
    ToyControl,
    X,
    Y,
    control_machine,
    control_plant,
    control_profile,
)

from acctwin.backends.build import build_machine
from acctwin.backends.control.client import INVALID
from acctwin.backends.link import Links
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.plant import SimPlant
from acctwin.errors import BeamLost, DeviceError, LimitError, LinkLost, PutRejected
from acctwin.model.imperfections import draw

#: B·rho of 1 GeV electrons [T m].
RIGIDITY = np.sqrt(1e9**2 - 0.51099895e6**2) / 299792458.0


@pytest.fixture
def there():
    return ToyControl()


async def error_of(status) -> BaseException:
    with pytest.raises(Exception) as caught:
        await status
    return caught.value


async def test_a_strength_goes_to_its_supply_in_amperes(there):
    machine, _ = await control_machine(there)
    await machine["T/C1-H"].set(1e-4)
    assert there.puts == [("PS1:SP", pytest.approx(1e-4 * RIGIDITY / 2e-4))]
    assert (await machine["T/C1-H"].read())["T-C1-H_strength"]["value"] == (
        pytest.approx(1e-4)
    )
    assert (await machine.hcm.locate())["readback"] == pytest.approx([0, 1e-4, 0, 0])


async def test_a_family_writes_only_what_moves(there):
    machine, _ = await control_machine(there)
    await machine.supplies.set(np.array([0.0, 0.0, 2.0, 0.0]))
    assert there.puts == [("PS1:SP", 2.0)]
    await machine.supplies.set(np.array([0.0, 0.0, 2.0, 1.0]))
    assert there.puts[1:] == [("PS23:SP", 1.0)]


async def test_two_functions_of_one_magnet_set_at_once_both_arrive(there):
    there.delay_s, there.completes = 0.02, False
    machine, _ = await control_machine(there)
    horizontal, vertical = machine["T/C0-H"], machine["T/C0-V"]
    await asyncio.gather(horizontal.set(3e-5), vertical.set(2e-5))
    found = [(await one.locate())["setpoint"] for one in (horizontal, vertical)]
    assert found == pytest.approx([3e-5, 2e-5])


async def test_outside_the_limits_nothing_is_written(there):
    machine, _ = await control_machine(there)
    for wanted in (1.0, np.nan):
        assert isinstance(await error_of(machine["T/C1-H"].set(wanted)), LimitError)
    with pytest.raises(LimitError):  # magnets in series that disagree
        await machine.hcm.set(np.full(4, 2e-5))
    with pytest.raises(LimitError):  # round the device, also on the signal
        await machine["PS1"].current.set(11.0)
    assert there.puts == []


@pytest.mark.parametrize("completes", [True, False])
@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("refused", PutRejected, "ca://PS1:SP: write access denied"),
        ("clamped", PutRejected, "ca://PS1:SP.*did not take.*wanted 2, found 1"),
        ("ignored", PutRejected, "ca://PS1:SP.*did not take.*wanted 2, found 0"),
        ("hung", LinkLost, "ca://PS1:SP: the put was not over within 0.24 s"),
    ],
)
async def test_a_put_that_fails_is_an_error(there, completes, fault, kind, words):
    there.completes = completes
    machine, _ = await control_machine(there)
    if fault == "clamped":
        there.clamped["PS1:SP"] = 1.0
    else:
        getattr(there, fault).add("PS1:SP")
    for device in (machine["PS1"], machine["PS1"].current):
        with pytest.raises(kind, match=words) as caught:
            await device.set(2.0)
        assert type(caught.value) is kind


async def test_a_readback_that_stays_away_is_an_error(there):
    machine, _ = await control_machine(there)
    there.samples.pop("PS1:RB")
    there.hung.add("PS1:RB")
    with pytest.raises(LinkLost, match=r"PS1:RB: no answer within 0\.1 s"):
        await machine["PS1"].set(2.0)


async def test_several_failures_are_one_error(there):
    machine, _ = await control_machine(there)
    there.refused |= {"PS1:SP", "PS23:SP"}
    error = await error_of(machine.supplies.set(np.ones(4)))
    assert isinstance(error, PutRejected)
    assert "PS1:SP" in str(error) and "PS23:SP" in str(error)


async def test_a_locked_machine_is_never_written(there):
    machine, _ = await control_machine(there, read_only=True)
    error = await error_of(machine["T/C1-H"].set(1e-4))
    assert isinstance(error, PutRejected)
    assert "toy says read_only; nothing was written" in str(error)
    assert there.puts == []


async def test_what_does_not_answer_is_listed_at_once(there):
    for name in ("PS1:SP", X):
        del there.samples[name]
    plant = control_plant(there)
    build_machine(control_profile(), Links(plant), engine_design(ToyEngine()), Any)
    with pytest.raises(LinkLost) as caught:
        await plant.connect(0.05)
    text = str(caught.value)
    assert "2 of 17 addresses did not answer within 0.1 s" in text
    assert "PS1: ca://PS1:SP: no such thing" in text
    assert f"T/B0 … T/B7: ca://{X}" in text


async def test_a_device_without_an_address_says_so_when_it_is_used(there):
    missing = {("tune", q): None for q in ("qx", "qy", "qs")}
    machine, _ = await control_machine(there, names=missing)
    words = r"tune: not in the control system: profile toy \(toy.yaml\) gives no "
    for use in (machine.tune.trigger(), machine.tune.read()):
        with pytest.raises(DeviceError, match=f"{words}address for tune/qx"):
            await use
    with pytest.raises(DeviceError, match="T/C1-V: it has no supply in the profile"):
        await machine["T/C1-V"].set(1e-5)


async def test_an_event_costs_no_question(there, monkeypatch):
    machine, _ = await control_machine(there)

    async def nobody(name: str) -> None:
        raise AssertionError(name)

    monkeypatch.setattr(there, "get", nobody)
    for device in (machine.hcm, machine.supplies, machine.bpms, machine["T/B3"]):
        assert await device.read()


async def test_a_late_message_does_not_undo_what_was_asked(there):
    machine, _ = await control_machine(there)
    old = there.samples["PS1:SP"]
    await machine["PS1"].set(2.0)
    there.watchers["PS1:SP"]("PS1:SP", old)
    assert (await machine["PS1"].read())["PS1_current"]["value"] == 2.0


async def test_a_lost_address_is_not_read_from_memory(there):
    machine, _ = await control_machine(there)
    there.drop("PS1:SP")
    with pytest.raises(LinkLost, match="ca://PS1:SP: not connected"):
        await machine["T/C1-H"].read()
    assert await machine["T/C0-H"].read()


async def test_a_reading_is_newer_than_the_trigger(there):
    machine, _ = await control_machine(there, update_s=1.0)
    there.set(X, np.full(N_BPM, 1.0))
    trigger = machine.bpms.trigger()
    for value in (2.0, 3.0):
        for _ in range(10):
            await asyncio.sleep(0)
        assert not trigger.done
        there.set(X, np.full(N_BPM, value))
        there.set(Y, np.full(N_BPM, value))
    await trigger
    assert (await machine.bpms.read())["bpms_x"]["value"][0] == 3.0


async def test_a_monitor_that_sends_nothing_is_asked(there):
    machine, _ = await control_machine(there)
    there.mute = True
    there.set(X, np.full(N_BPM, 5.0))
    await machine.bpms.trigger()
    assert (await machine.bpms.read())["bpms_x"]["value"][0] == 5.0


async def test_without_beam_there_is_no_orbit(there):
    machine, _ = await control_machine(there)
    there.drop_beam()
    with pytest.raises(BeamLost, match=f"ca://{X}: no valid .*{DCCT}: .* is 0 A"):
        await machine.bpms.read()


async def test_invalid_readings_with_beam_are_a_fault_of_the_bpms(there):
    machine, _ = await control_machine(there)
    there.set(X, np.zeros(N_BPM), INVALID)
    with pytest.raises(DeviceError, match=r"no valid reading of T/B0, .* and 3 more"):
        await machine.bpms.read()
    readings = np.zeros(N_BPM)
    readings[3] = np.nan
    there.set(X, readings)
    with pytest.raises(DeviceError, match="no valid reading of T/B3$"):
        await machine.bpms.read()
    machine.bpms.mark_bad("T/B3")
    assert await machine.bpms.read()


async def test_an_array_of_the_wrong_length_is_a_fault(there):
    machine, _ = await control_machine(there)
    there.set(X, np.zeros(N_BPM + 1))
    with pytest.raises(DeviceError, match="9 values found, wanted 8"):
        await machine.bpms.read()


async def test_gathered_numbers_are_one_array(there):
    for i in range(N_BPM):
        there.set(f"T:B{i}:X", 0.1 * i)
        there.set(f"T:B{i}:Y", 0.0)
    gone = {("bpms", channel): None for channel in ("x", "y", "sum")}
    machine, _ = await control_machine(there, names=gone)
    assert (await machine.bpms.read())["bpms_x"]["value"] == pytest.approx(
        0.1 * np.arange(N_BPM)
    )


async def test_the_same_devices_on_another_plant(there):
    profile, engine = control_profile(), ToyEngine()
    sim = SimMachine(engine, engine.layout, draw(profile, None), profile, None)
    links = Links(SimPlant(sim))
    machine = build_machine(profile, links, engine_design(engine), Any)
    await machine.connect()
    magnet, seen = machine["T/C1-H"], list[float]()

    def keep(reading: dict[str, Any]) -> None:
        seen.extend(found["value"] for found in reading.values())

    magnet.strength.subscribe_reading(keep)
    await asyncio.sleep(0.01)
    await magnet.set(1e-5)
    await links.rebind(control_plant(there), 1.0)
    await asyncio.sleep(0.01)
    await magnet.set(3e-5)
    assert [name for name, _ in there.puts] == ["PS1:SP"]
    await asyncio.sleep(0.01)
    await links.rebind(SimPlant(sim), 1.0)
    assert (await magnet.locate())["setpoint"] == pytest.approx(1e-5)
    await magnet.set(2e-5)
    await asyncio.sleep(0.01)
    told = [value for i, value in enumerate(seen) if i == 0 or value != seen[i - 1]]
    assert told == pytest.approx([0.0, 1e-5, 0.0, 3e-5, 1e-5, 2e-5])
    assert len(there.puts) == 1
    magnet.strength.clear_sub(keep)


async def test_a_plant_that_does_not_answer_leaves_the_devices_where_they_are(there):
    del there.samples["PS1:SP"]
    profile, engine = control_profile(), ToyEngine()
    sim = SimMachine(engine, engine.layout, draw(profile, None), profile, None)
    links = Links(SimPlant(sim))
    machine = build_machine(profile, links, engine_design(engine), Any)
    with pytest.raises(LinkLost):
        await links.rebind(control_plant(there), 0.05)
    await machine["T/C1-H"].set(1e-5)
    assert sim.setpoints[1] == pytest.approx(1e-5)
