"""What can be set: put, with proof that the control system took it."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol, TypeAlias

import numpy as np

from acctwin.backends.control.channels import POLL_S, Channels, gather_errors
from acctwin.backends.control.columns import Column, Values
from acctwin.errors import PutRejected
from acctwin.names import FloatArray, IntArray

#: What is asked of a device: its setpoint, its readback, whether it is on its way.
What: TypeAlias = Literal["wanted", "seen", "moving"]


class Source(Protocol):
    """Setpoints and readbacks of devices of a kind, by index."""

    async def wanted(self, which: IntArray, *, fresh: bool) -> Values:
        """Return what some are set to."""
        ...

    async def seen(self, which: IntArray, *, fresh: bool) -> Values:
        """Return what some report."""
        ...

    async def moving(self, which: IntArray, *, fresh: bool) -> Values:
        """Return which are on their way: not 0."""
        ...

    async def put(self, which: IntArray, values: FloatArray) -> None:
        """Set some; return when the control system has all of them."""
        ...

    def watched(self, which: IntArray, what: What) -> tuple[str, ...]:
        """Return the addresses on which one of the above depends."""
        ...


class Settings:
    """Devices with an address for the setpoint and one for the readback.

    Args:
        channels: Where addresses are watched.
        setpoints: What is set.
        readbacks: What is reported.
        tolerance: A setpoint that differs by more was not taken, (n,).
        timeout_s: How long a put may take, proof included [s].
        flags: Which devices say that they are on their way; None: it is told from
            the readback.
    """

    def __init__(
        self,
        channels: Channels,
        setpoints: Column,
        readbacks: Column,
        tolerance: FloatArray,
        timeout_s: float,
        flags: Column | None = None,
    ) -> None:
        self._channels, self._tolerance = channels, tolerance
        self.setpoints, self.readbacks = setpoints, readbacks
        self._timeout_s, self._flags = timeout_s, flags
        self._asked: dict[int, float] = {}  # puts that are under way
        self._latest: dict[int, float] = {}

    def users(self) -> dict[str, str]:
        """Return who uses each address."""
        columns = (self.setpoints, self.readbacks, self._flags)
        found: dict[str, str] = {}
        for column in columns:
            found |= column.users() if column else {}
        return found

    def watched(self, which: IntArray, what: What) -> tuple[str, ...]:
        """Return the addresses of some devices."""
        if what == "wanted":
            return self.setpoints.addresses(which)
        if what == "moving" and self._flags is not None:
            return self._flags.addresses(which)
        readbacks = self.readbacks.addresses(which)
        more = self.setpoints.addresses(which) if what == "moving" else ()
        return *readbacks, *more

    async def wanted(self, which: IntArray, *, fresh: bool) -> Values:
        """Return what some are set to.

        Raises:
            DeviceError: A value is not valid.
            LinkLost: An address is not connected, or does not answer.
        """
        found = await self.setpoints.read(which, fresh=fresh)
        self.setpoints.check(found, which)
        return found

    async def seen(self, which: IntArray, *, fresh: bool) -> Values:
        """Return what some report; raises as :meth:`wanted` does."""
        found = await self.readbacks.read(which, fresh=fresh)
        self.readbacks.check(found, which)
        return found

    async def moving(self, which: IntArray, *, fresh: bool) -> Values:
        """Return which are on their way: 1, else 0."""
        if self._flags is not None:
            return await self._flags.read(which, fresh=fresh)
        wanted = await self.wanted(which, fresh=fresh)
        seen = await self.seen(which, fresh=fresh)
        way = np.abs(wanted.values - seen.values)
        flags = (~(way <= self._tolerance[which])).astype(np.float64)
        return Values(flags, seen.timestamp, seen.severity)

    async def present(self, which: IntArray) -> FloatArray:
        """Return what some are set to, puts that are under way included, (n,)."""
        values = (await self.wanted(which, fresh=False)).values.copy()
        for place, device in enumerate(which.tolist()):
            values[place] = self._asked.get(device, values[place])
        return values

    async def put(self, which: IntArray, values: FloatArray) -> None:
        """Set some; return when the control system has all of them.

        Those that are there already are not written.

        Raises:
            PutRejected: Some were refused, clamped, or lost.
            LinkLost: There was no answer in time.
        """
        moved = values != await self.present(which)
        which, values = which[moved], values[moved]
        asked = dict(zip(which.tolist(), values.tolist(), strict=True))
        self._asked.update(asked)
        self._latest.update(asked)
        try:
            await self._send(which, values)
        finally:
            for device, value in asked.items():
                if self._asked.get(device) == value:
                    del self._asked[device]

    async def _send(self, which: IntArray, values: FloatArray) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        whole = self.setpoints.whole
        if whole is not None and len(which) > 1:
            done = await self._send_array(whole, which, values)
        else:
            done = await self._send_each(which, values)
        while True:
            held = await self.setpoints.read(which, fresh=True)
            words = self._not_held(which, values, held.values)
            if not words:
                return
            left = deadline - loop.time()
            if done or left <= 0.0:
                raise PutRejected(words)
            await asyncio.sleep(min(POLL_S, left))

    async def _send_each(self, which: IntArray, values: FloatArray) -> bool:
        """Put all at once, each at its own address; say whether all are done."""
        puts = [
            self._channels.put(self.setpoints.address(device), value, self._timeout_s)
            for device, value in zip(which.tolist(), values.tolist(), strict=True)
        ]
        results = await asyncio.gather(*puts, return_exceptions=True)
        gather_errors(results)
        return all(results)

    async def _send_array(
        self, whole: str, which: IntArray, values: FloatArray
    ) -> bool:
        """Put the array of all devices, with some of them changed."""
        every = np.arange(len(self.setpoints.names))
        found = await self.setpoints.read(every, fresh=True)
        array = self.setpoints.check(found, every).copy()
        for device, value in self._asked.items():
            array[device] = value
        array[which] = values
        return await self._channels.put(whole, array, self._timeout_s)

    def _not_held(self, which: IntArray, values: FloatArray, held: FloatArray) -> str:
        """Describe the setpoints that are not what was put; empty: all are."""
        # Some may have been set again since; then that is what they are to hold.
        pairs = zip(which.tolist(), values.tolist(), strict=True)
        wanted = np.array([self._latest.get(device, value) for device, value in pairs])
        missed = ~(np.abs(held - wanted) <= self._tolerance[which])
        if not missed.any():
            return ""
        lines = [
            f"{self.setpoints.names[int(which[i])]}: wanted {wanted[i]:.9g}, "
            f"found {held[i]:.9g}"
            for i in np.flatnonzero(missed)
        ]
        where = self.setpoints.addresses(which[missed])[0]
        more = f"; and {len(lines) - 5} more" if len(lines) > 5 else ""
        return (
            f"{where}: the control system did not take the setpoint: "
            f"{'; '.join(lines[:5])}{more}"
        )
