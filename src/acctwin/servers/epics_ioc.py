"""The simulated machine as an EPICS IOC: Channel Access and PV Access at once."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from ctypes import c_int
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.open import open_simulation
from acctwin.errors import AcctwinError, DeviceError, MissingExtra
from acctwin.names import FloatArray
from acctwin.profiles.control import EPICS
from acctwin.profiles.profile import Profile
from acctwin.servers import epics_db as db
from acctwin.servers.epics_fields import Fields
from acctwin.servers.hub import Hub, Update
from acctwin.servers.records import Record, of_key, records
from acctwin.servers.serving import (
    Options,
    end_on_eof,
    end_on_signals,
    ready,
    server_id,
)

log = logging.getLogger(__name__)

#: Time between two beats of the server's heart [s].
HEARTBEAT_S = 0.5
#: Fraction of a setpoint's range at either end where it has a minor alarm.
ALARM_RANGE = 0.05
_ADDRESSES = ("CAS_INTF_ADDR_LIST", "PVAS_INTF_ADDR_LIST", "CAS_BEACON_ADDR_LIST")
#: Kind, channel, and which device of the kind: its index, or all in an array.
Place: TypeAlias = tuple[str, str, int]
ALL = -1
FAULTS = ("trip", "stick", "repair", "freeze_bpm")


def serve(profile: Profile, options: Options) -> None:
    """Serve a machine until told to end.

    Raises:
        MissingExtra: softioc is not installed.
        EngineError: The engine of the simulated machine has failed.
    """
    _listen_on(options.interface)
    builder, softioc, dispatcher = _softioc()
    sim = open_simulation(profile, options.seed)
    try:
        loop = dispatcher.AsyncioDispatcher()
        ioc = Ioc(profile, sim, builder, options)
        ioc.load(softioc)
        softioc.iocInit(loop)
        end = threading.Event()
        end_on_signals(end.set)
        if options.until_eof:
            end_on_eof()
        running = asyncio.run_coroutine_threadsafe(ioc.run(), loop.loop)
        running.add_done_callback(lambda _: end.set())
        end.wait()
        if running.done():
            running.result()
        running.cancel()
    finally:
        sim.engine.close()


class Ioc:
    """The records of one machine and what fills them.

    Args:
        profile: The checked profile.
        sim: The simulated machine.
        builder: ``softioc.builder``.
        options: How it is served.
    """

    def __init__(
        self, profile: Profile, sim: SimMachine, builder: Any, options: Options
    ) -> None:
        self._profile, self._sim, self._builder = profile, sim, builder
        self._options = options
        self.hub = Hub(profile, sim, self._publish)
        start = self.hub.start_values()
        self.records = records(profile, start, EPICS)
        self._fields: Fields | None = None
        self._setpoints: dict[Place, Any] = {}
        self._echoes: dict[Place, FloatArray] = {}
        self._shown = {
            record.key: start[record.key].copy()
            for record in self.records
            if record.is_setpoint and record.key in start
        }
        self._beats = 0

    def load(self, softioc: Any) -> None:
        """Load all records; before ``iocInit``."""
        from epicscorelibs.ioc import dbCore  # type: ignore[import-untyped]

        # As root, iocInit would lock all memory of this process.
        c_int.in_dll(dbCore, "dbThreadRealtimeLock").value = 0
        profile, builder = self._profile, self._builder
        for record in self.records:
            if record.is_setpoint:
                self._setpoints[_place(record)] = self._setpoint(record)
        for fault in FAULTS:
            self._fault(fault)
        self._command("DROP_BEAM", self._drop_beam)
        text = db.database(
            self.records, profile.name, len(profile.bpms), len(profile.supplies)
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "machine.db")
            path.write_text(text, encoding="utf-8")
            softioc.dbLoadDatabase(str(path), None, None)
            builder.LoadDatabase()
        rules = db.access(read_only=self._options.read_only)
        with tempfile.NamedTemporaryFile(
            "w", suffix=".acf", delete=False, encoding="utf-8"
        ) as file:
            file.write(rules)
        if dbCore.asSetFilename(file.name.encode()):
            raise DeviceError(f"EPICS does not take the access rules {file.name}")

    async def run(self) -> None:
        """Fill the records until cancelled."""
        self._fields = Fields(of_key(self.records), self._profile.name)
        self._fields.put_names(self._profile)
        own = partial(db.own_name, self._profile.name)
        self._fields.put_text(own("SERVER"), server_id(self._profile, time.time()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.hub.run())
            tasks.create_task(self._beat())
            await self.hub.refresh()
            ready(
                f"epics {self._profile.name}: {len(self.records)} PVs, "
                f"Channel Access port {_port('CA', 5064)}, "
                f"PV Access port {_port('PVA', 5075)}, on {self._options.interface}"
            )

    async def _beat(self) -> None:
        own = partial(db.own_name, self._profile.name)
        while self._fields is not None:
            self._beats += 1
            self._fields.put(own("HEARTBEAT"), self._beats)
            self._fields.put(own("TIME"), self._sim.clock.stamp())
            self._fields.put_text(own("MESSAGE"), self.hub.faults.message)
            await asyncio.sleep(HEARTBEAT_S)

    def _publish(self, update: Update) -> None:
        if self._fields is not None:
            self._follow(update)
            self._fields.publish(update)

    def _follow(self, update: Update) -> None:
        """Show in setpoints what was set in another way, such as all at once.

        Also what was refused: the setpoint is again what the machine has.
        """
        for key, shown in self._shown.items():
            values = update.values.get(key)
            if values is None or np.array_equal(values, shown):
                continue
            self._shown[key] = values.copy()
            if (*key, ALL) in self._setpoints:
                self._show((*key, ALL), values)
            for index in np.flatnonzero(values != shown).tolist():
                if (*key, index) in self._setpoints:
                    self._show((*key, index), values[[index]])

    def _show(self, place: Place, value: FloatArray) -> None:
        """Show in a setpoint what it is now; that is no put."""
        self._echoes[place] = value
        self._setpoints[place].set(value if place[-1] == ALL else float(value[0]))

    def _setpoint(self, record: Record) -> Any:
        builder = self._builder
        on_update = partial(self._put, record)
        if record.size:
            return builder.WaveformOut(
                record.name,
                initial_value=self._shown[record.key],
                EGU=record.unit,
                PREC=record.precision,
                on_update=on_update,
                validate=_is_finite,
                always_update=True,
                blocking=True,
                ASG="SETPOINT",
            )
        margin = ALARM_RANGE * (record.high - record.low)
        return builder.aOut(
            record.name,
            DRVL=record.low,
            DRVH=record.high,
            EGU=record.unit,
            PREC=record.precision,
            LOW=record.low + margin,
            HIGH=record.high - margin,
            LSV="MINOR",
            HSV="MINOR",
            initial_value=record.value,
            on_update=on_update,
            validate=_is_finite,
            always_update=True,
            blocking=True,
            ASG="SETPOINT",
        )

    async def _put(self, record: Record, value: Any) -> None:
        """Take a client's value; its put is over when this returns."""
        place, values = _place(record), np.atleast_1d(np.asarray(value, dtype=float))
        if np.array_equal(self._echoes.pop(place, np.zeros(0)), values):
            return
        shown = self._shown.get(record.key)
        if shown is not None and not record.size:
            shown[record.index] = values[0]
        elif shown is not None:
            self._shown[record.key] = values
        try:
            await self.hub.put(record, values)
        except AcctwinError as error:
            self.hub.faults.message = f"{record.name}: {error}"
            log.warning("%s: %s", record.name, error)

    def _fault(self, fault: str) -> None:
        """Add the record that takes the name of a device to break, or to repair."""

        async def put(name: str) -> None:
            if name:
                self.hub.put_fault(fault, name)
                await self.hub.refresh()

        self._builder.stringOut(
            db.own_name(self._profile.name, fault.upper()),
            on_update=put,
            always_update=True,
            blocking=True,
            ASG="SETPOINT",
        )

    def _command(
        self, name: str, put: Callable[[bool], Coroutine[Any, Any, None]]
    ) -> None:
        self._builder.boolOut(
            db.own_name(self._profile.name, name),
            ZNAM="no",
            ONAM="yes",
            on_update=put,
            always_update=True,
            blocking=True,
            ASG="SETPOINT",
        )

    async def _drop_beam(self, dropped: bool) -> None:
        self.hub.drop_beam(bool(dropped))
        await self.hub.refresh()


def _place(record: Record) -> Place:
    return *record.key, ALL if record.size else record.index


def _is_finite(record: Any, value: Any) -> bool:
    return bool(np.all(np.isfinite(value)))


def _softioc() -> tuple[Any, Any, Any]:
    try:
        from softioc import asyncio_dispatcher, builder, softioc  # type: ignore
    except ImportError as error:
        raise MissingExtra("softioc", "epics") from error
    return builder, softioc, asyncio_dispatcher


def _listen_on(interface: str) -> None:
    """Keep the servers to one interface; before EPICS is loaded."""
    for name in _ADDRESSES:
        os.environ[f"EPICS_{name}"] = interface
    os.environ["EPICS_PVAS_BEACON_ADDR_LIST"] = interface
    os.environ["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] = "NO"
    os.environ["EPICS_PVAS_AUTO_BEACON_ADDR_LIST"] = "NO"


def _port(protocol: str, usual: int) -> str:
    """Return the port that a server takes by the environment."""
    for name in (f"EPICS_{protocol}S_SERVER_PORT", f"EPICS_{protocol}_SERVER_PORT"):
        if name in os.environ:
            return os.environ[name]
    return str(usual)
