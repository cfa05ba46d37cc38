"""One classic device: read it, set it and see that it is set, watch it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ophyd import EpicsSignal, Signal
from ophyd.positioner import PositionerBase
from ophyd.utils import DisconnectedError

from acctwin.backends.classic.calls import call, finished
from acctwin.backends.classic.parts import Parts, address_of, read_part
from acctwin.backends.control.signal import Found
from acctwin.errors import AcctwinError, DeviceError, LinkLost, PutRejected

#: Every put that a control system took.
puts = logging.getLogger("acctwin.puts")
#: How long to look what a device holds whose put is late, of the time for a put.
LATE_SHARE = 0.1


@dataclass(frozen=True)
class ClassicMember:
    """A classic device of a machine.

    Args:
        name: In the profile.
        parts: What of it is read and set.
        units: Of its values.
        tolerance: A setpoint that differs by more was not taken.
        put_s: How long a put may take [s].
        lock: Why nothing may be written; empty: it may.
    """

    name: str
    parts: Parts
    units: str
    tolerance: float
    put_s: float
    lock: str = ""

    async def setpoint(self) -> Found:
        """Return where it is to be; of a device that does not say so, where it is."""
        parts = self.parts
        if parts.setpoint is None:
            return await self.readback()
        return await call(partial(read_part, parts.setpoint, is_setpoint=True))

    async def readback(self) -> Found:
        """Return where it is."""
        return await call(partial(read_part, self.parts.readback))

    async def moving(self) -> Found:
        """Return 1 while it is on its way, else 0."""
        wanted, seen = await self.setpoint(), await self.readback()
        is_there = abs(wanted.value - seen.value) <= self.tolerance
        return Found(int(not is_there), seen.timestamp, seen.severity)

    async def put(self, value: float) -> None:
        """Set it; it has the setpoint, and a positioner has arrived, on return.

        Raises:
            PutRejected: It was refused, clamped, or lost.
            LinkLost: It is not connected, or there was no answer in time.
            DeviceError: A move was not over in time.
        """
        address = self.address
        if self.lock:
            raise PutRejected(f"{address}: {self.lock}; nothing was written")
        if not self.parts.put.connected:
            raise LinkLost(f"{address}: not connected; nothing was written")
        begin = _begin_of(self.parts.put, value, self.put_s)
        try:
            async with asyncio.timeout(self.put_s):
                await _succeeded(begin)
                await self._check_held(value)
        except AcctwinError:
            raise
        except DisconnectedError as error:
            raise LinkLost(f"{address}: not connected: {error}") from error
        except TimeoutError as error:
            raise await self._late(value) from error
        except Exception as error:
            words = f"{type(error).__name__}: {error}".rstrip(": ")
            raise PutRejected(f"{address}: {value:.9g} was refused: {words}") from error
        puts.info("%s: → %.9g", address, value)

    async def take(self) -> None:
        """Have the device take a fresh reading, if that is its way.

        Raises:
            LinkLost: It is not connected.
            DeviceError: There was no reading in time, or it failed.
        """
        device = self.parts.device
        if isinstance(device, Signal):
            return  # every question is answered with what there is now
        if not device.connected:
            raise LinkLost(f"{self.parts.address}: not connected")
        try:
            async with asyncio.timeout(self.put_s):
                await _succeeded(partial(_end, device.trigger))
        except Exception as error:
            words = f"{type(error).__name__}: {error}".rstrip(": ")
            raise DeviceError(f"{self.parts.address}: no reading: {words}") from error

    @property
    def address(self) -> str:
        """What is set, for messages and documents."""
        setpoint = self.parts.setpoint
        if setpoint is None:
            return self.parts.address
        return address_of(setpoint, is_setpoint=True)

    async def _check_held(self, value: float) -> None:
        if self.parts.setpoint is None:
            return  # whoever set it waits for the readback
        held = (await self.setpoint()).value
        if not abs(held - value) <= self.tolerance:
            raise PutRejected(
                f"{self.address}: the control system did not take the setpoint: "
                f"{self.name}: wanted {value:.9g} {self.units}, found {held:.9g}"
            )

    async def _late(self, value: float) -> DeviceError:
        """Return what is wrong with a put that is not over in time."""
        words = f"{self.address}: the put was not over within {self.put_s:g} s"
        try:
            async with asyncio.timeout(LATE_SHARE * self.put_s):
                await self._check_held(value)
        except PutRejected as error:
            return error
        except (LinkLost, TimeoutError):
            return LinkLost(f"{words}; whether the device has the value is not known")
        return DeviceError(f"{words}: the device does not say that it is done")


Begin = Callable[[Callable[[Any], None]], None]


async def _succeeded(begin: Begin) -> None:
    """Do something to its end; raise what went wrong with it."""
    error = await finished(begin)
    if error is not None:
        raise error


def _begin_of(put: Any, value: float, timeout_s: float) -> Begin:
    """Return what begins a put, and tells at its end what went wrong, or None."""
    if isinstance(put, EpicsSignal):
        # Not its set(): that may wait for the readback to be the same number.
        return lambda tell: put.put(
            value, use_complete=True, callback=lambda **_: tell(None)
        )
    if isinstance(put, Signal | PositionerBase):
        return partial(_end, lambda: put.set(value, timeout=timeout_s))
    return partial(_end, lambda: put.set(value))


def _end(start: Callable[[], Any], tell: Callable[[Any], None]) -> None:
    """Start something that returns a status; tell its exception, or None."""
    start().add_callback(lambda status: tell(_wrong_with(status)))


def _wrong_with(status: Any) -> BaseException | None:
    error = status.exception(timeout=0)
    # a time-out of the device ends the wait as one of ours does
    return TimeoutError(str(error)) if isinstance(error, TimeoutError) else error
