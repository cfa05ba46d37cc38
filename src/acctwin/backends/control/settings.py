"""What can be set: put, with proof that the control system took it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import numpy as np

from acctwin.backends.control.channels import POLL_S, Channels, gather_errors
from acctwin.backends.control.client import Sample
from acctwin.backends.control.columns import Column, Values
from acctwin.errors import DeviceError, PutRejected
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
        #: What was taken, and how often the link had been lost by then.
        self._taken: dict[int, tuple[float, int]] = {}

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
            losses = self._channels.losses
            self._taken.update({i: (value, losses) for i, value in asked.items()})
        finally:
            for device, value in asked.items():
                if self._asked.get(device) == value:
                    del self._asked[device]

    async def put_back(self, before: Mapping[str, Sample]) -> list[str]:
        """Set all to what they were before the link was lost, or asked to be since.

        Args:
            before: What was heard last by then, by address.

        Returns:
            What was put back, in words; nothing where all is as it was.

        Raises:
            PutRejected: Some were refused, clamped, or lost.
            DeviceError: Some did not arrive in time.
            LinkLost: The link is lost again.
        """
        wanted = self.setpoints.known(before)
        for device, (value, losses) in self._taken.items():
            if losses == self._channels.losses:
                wanted[device] = value
        if not wanted:
            return []
        which = np.array(sorted(wanted))
        values = np.array([wanted[device] for device in which.tolist()])
        found = (await self.wanted(which, fresh=True)).values
        differs = found != values
        if not differs.any():
            return []
        await self.put(which[differs], values[differs])
        await self._arrive(which[differs])
        rows = zip(which[differs], found[differs], values[differs], strict=True)
        names = self.setpoints.names
        return [f"{names[i]} {was:.9g} → {now:.9g}" for i, was, now in rows]

    async def _arrive(self, which: IntArray) -> None:
        """Wait until some devices no longer move."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        while True:
            flags = (await self.moving(which, fresh=True)).values
            if not flags.any():
                return
            if asyncio.get_running_loop().time() > deadline:
                late = which[flags != 0]
                names = ", ".join(self.setpoints.names[int(i)] for i in late[:5])
                more = f" and {len(late) - 5} more" if len(late) > 5 else ""
                raise DeviceError(
                    f"{self.readbacks.addresses(late)[0]}: put back, and not there "
                    f"within {self._timeout_s:g} s: {names}{more}"
                )
            await asyncio.sleep(POLL_S)

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
