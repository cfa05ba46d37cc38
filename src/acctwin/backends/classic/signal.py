"""Signals of members that classic devices, or nothing, stand behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bluesky.protocols import Reading
from event_model import DataKey
from ophyd_async.core import Callback, SignalBackend, make_datakey

from acctwin.backends.classic.calls import call
from acctwin.backends.control.signal import Found
from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import NOWHERE, Channel
from acctwin.errors import AcctwinError, DeviceError

log = logging.getLogger(__name__)

#: Time between two questions while somebody watches and nothing tells of changes [s].
POLL_S = 0.2


@dataclass(frozen=True)
class Quantity:
    """One channel of a member.

    Attributes:
        source: Where it is.
        read: Returns it.
        units: Of the value; None where it has none.
        write: Sets it; None for what cannot be set.
        part: The classic signal or positioner that tells of changes; None: nothing
            does.
    """

    source: str
    read: Callable[[], Awaitable[Found]]
    units: str | None = None
    write: Callable[[float], Awaitable[None]] | None = None
    part: Any = None


@dataclass(frozen=True)
class MemberTransport:
    """The channels and commands of a member; satisfies ``plant.Transport``."""

    quantities: Mapping[str, Quantity]
    commands: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    limits: Bounds | None = None

    def signal(
        self, channel: Channel, datatype: type[Any] | None
    ) -> SignalBackend[Any]:
        """Return the backend of a signal."""
        return MemberSignal(datatype, self.quantities[channel.name])

    def command(self, channel: Channel) -> Callable[[], Any]:
        """Return the coroutine function behind a command."""
        return self.commands[channel.name]

    def bounds(self, channel: Channel) -> Bounds | None:
        """Return the limits of a channel that can be set."""
        return self.limits if self.quantities[channel.name].write else None


def nowhere(name: str, why: str) -> MemberTransport:
    """Return the channels of a member that nothing stands behind.

    Args:
        name: In the profile.
        why: What to tell whoever uses it.
    """

    async def refuse(*_: Any) -> Any:
        raise DeviceError(why)

    there = Quantity(f"{NOWHERE}{name}", refuse, write=refuse)
    only_read = Quantity(f"{NOWHERE}{name}", refuse)
    quantities = {"value": there, "readback": only_read, "moving": only_read}
    return MemberTransport(quantities, {"acquire": refuse})


class MemberSignal(SignalBackend[Any]):
    """One channel: every question is asked of the device."""

    def __init__(self, datatype: type[Any] | None, quantity: Quantity) -> None:
        super().__init__(datatype)
        self._quantity = quantity
        self._watch: asyncio.Task[None] | None = None

    def source(self, name: str, read: bool) -> str:
        """Return the address."""
        return self._quantity.source

    async def connect(self, timeout: float) -> None:
        """Nothing to do: all members of a plant are connected at once."""

    async def put(self, value: Any) -> None:
        """Set the value; the device has it when this returns."""
        if self._quantity.write is None:
            raise DeviceError(f"{self._quantity.source} cannot be set")
        await self._quantity.write(float(value))

    async def get_datakey(self, source: str) -> DataKey:
        """Describe the value."""
        found, units = await self._quantity.read(), self._quantity.units
        extra: Any = {"units": units} if units else {}
        return make_datakey(self.datatype or float, found.value, source, extra)

    async def get_reading(self) -> Reading[Any]:
        """Return what the device says now."""
        found = await self._quantity.read()
        return Reading(
            value=found.value,
            timestamp=found.timestamp,
            alarm_severity=found.severity,
        )

    async def get_value(self) -> Any:
        """Return what the device says now."""
        return (await self._quantity.read()).value

    async def get_setpoint(self) -> Any:
        """Return what the device says now."""
        return await self.get_value()

    def set_callback(self, callback: Callback[Reading[Any]] | None) -> None:
        """Observe changes."""
        if callback is not None and self._watch is not None:
            raise DeviceError(f"{self._quantity.source} is monitored already")
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if callback is not None:
            loop = asyncio.get_running_loop()
            self._watch = loop.create_task(self._observe(callback))

    async def _observe(self, callback: Callback[Reading[Any]]) -> None:
        changed, loop = asyncio.Event(), asyncio.get_running_loop()

        def hear(**_: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(changed.set)

        part, told = self._quantity.part, None
        token = await call(lambda: part.subscribe(hear, run=False)) if part else None
        try:
            while True:
                changed.clear()
                told = await self._tell(callback, told)
                try:
                    async with asyncio.timeout(POLL_S):
                        await changed.wait()
                except TimeoutError:
                    continue  # nothing told of a change: ask
        finally:
            if part:
                part.unsubscribe(token)

    async def _tell(self, callback: Callback[Reading[Any]], told: Any) -> Any:
        """Tell of a value that is not the one told last; return the one told last."""
        try:
            reading = await self.get_reading()
        except AcctwinError as error:
            # There is no value to tell; the observer hears of the next one, and
            # whoever reads gets the error.
            log.warning("%s", error)
            return None
        if reading["value"] != told:
            callback(reading)
        return reading["value"]
