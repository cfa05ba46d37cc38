"""The link between a signal and the control system that it lives in.

Every signal of every device goes through a :class:`LinkBackend`, whatever the
transport. So limits hold for every put, also for one that goes round the device.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from bluesky.protocols import Reading
from event_model import DataKey
from ophyd_async.core import (
    Callback,
    CommandBackend,
    Device,
    DeviceConnector,
    DeviceFiller,
    SignalBackend,
)

from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.errors import DeviceError


class Transport(Protocol):
    """Makes the backends of one device's channels."""

    def signal(
        self, channel: Channel, datatype: type[Any] | None
    ) -> SignalBackend[Any]:
        """Return the backend of a signal."""
        ...

    def command(self, channel: Channel) -> Callable[[], Any]:
        """Return the coroutine function behind a command."""
        ...

    def bounds(self, channel: Channel) -> Bounds | None:
        """Return the limits of a channel that can be set, None for others."""
        ...


class LinkBackend(SignalBackend[Any]):
    """A signal backend that checks every put and hands on to a transport."""

    def __init__(self, datatype: type[Any] | None) -> None:
        super().__init__(datatype)
        self._transport: SignalBackend[Any] | None = None
        self._bounds: Bounds | None = None

    def bind(self, transport: SignalBackend[Any], bounds: Bounds | None) -> None:
        """Say where the signal is, and what may be put there."""
        self._transport, self._bounds = transport, bounds

    @property
    def _there(self) -> SignalBackend[Any]:
        if self._transport is None:
            raise DeviceError("this signal is not bound to a control system")
        return self._transport

    def source(self, name: str, read: bool) -> str:
        """Return the address of the signal."""
        return self._there.source(name, read)

    async def connect(self, timeout: float) -> None:
        """Connect to the control system."""
        await self._there.connect(timeout)

    async def put(self, value: Any) -> None:
        """Put a value, if it is finite and inside the limits."""
        if self._bounds is not None:
            self._bounds.check(value)
        await self._there.put(value)

    async def get_datakey(self, source: str) -> DataKey:
        """Describe the value."""
        return await self._there.get_datakey(source)

    async def get_reading(self) -> Reading[Any]:
        """Return value, time stamp and severity."""
        return await self._there.get_reading()

    async def get_value(self) -> Any:
        """Return the value."""
        return await self._there.get_value()

    async def get_setpoint(self) -> Any:
        """Return what was last asked for."""
        return await self._there.get_setpoint()

    def set_callback(self, callback: Callback[Reading[Any]] | None) -> None:
        """Observe changes."""
        self._there.set_callback(callback)


class LinkCommand(CommandBackend[[], None]):
    """A command backend that hands on to a transport."""

    def __init__(self, signature: inspect.Signature | None) -> None:
        super().__init__(signature)
        self._execute: Callable[[], Any] | None = None
        self._source = "unbound://"

    def bind(self, execute: Callable[[], Any], source: str) -> None:
        """Say what the command does."""
        self._execute, self._source = execute, source

    def source(self, name: str) -> str:
        """Return the address of the command."""
        return self._source

    async def connect(self, timeout: float) -> None:
        """Nothing to do: a transport connects with its signals."""

    async def execute(self) -> None:
        """Run the command and wait for it."""
        if self._execute is None:
            raise DeviceError("this command is not bound to a control system")
        await self._execute()


class LinkConnector(DeviceConnector):
    """Fills a device's declared signals and commands from a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create_children_from_annotations(self, device: Device) -> None:
        """Create the signals and commands that the class declares."""
        filler = DeviceFiller(device, LinkBackend, _no_children, LinkCommand)
        for backend, extras in filler.create_signals_from_annotations():
            channel = _take_channel(device, extras)
            there = self._transport.signal(channel, backend.datatype)
            backend.bind(there, self._transport.bounds(channel))
        for command, extras in filler.create_commands_from_annotations():
            channel = _take_channel(device, extras)
            execute = self._transport.command(channel)
            command.bind(execute, f"command://{channel.name}")
        filler.check_created()


def _take_channel(device: Device, extras: list[Any]) -> Channel:
    for extra in extras:
        if isinstance(extra, Channel):
            extras.remove(extra)
            return extra
    raise TypeError(f"{type(device).__name__} declares a signal without a Channel")


def _no_children() -> NoReturn:
    raise TypeError("a device with child devices is not supported by this connector")
