"""The simulated machine as an EPICS IOC: Channel Access and PV Access at once."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.open import open_simulation
from acctwin.errors import AcctwinError, MissingExtra
from acctwin.names import FloatArray
from acctwin.profiles.control import EPICS
from acctwin.profiles.profile import Profile
from acctwin.servers import epics_db as db
from acctwin.servers.epics_fields import Fields
from acctwin.servers.epics_setpoints import set_access, setpoint, switch, text
from acctwin.servers.hub import Hub, Update
from acctwin.servers.records import Record, of_key, records
from acctwin.servers.serving import (
    Options,
    end_on_eof,
    end_on_signals,
    ready,
    server_id,
    together,
)

log = logging.getLogger(__name__)

#: Time between two beats of the server's heart [s].
HEARTBEAT_S = 0.5
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
    builder, softioc, dispatcher = required()
    sim = open_simulation(profile, options.seed)
    try:
        loop = dispatcher.AsyncioDispatcher()
        ioc = Ioc(profile, sim, builder, options)
        with tempfile.TemporaryDirectory() as folder:
            ioc.load(softioc, Path(folder))
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

    def load(self, softioc: Any, folder: Path) -> None:
        """Load all records and access rules; before ``iocInit``.

        Args:
            softioc: ``softioc.softioc``.
            folder: For files that EPICS reads until then.
        """
        profile, builder = self._profile, self._builder
        for record in self.records:
            if record.is_setpoint:
                first = self._shown[record.key] if record.size else record.value
                put = partial(self._put, record)
                self._setpoints[_place(record)] = setpoint(builder, record, first, put)
        for fault in FAULTS:
            text(builder, self._own(fault.upper()), partial(self._put_fault, fault))
        switch(builder, self._own("DROP_BEAM"), self._drop_beam)
        path = folder / "machine.db"
        counts = len(profile.bpms), len(profile.supplies)
        content = db.database(self.records, profile.name, *counts)
        path.write_text(content, encoding="utf-8")
        softioc.dbLoadDatabase(str(path), None, None)
        builder.LoadDatabase()
        rules = folder / "access.acf"
        content = db.access(read_only=self._options.read_only)
        rules.write_text(content, encoding="utf-8")
        set_access(rules)

    async def run(self) -> None:
        """Fill the records until cancelled.

        Raises:
            EngineError: The engine of the simulated machine has failed.
        """
        self._fields = Fields(of_key(self.records), self._profile.name)
        self._fields.put_names(self._profile)
        name = server_id(self._profile, time.time())
        self._fields.put_text(self._own("SERVER"), name)
        await together(self.hub.run(), self._beat(self._fields), self._announce())

    async def _announce(self) -> None:
        await self.hub.refresh()
        ready(
            f"epics {self._profile.name}: {len(self.records)} PVs, "
            f"Channel Access port {_port('CA', 5064)}, "
            f"PV Access port {_port('PVA', 5075)}, on {self._options.interface}"
        )

    async def _beat(self, fields: Fields) -> None:
        while True:
            self._beats += 1
            fields.put(self._own("HEARTBEAT"), self._beats)
            fields.put(self._own("TIME"), self._sim.clock.stamp())
            fields.put_text(self._own("MESSAGE"), self.hub.faults.message)
            await asyncio.sleep(HEARTBEAT_S)

    def _own(self, name: str) -> str:
        return db.own_name(self._profile.name, name)

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

    async def _put_fault(self, fault: str, name: str) -> None:
        if name:
            self.hub.put_fault(fault, name)
            await self.hub.refresh()

    async def _drop_beam(self, dropped: bool) -> None:
        self.hub.drop_beam(bool(dropped))
        await self.hub.refresh()


def _place(record: Record) -> Place:
    return *record.key, ALL if record.size else record.index


def required() -> tuple[Any, Any, Any]:
    """Return builder, softioc and dispatcher, or raise MissingExtra."""
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
