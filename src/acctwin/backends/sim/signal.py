"""A signal of a machine in this process: reads and writes through plain functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bluesky.protocols import Reading
from event_model import DataKey
from ophyd_async.core import Callback, SignalBackend, make_datakey

from acctwin.errors import AcctwinError, DeviceError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Port:
    """One quantity of a simulated, or of a recorded, machine.

    Attributes:
        address: Where it is, for ``sim://address``.
        read: Returns the value and the time it was taken [s since the epoch].
        units: Of the value; None where a value has none.
        write: Takes a new value; None for what cannot be set.
        scheme: What stands before the address.
    """

    address: str
    read: Callable[[], Awaitable[tuple[Any, float]]]
    units: str | None = None
    write: Callable[[Any], None] | None = None
    scheme: str = "sim"

    @property
    def source(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.address}"


@dataclass
class Changes:
    """Tells monitors that the machine has changed."""

    listeners: set[Callable[[], None]] = field(default_factory=set)

    def notify(self) -> None:
        """Tell every listener."""
        for listener in list(self.listeners):
            listener()


class SimSignalBackend(SignalBackend[Any]):
    """Never stale: a read asks the machine, a monitor is told of every change."""

    def __init__(
        self, datatype: type[Any] | None, port: Port, changes: Changes
    ) -> None:
        super().__init__(datatype)
        self._port, self._changes = port, changes
        self._callback: Callback[Reading[Any]] | None = None
        self._update: asyncio.Task[None] | None = None
        self._stale = False

    def source(self, name: str, read: bool) -> str:
        """Return the address."""
        return self._port.source

    async def connect(self, timeout: float) -> None:
        """Nothing to do: the machine is in this process."""

    async def put(self, value: Any) -> None:
        """Set the value; the machine has it when this returns."""
        if self._port.write is None:
            raise DeviceError(f"{self._port.source} cannot be set")
        self._port.write(value)
        self._changes.notify()

    async def get_datakey(self, source: str) -> DataKey:
        """Describe the value."""
        value, _ = await self._port.read()
        units = self._port.units
        return make_datakey(
            self.datatype or float, value, source, {"units": units} if units else {}
        )

    async def get_reading(self) -> Reading[Any]:
        """Return the value and the time it was taken."""
        value, timestamp = await self._port.read()
        return Reading(value=value, timestamp=timestamp, alarm_severity=0)

    async def get_value(self) -> Any:
        """Return the value."""
        return (await self._port.read())[0]

    async def get_setpoint(self) -> Any:
        """Return the value: a simulated setpoint is where it was put."""
        return await self.get_value()

    def set_callback(self, callback: Callback[Reading[Any]] | None) -> None:
        """Observe changes; reads are coalesced while one is under way."""
        if callback is not None and self._callback is not None:
            raise DeviceError(f"{self._port.source} is monitored already")
        self._callback = callback
        if callback is not None:
            self._changes.listeners.add(self._changed)
            self._changed()
            return
        self._changes.listeners.discard(self._changed)
        if self._update is not None:
            self._update.cancel()
            self._update = None

    def _changed(self) -> None:
        self._stale = True
        if self._update is None or self._update.done():
            self._update = asyncio.get_running_loop().create_task(self._push())

    async def _push(self) -> None:
        while self._stale:
            self._stale = False
            try:
                reading = await self.get_reading()
            except AcctwinError as error:
                # There is no value to tell; whoever reads gets the error.
                log.warning("%s", error)
                continue
            if self._callback is not None:
                self._callback(reading)
