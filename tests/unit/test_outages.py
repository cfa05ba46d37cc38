"""A machine that goes away: plans wait for it, and go on with it as it was."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest
from toy_control import ToyControl, X, control_machine

from acctwin.errors import LinkLost

WAIT = {"on_link_loss": "wait", "link_wait_s": 5.0}


@pytest.fixture
def there():
    return ToyControl()


def die(there: ToyControl) -> None:
    """Every address is gone, and says so."""
    for name in there.samples:
        there.drop(name)


def start(there: ToyControl, **values: float) -> None:
    """The machine is there again, with other settings."""
    there.hung.clear()
    for name, value in values.items():
        there.set(f"{name}:SP", value)
        there.set(f"{name}:RB", value)
    for name, sample in list(there.samples.items()):
        there.set(name, sample.value)


async def until(condition) -> None:
    async with asyncio.timeout(2.0):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_put_waits_until_the_machine_is_back_as_it_was(there, caplog):
    machine, _ = await control_machine(there, **WAIT)
    await machine["PS0a"].set(1.0)
    await machine["PS23"].set(3.0)
    die(there)
    status = machine["PS1"].set(2.0)
    await until(lambda: "paused" in caplog.text)
    assert not status.done
    start(there, PS0a=0.0, PS23=0.5)
    await status
    found = {name: there.samples[f"{name}:SP"].value for name in ("PS0a", "PS23")}
    assert found == {"PS0a": 1.0, "PS23": 3.0}
    assert there.samples["PS1:SP"].value == 2.0
    assert "2 settings were not as before" in caplog.text
    assert "PS0a 0 → 1" in caplog.text


async def test_a_put_under_way_is_repeated(there):
    machine, _ = await control_machine(there, **WAIT)
    there.hung.add("PS1:SP")
    status = machine["PS1"].set(2.0)
    await until(lambda: bool(there.puts))
    die(there)
    start(there, PS1=0.0)
    await status
    assert there.samples["PS1:SP"].value == 2.0


async def test_what_is_taken_while_another_is_away_is_kept(there):
    machine, _ = await control_machine(there, **WAIT)
    put, has_begun, gate = there.put, asyncio.Event(), asyncio.Event()

    async def slow(name, value):
        has_begun.set()
        await gate.wait()
        await put(name, value)

    there.put = slow
    status = machine["PS0a"].set(1.0)
    await has_begun.wait()
    for name in ("PS1:SP", "PS1:RB"):
        there.drop(name)
    gate.set()
    await until(lambda: bool(there.puts))
    start(there)
    await status
    assert there.puts == [("PS0a:SP", 1.0)]
    assert there.samples["PS0a:SP"].value == 1.0


async def test_a_reading_is_taken_again_as_a_whole(there):
    machine, _ = await control_machine(there, **WAIT)
    die(there)
    status = machine.bpms.trigger()
    await asyncio.sleep(0.05)
    assert not status.done
    start(there)
    there.set(X, np.ones_like(there.samples[X].value))
    await status
    assert (await machine.bpms.read())["bpms_x"]["value"] == pytest.approx(1.0)


async def test_a_restart_that_nobody_waited_for_is_noticed(there, caplog):
    machine, _ = await control_machine(there, **WAIT)
    await machine["PS1"].set(2.0)
    die(there)
    start(there, PS1=0.0)
    await machine.bpms.read()
    assert there.samples["PS1:SP"].value == 2.0
    assert "PS1 0 → 2" in caplog.text


async def test_settings_that_cannot_be_put_back_end_it(there):
    machine, _ = await control_machine(there, **WAIT)
    await machine["PS1"].set(2.0)
    die(there)
    start(there, PS1=0.0)
    there.refused.add("PS1:SP")
    with pytest.raises(LinkLost, match=r"cannot be put back: ca://PS1:SP: write acc"):
        await machine.bpms.trigger()


async def test_it_ends_after_the_time_in_the_profile(there):
    machine, _ = await control_machine(there, **{**WAIT, "link_wait_s": 0.3})
    die(there)
    with pytest.raises(LinkLost, match="did not come back within 0.3 s: no answer fr"):
        await machine["PS1"].set(2.0)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(LinkLost):
        await machine["PS1"].set(0.0)
    assert asyncio.get_running_loop().time() - begun < 0.35, "restoring does not wait"


async def test_who_waits_is_told_when_the_plan_is_ended(there):
    machine, plant = await control_machine(there, **WAIT)
    die(there)
    status = machine["PS1"].set(2.0)
    await asyncio.sleep(0.05)
    await asyncio.to_thread(plant.wait_for_link, False)
    with pytest.raises(LinkLost, match="the waiting was ended"):
        await status
    with pytest.raises(LinkLost):
        await machine["PS1"].set(0.0)
    plant.wait_for_link(True)
    start(there, PS1=1.0)
    await machine["PS0a"].set(1.0)
    assert there.samples["PS1:SP"].value == 1.0, "the next plan takes it as it is"


async def test_what_hangs_while_all_else_answers_is_an_error(there):
    machine, _ = await control_machine(there, **WAIT)
    put = there.put

    async def hang(name, value):
        await (asyncio.sleep(60) if name == "PS1:SP" else put(name, value))

    there.put = hang
    with pytest.raises(LinkLost, match="the put was not over within"):
        await machine["PS1"].set(2.0)


async def test_by_default_a_lost_link_is_an_error_at_once(there):
    machine, _ = await control_machine(there)
    die(there)
    with pytest.raises(LinkLost):
        await machine["PS1"].set(2.0)


async def test_every_put_is_in_a_log_of_its_own(there, caplog):
    caplog.set_level(logging.INFO, "acctwin.puts")
    machine, _ = await control_machine(there)
    await machine["PS1"].set(2.0)
    there.refused.add("PS1:SP")
    with pytest.raises(Exception, match="denied"):
        await machine["PS1"].set(3.0)
    found = [r.getMessage() for r in caplog.records if r.name == "acctwin.puts"]
    assert found == ["ca://PS1:SP: 0 → 2"]
