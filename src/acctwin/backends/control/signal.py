"""Signals of devices in a control system."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bluesky.protocols import Reading
from event_model import DataKey
from ophyd_async.core import Callback, SignalBackend, make_datakey

from acctwin.backends.control.channels import Channels
from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import NOWHERE, Channel
from acctwin.errors import AcctwinError, DeviceError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A value of a device, as its signal gives it.

    Attributes:
        value: A number, or an array.
        timestamp: The control system's own [s since the epoch].
        severity: 0 none, 1 minor, 2 major, −1 invalid.
    """

    value: Any
    timestamp: float
    severity: int = 0


@dataclass(frozen=True)
class Quantity:
    """One channel of a device.

    Attributes:
        read: Returns it; asked with ``fresh=True``, what the control system has now,
            else what was heard last.
        watched: Returns the addresses on which it depends; the first names it.
        units: Of the value; None where it has none.
        write: Takes a new value; None for what cannot be set.
    """

    read: Callable[..., Awaitable[Found]]
    watched: Callable[[], tuple[str, ...]]
    units: str | None = None
    write: Callable[[Any], Awaitable[None]] | None = None


@dataclass(frozen=True)
class ControlTransport:
    """The channels and commands of one device; satisfies ``plant.Transport``."""

    channels: Channels
    quantities: Mapping[str, Quantity]
    commands: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    limits: Bounds | None = None

    def signal(
        self, channel: Channel, datatype: type[Any] | None
    ) -> SignalBackend[Any]:
        """Return the backend of a signal."""
        return ControlSignal(datatype, self.quantities[channel.name], self.channels)

    def command(self, channel: Channel) -> Callable[[], Any]:
        """Return the coroutine function behind a command."""
        return self.commands[channel.name]

    def bounds(self, channel: Channel) -> Bounds | None:
        """Return the limits of a channel that can be set."""
        return self.limits if self.quantities[channel.name].write else None


class ControlSignal(SignalBackend[Any]):
    """One channel: an event takes what was heard last, ``get_value`` asks."""

    def __init__(
        self, datatype: type[Any] | None, quantity: Quantity, channels: Channels
    ) -> None:
        super().__init__(datatype)
        self._quantity, self._channels = quantity, channels
        self._end: Callable[[], None] | None = None
        self._update: asyncio.Task[None] | None = None
        self._stale = False

    def source(self, name: str, read: bool) -> str:
        """Return the address, of several the first and how many there are."""
        try:
            watched = self._quantity.watched()
        except DeviceError:
            return f"{NOWHERE}{name}"
        more = len(watched) - 1
        return f"{watched[0]} and {more} more" if more > 0 else watched[0]

    async def connect(self, timeout: float) -> None:
        """Nothing to do: all addresses of a plant are connected at once."""

    async def put(self, value: Any) -> None:
        """Set the value; the control system has it when this returns."""
        if self._quantity.write is None:
            raise DeviceError(f"{self.source('', True)} cannot be set")
        await self._quantity.write(value)

    async def get_datakey(self, source: str) -> DataKey:
        """Describe the value."""
        found = await self._quantity.read(fresh=False)
        units = self._quantity.units
        return make_datakey(
            self.datatype or float,
            found.value,
            source,
            {"units": units} if units else {},
        )

    async def get_reading(self) -> Reading[Any]:
        """Return what was heard last; after a put that is never older than the put."""
        found = await self._quantity.read(fresh=False)
        return Reading(
            value=found.value,
            timestamp=found.timestamp,
            alarm_severity=found.severity,
        )

    async def get_value(self) -> Any:
        """Return what the control system has now."""
        return (await self._quantity.read(fresh=True)).value

    async def get_setpoint(self) -> Any:
        """Return what the control system has now."""
        return await self.get_value()

    def set_callback(self, callback: Callback[Reading[Any]] | None) -> None:
        """Observe changes; readings are coalesced while one is under way."""
        if callback is not None and self._end is not None:
            raise DeviceError(f"{self.source('', True)} is monitored already")
        if self._end is not None:
            self._end()
        if self._update is not None:
            self._update.cancel()
        self._end = self._update = None
        if callback is None:
            return

        def changed() -> None:
            self._stale = True
            if self._update is None or self._update.done():
                loop = asyncio.get_running_loop()
                self._update = loop.create_task(self._push(callback))

        self._end = self._channels.observe(self._quantity.watched(), changed)
        changed()

    async def _push(self, callback: Callback[Reading[Any]]) -> None:
        while self._stale:
            self._stale = False
            try:
                callback(await self.get_reading())
            except AcctwinError as error:
                # There is no value to tell; the observer hears of the next one, and
                # whoever reads gets the error.
                log.warning("%s", error)
