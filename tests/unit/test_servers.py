"""What a server offers, and how it follows the machine: without a control system."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from toy import ToyEngine, powered_profile, toy_matrix

from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import EngineError, LimitError, MissingExtra
from acctwin.model.imperfections import draw
from acctwin.profiles.control import EPICS, TANGO, Control
from acctwin.profiles.profile import Simulation
from acctwin.servers.epics_db import access, database
from acctwin.servers.hub import Hub, Update
from acctwin.servers.records import of_key, records
from acctwin.servers.serving import server_id
from acctwin.servers.tango_devices import Board, attribute_of, device_of

PROFILE = replace(
    powered_profile(),
    control=Control(
        names={
            ("supplies", "current"): "ALL:SP",
            ("magnet", "strength"): "{id}:K",
            ("magnet", "readback"): "{id}:KRB",
        }
    ),
)


def served(engine: ToyEngine | None = None, seed: int | None = None):
    """Return a hub on a toy machine, and what it publishes."""
    engine = engine or ToyEngine()
    sim = SimMachine(engine, engine.layout, draw(PROFILE, seed), PROFILE, seed)
    updates: list[Update] = []
    return Hub(PROFILE, sim, updates.append), updates


@asynccontextmanager
async def running(hub: Hub):
    task = asyncio.create_task(hub.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def offered(protocols=EPICS):
    hub, _ = served()
    return {r.name: r for r in records(PROFILE, hub.start_values(), protocols)}


def last(updates: list[Update], kind: str, channel: str) -> np.ndarray:
    """Return the newest value of a channel."""
    key = kind, channel
    return next(u.values[key] for u in reversed(updates) if key in u.values)


def test_records_have_limits_units_and_digits_of_the_profile():
    found = offered()
    setpoint, readback = found["PS1:SP"], found["PS1:RB"]
    assert (setpoint.low, setpoint.high, setpoint.unit) == (-10.0, 10.0, "A")
    assert setpoint.precision == 7  # a tenth of the tolerance of 1e-6 A
    assert setpoint.is_setpoint
    assert not readback.is_setpoint
    assert found["PS1:MOVING"].is_whole
    assert (found["toy:BPM:X"].size, found["T:B3:X"].index) == (8, 3)
    assert found["T:RF:SP"].value == 500e6
    assert found["ALL:SP"].size == 4
    assert found["T:C1-H:K"].unit == "rad"


def test_tango_offers_the_same_under_its_own_names():
    found = offered(TANGO)
    record = found["toy/supply/PS1/Current"]
    assert (device_of(record), attribute_of(record)) == ("toy/supply/PS1", "Current")
    assert not any(record.key[0] in ("supplies", "magnet") for record in found.values())


def test_the_database_has_every_record_that_the_server_fills():
    found = offered()
    text = database(found.values(), "toy", 8, 4)
    for name, record in found.items():
        assert (f'"{name}")' in text) != record.is_setpoint
    assert text.count("record(") == text.count('field(DISP, "1")')
    assert 'field(DISS, "INVALID")' in text
    assert '"+id": "epics:nt/NTTable:1.0"' in text
    assert "WRITE" in access(read_only=False)
    assert "WRITE" not in access(read_only=True)


async def test_a_put_is_over_when_its_orbit_is_published():
    hub, updates = served()
    record = offered()["PS1:SP"]
    async with running(hub):
        await hub.refresh()
        before = last(updates, "bpms", "x")
        await hub.put(record, np.array([2.0]))
        kick = 2e-4 * 2.0 / (1e9 / 299792458.0)
        change = last(updates, "bpms", "x") - before
    assert np.allclose(change, kick * toy_matrix()[:8, 1], rtol=1e-3)
    assert last(updates, "supply", "readback")[2] == 2.0
    assert last(updates, "bpm", "x") is not None
    assert np.isclose(last(updates, "magnet", "strength")[1], kick, rtol=1e-3)


async def test_a_put_as_the_time_runs_out_is_over_when_it_is_published(monkeypatch):
    hub, updates = served()
    record = offered()["PS1:SP"]
    waits, put_came = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def out_of_time(_):
        monkeypatch.undo()
        waits.set()
        await put_came.wait()
        yield
        raise TimeoutError

    async with running(hub), asyncio.timeout(5):
        await hub.refresh()
        monkeypatch.setattr(asyncio, "timeout", out_of_time)
        await waits.wait()
        put = asyncio.create_task(hub.put(record, np.array([2.0])))
        await asyncio.sleep(0)
        put_came.set()
        await put
        assert last(updates, "supply", "current")[record.index] == 2.0


async def test_a_put_that_was_taken_is_logged(caplog):
    caplog.set_level(logging.INFO, "acctwin.served_puts")
    hub, _ = served()
    known = offered()
    async with running(hub):
        await hub.put(known["PS1:SP"], np.array([2.0]))
        with pytest.raises(LimitError):
            await hub.put(known["ALL:SP"], np.zeros(3))
    assert [r.getMessage() for r in caplog.records] == ["PS1:SP: 0 → 2"]


async def test_puts_that_come_together_are_solved_together():
    engine = ToyEngine()
    hub, _ = served(engine)
    found = offered()
    async with running(hub):
        await hub.refresh()
        engine.calls.clear()
        names = ("PS0a:SP", "PS0b:SP", "PS1:SP", "PS23:SP")
        await asyncio.gather(*(hub.put(found[n], np.array([1.0])) for n in names))
        assert engine.calls.count("set") == 1


async def test_all_supplies_at_once_or_none():
    hub, updates = served()
    record = offered()["ALL:SP"]
    async with running(hub):
        await hub.put(record, np.array([1.0, 2.0, 3.0, 4.0]))
        assert last(updates, "supply", "current").tolist() == [1.0, 2.0, 3.0, 4.0]
        with pytest.raises(LimitError, match=r"PS1: 11 A found, wanted -10 to 10"):
            await hub.put(record, np.array([0.0, 0.0, 11.0, 0.0]))
        with pytest.raises(LimitError, match="3 values found, wanted 4"):
            await hub.put(record, np.zeros(3))
        await hub.refresh()
        assert last(updates, "supply", "current").tolist() == [1.0, 2.0, 3.0, 4.0]


async def test_a_lost_beam_is_seen_and_comes_back():
    hub, updates = served(ToyEngine(aperture=1e-3))
    record = offered()["T:C1-H:K"]
    async with running(hub):
        await hub.refresh()
        assert hub.beam == ""
        await hub.put(record, np.array([5e-4]))
        assert np.isnan(last(updates, "bpms", "y")).all()
        assert "aperture" in updates[-1].beam
        assert last(updates, "dcct", "current")[0] == 0.0
        await hub.put(record, np.array([0.0]))
        assert np.isfinite(last(updates, "bpms", "y")).all()
        assert last(updates, "dcct", "current")[0] == pytest.approx(0.2)
        assert updates[-1].beam == ""


async def test_faults_by_any_spelling():
    hub, updates = served()
    found = offered()
    async with running(hub):
        assert hub.put_fault("freeze_bpm", "T:B0")
        await hub.refresh()
        frozen = last(updates, "bpm", "x").copy()
        await hub.put(found["PS1:SP"], np.array([5.0]))
        assert last(updates, "bpm", "x")[0] == frozen[0]
        assert last(updates, "bpm", "x")[1] != frozen[1]
        assert hub.put_fault("repair", "T-B0")
        assert hub.put_fault("stick", "PS1")
        await hub.put(found["PS1:SP"], np.array([6.0]))
        assert last(updates, "supply", "readback")[2] == 5.0
        assert last(updates, "supply", "moving")[2] == 1.0
        assert last(updates, "bpm", "x")[0] != frozen[0]
    assert not hub.put_fault("trip", "PS11")
    assert "did you mean 'PS1'" in hub.faults.message


async def test_without_noise_nothing_is_published_twice():
    hub, updates = served()
    async with running(hub):
        await hub.refresh()
        count = hub.count
        await asyncio.sleep(0.5)
        assert hub.count == count
    assert len([u for u in updates if ("tune", "qx") in u.values]) <= 1


async def test_with_noise_every_reading_is_another_one():
    hub, updates = served(seed=1)
    async with running(hub):
        await hub.refresh()
        first, count = last(updates, "bpms", "x"), hub.count
        async with asyncio.timeout(5):
            while hub.count == count:
                await asyncio.sleep(0.02)
    assert np.all(last(updates, "bpms", "x") != first)


async def test_a_failed_engine_ends_the_hub():
    class Broken(ToyEngine):
        def orbit(self):
            raise EngineError("the engine process has ended")

    hub, _ = served(Broken())
    task = asyncio.create_task(hub.run())
    await asyncio.wait_for(hub.refresh(), 5)
    with pytest.raises(EngineError):
        await task


def test_the_board_says_what_is_new_and_what_is_no_value():
    board = Board(lambda *_: None, read_only=False)
    items = of_key(list(offered(TANGO).values()))
    x = items["bpm", "x"]
    assert board.read(x[1])[2] is False
    key = "bpm", "x"
    assert board.keep({key: np.arange(8.0)})[key].all()
    assert board.keep({key: np.arange(8.0)}) == {}
    lost = np.arange(8.0)
    lost[1] = np.nan
    assert np.flatnonzero(board.keep({key: lost})[key]).tolist() == [1]
    assert board.keep({key: lost}) == {}
    assert board.read(x[1])[2] is False
    assert board.read(x[2])[0] == 2.0


def test_the_id_of_a_server_fits_a_record():
    long = replace(PROFILE, name="a" * 60)
    assert len(server_id(long, 1e10)) <= 39


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("epics_ioc", "softioc", "epics"), ("tango_server", "tango", "tango")],
)
def test_a_missing_package_names_its_extra(monkeypatch, module, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    found = importlib.import_module(f"acctwin.servers.{module}")
    with pytest.raises(MissingExtra, match=rf"pip install 'acctwin\[{extra}\]'"):
        found.required()


async def test_in_real_time_a_supply_ramps_and_its_way_is_published():
    profile = replace(PROFILE, simulation=Simulation(real_time=True))
    engine = ToyEngine()
    sim = SimMachine(engine, engine.layout, draw(profile, None), profile, None)
    updates: list[Update] = []
    hub = Hub(profile, sim, updates.append)
    async with running(hub), asyncio.timeout(5):
        await hub.put(offered()["PS1:SP"], np.array([1.0]))  # at 5 A/s
        assert last(updates, "supply", "moving")[2] == 1.0
        assert last(updates, "supply", "readback")[2] < 1.0
        while last(updates, "supply", "moving")[2]:
            await asyncio.sleep(0.02)
    way = [
        u.values["supply", "readback"][2]
        for u in updates
        if ("supply", "readback") in u.values
    ]
    assert way == sorted(way)
    assert len(set(way)) > 3
    assert way[-1] == 1.0
