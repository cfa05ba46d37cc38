"""The link between a signal and the control system that it lives in.

Every signal of every device goes through a :class:`LinkBackend`, whatever the
transport. So limits hold for every put, also for one that goes round the device, and
the signal can be bound to another plant while the device stays the same object.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar, runtime_checkable

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

from acctwin.backends.plant import Plant, Transport
from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.devices.linked import Link, Linked
from acctwin.errors import DeviceError

#: Returns the channels of one device on a plant.
Make: TypeAlias = Callable[[Plant], Transport]

T = TypeVar("T")


@runtime_checkable
class Patient(Protocol):
    """A plant whose link may be lost, and come back."""

    async def over(self, job: Callable[[], Awaitable[T]]) -> T:
        """Do something, again after the link was lost; see ``linked.Link``."""
        ...


class LinkBackend(SignalBackend[Any]):
    """A signal backend that checks every put and hands on to a transport."""

    def __init__(self, datatype: type[Any] | None) -> None:
        super().__init__(datatype)
        self._transport: SignalBackend[Any] | None = None
        self._bounds: Bounds | None = None
        self._callback: Callback[Reading[Any]] | None = None

    def bind(self, transport: SignalBackend[Any], bounds: Bounds | None) -> None:
        """Say where the signal is, and what may be put there.

        Whoever observes the signal goes on to do so.
        """
        if self._callback is not None and self._transport is not None:
            self._transport.set_callback(None)
            transport.set_callback(self._callback)
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
        self._callback = callback


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
    """Fills a device's declared signals and commands from a plant.

    Args:
        make: Returns the device's channels on a plant.
        plant: The plant that they are on at first.
        link: What the device is reached over.
    """

    def __init__(self, make: Make, plant: Plant, link: Link) -> None:
        self._make, self._first, self._link = make, make(plant), link
        self._signals: list[tuple[LinkBackend, Channel]] = []
        self._commands: list[tuple[LinkCommand, Channel]] = []

    def create_children_from_annotations(self, device: Device) -> None:
        """Create the signals and commands that the class declares."""
        filler = DeviceFiller(device, LinkBackend, _no_children, LinkCommand)
        for backend, extras in filler.create_signals_from_annotations():
            self._signals.append((backend, _take_channel(device, extras)))
        for command, extras in filler.create_commands_from_annotations():
            self._commands.append((command, _take_channel(device, extras)))
        filler.check_created()
        self._bind(self._first)
        if isinstance(device, Linked):
            device.link_to(self._link)

    def rebind(self, plant: Plant) -> Callable[[], None]:
        """Return what binds all to another plant; it cannot fail any more."""
        transport = self._make(plant)
        return lambda: self._bind(transport)

    def _bind(self, transport: Transport) -> None:
        for backend, channel in self._signals:
            there = transport.signal(channel, backend.datatype)
            backend.bind(there, transport.bounds(channel))
        for command, channel in self._commands:
            execute = transport.command(channel)
            command.bind(execute, f"command://{channel.name}")


class Links:
    """The ties of all devices of a machine to the plant that they are on.

    Attributes:
        plant: Where the devices are now.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._connectors: list[LinkConnector] = []

    def connector(self, make: Make) -> LinkConnector:
        """Return the connector of a new device.

        Args:
            make: Returns the device's channels on a plant.
        """
        found = LinkConnector(make, self.plant, self)
        self._connectors.append(found)
        return found

    async def over(self, job: Callable[[], Awaitable[T]]) -> T:
        """Do something with a device; satisfies ``linked.Link``."""
        plant = self.plant
        return await (plant.over(job) if isinstance(plant, Patient) else job())

    async def rebind(self, plant: Plant, timeout_s: float) -> None:
        """Put all devices on another plant of the same profile.

        In the loop of the RunEngine, and not while a plan runs: whoever observes a
        signal then observes it on the new plant.

        Args:
            plant: The new one; it is connected first.
            timeout_s: How long that may take [s].

        Raises:
            LinkLost: It does not answer; the devices stay where they are.
        """
        binds = [connector.rebind(plant) for connector in self._connectors]
        await plant.connect(timeout_s)
        for bind in binds:
            bind()
        self.plant = plant


def _take_channel(device: Device, extras: list[Any]) -> Channel:
    for extra in extras:
        if isinstance(extra, Channel):
            extras.remove(extra)
            return extra
    raise TypeError(f"{type(device).__name__} declares a signal without a Channel")


def _no_children() -> NoReturn:
    raise TypeError("a device with child devices is not supported by this connector")
