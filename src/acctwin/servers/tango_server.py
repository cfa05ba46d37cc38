"""The simulated machine as a Tango device server, with or without a database."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import threading
import time
from typing import Any

from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.open import open_simulation
from acctwin.errors import AcctwinError, MissingExtra
from acctwin.names import FloatArray
from acctwin.profiles.control import TANGO
from acctwin.profiles.profile import Profile
from acctwin.servers.hub import Hub, Update
from acctwin.servers.records import Record, of_key, records
from acctwin.servers.serving import Options, end_on_eof, ready, server_id, together
from acctwin.servers.tango_devices import (
    Board,
    attribute_of,
    device_class,
    device_of,
    signature,
)
from acctwin.servers.tango_simulation import simulation_class

log = logging.getLogger(__name__)

#: Time between two beats of the server's heart [s].
HEARTBEAT_S = 0.5
SERVER = "acctwin"
#: Port of a server without a database.
PORT = 10000


def serve(
    profile: Profile, options: Options, *, port: int | None, database: bool
) -> None:
    """Serve a machine until told to end.

    Args:
        profile: The checked profile.
        options: How it is served.
        port: Of the server; default: 10000, or any with a database.
        database: Whether to use the database of ``$TANGO_HOST``; devices are
            registered there.

    Raises:
        MissingExtra: PyTango is not installed.
        EngineError: The engine of the simulated machine has failed.
    """
    tango = required()
    if port is None:
        port = 0 if database else PORT
    sim = open_simulation(profile, options.seed)
    try:
        TangoServer(tango, profile, sim, options).run(port, database)
    finally:
        sim.engine.close()


class TangoServer:
    """The devices of one machine and what fills them.

    Args:
        tango: The package.
        profile: The checked profile.
        sim: The simulated machine.
        options: How it is served.
    """

    def __init__(
        self, tango: Any, profile: Profile, sim: SimMachine, options: Options
    ) -> None:
        self._tango, self._profile, self._sim = tango, profile, sim
        self._options = options
        self.hub = Hub(profile, sim, self._publish)
        self.read_only = options.read_only
        self.id = server_id(profile, time.time())
        start = self.hub.start_values()
        self.records = records(profile, start, TANGO)
        self._board = Board(self._put, read_only=options.read_only)
        self._board.keep(start)
        self._by_key = of_key(self.records)
        self._by_device: dict[str, list[Record]] = {}
        for record in self.records:
            self._by_device.setdefault(device_of(record).lower(), []).append(record)
        self._known: dict[str, Any] = {
            "board": self._board,
            "records": self._by_device,
            "devices": {},
        }
        self._loop = asyncio.new_event_loop()
        self._failure: BaseException | None = None

    def run(self, port: int, database: bool) -> None:
        """Serve until a signal ends it."""
        classes, devices = self._classes()
        listed = [f"{name}::{device}" for device, name in devices.items()]
        instance = self._profile.name
        arguments = [SERVER, instance]
        endpoint = f"giop:tcp:{self._options.interface}:{port or ''}"
        arguments += ["-ORBendPoint", endpoint]
        if database:
            self._register(devices, instance)
        else:
            arguments += ["-nodb", "-dlist", ",".join(listed)]
        if self._options.until_eof:
            end_on_eof()
        where = f"in the database of {os.environ.get('TANGO_HOST', '')}"
        if not database:
            where = f"port {port}, on {self._options.interface}"
        self._tango.server.run(
            classes, args=arguments, post_init_callback=lambda: self._begin(where)
        )
        if self._failure is not None:
            raise self._failure

    def _classes(self) -> tuple[list[Any], dict[str, str]]:
        """Return the device classes, and the class of each device by its name."""
        classes: dict[object, Any] = {}
        devices: dict[str, str] = {}
        for device, items in self._by_device.items():
            like = signature(items)
            if like not in classes:
                kind = items[0].address.kind
                count = sum(name.startswith(_title(kind)) for name in devices.values())
                title = _title(kind) + (str(len(classes)) if count else "")
                classes[like] = device_class(self._tango, title, items, self._known)
            devices[device] = classes[like].__name__
        simulation = simulation_class(self._tango, self)
        devices[f"{self._profile.name}/sim/control"] = simulation.__name__
        return [*classes.values(), simulation], devices

    def _register(self, devices: dict[str, str], instance: str) -> None:
        """Tell the database which devices this server has."""
        infos: list[Any] = []
        for device, name in devices.items():
            info = self._tango.DbDevInfo()
            info.name, info._class = device, name  # noqa: SLF001  PyTango's own name
            info.server = f"{SERVER}/{instance}"
            infos.append(info)
        self._tango.Database().add_server(f"{SERVER}/{instance}", infos)

    def _begin(self, where: str) -> None:
        """Start the machine's loop; Tango is up."""
        model = self._tango.SerialModel.NO_SYNC
        self._tango.Util.instance().set_serial_model(model)
        thread = threading.Thread(target=self._live, args=(where,), daemon=True)
        thread.start()

    def _live(self, where: str) -> None:
        """Run the machine's loop in a thread that Tango knows."""
        with self._tango.EnsureOmniThread():
            try:
                self._loop.run_until_complete(self._run(where))
            except BaseException as error:
                self._failure = error
                os.kill(os.getpid(), signal.SIGTERM)

    async def _run(self, where: str) -> None:
        await together(self.hub.run(), self._announce(where))

    async def _announce(self, where: str) -> None:
        await self.hub.refresh()
        ready(
            f"tango {self._profile.name}: {len(self._known['devices'])} devices, "
            f"{len(self.records)} attributes, {where}"
        )

    def put_fault(self, fault: str, name: str) -> bool:
        """Put in a fault, from any thread; return whether there is such a device."""
        return self._ask(lambda: self.hub.put_fault(fault, name))

    def drop_beam(self, dropped: bool) -> None:
        """Drop the beam, or let it be injected again; from any thread."""
        self._ask(lambda: self.hub.drop_beam(dropped))

    @property
    def simulated_time(self) -> float:
        """The machine's own time [s since the epoch]."""
        return self._sim.clock.stamp()

    def _ask(self, what: Any) -> Any:
        """Have something done in the machine's loop and wait: it is quick there."""

        async def do() -> Any:
            return what()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(5.0)

    def _put(self, record: Record, value: FloatArray) -> None:
        """Hand a client's value over; nobody waits."""
        asyncio.run_coroutine_threadsafe(self._try(record, value), self._loop)

    async def _try(self, record: Record, value: FloatArray) -> None:
        try:
            await self.hub.put(record, value)
        except AcctwinError as error:
            self.hub.faults.message = f"{record.name}: {error}"
            log.warning("%s: %s", record.name, error)

    def _publish(self, update: Update) -> None:
        """Keep what is new and push it, in the machine's loop."""
        for key, differs in self._board.keep(update.values).items():
            for record in self._by_key.get(key, ()):
                if record.size or differs[record.index]:
                    self._push(record)

    def _push(self, record: Record) -> None:
        device = self._known["devices"].get(device_of(record).lower())
        if device is None:
            return
        value, stamp, is_valid = self._board.read(record)
        quality = self._tango.AttrQuality
        state = quality.ATTR_VALID if is_valid else quality.ATTR_INVALID
        device.push_change_event(attribute_of(record), value, stamp, state)


def _title(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("_"))


def required() -> Any:
    """Return the package, or raise MissingExtra."""
    try:
        found: Any = importlib.import_module("tango")
        importlib.import_module("tango.server")
    except ImportError as error:
        raise MissingExtra("pytango", "tango") from error
    return found
