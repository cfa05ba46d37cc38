"""Set and wait: a setpoint, a readback, limits, and a deadline."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from bluesky.protocols import Location
from numpy.typing import ArrayLike
from ophyd_async.core import (
    AsyncStatus,
    DeviceConnector,
    SignalR,
    SignalRW,
    wait_for_value,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.defaults import WaitDefaults
from acctwin.devices.bounds import Bounds
from acctwin.devices.linked import Linked
from acctwin.devices.status import StatusBoard
from acctwin.errors import DeviceError
from acctwin.names import FloatArray

log = logging.getLogger(__name__)


class Settable(Linked):
    """A device, or a family of devices, that can be set and waited for.

    A move is done when every |setpoint − readback| is within tolerance, or, where
    the profile says so, when no device says any more that it is moving. What is
    wanted is checked against the limits before anything moves.

    Attributes:
        moving: The device's own flag, not 0 while it is on its way; (n,) for a
            family.
        waits: When a move is over, and when it is given up.
    """

    _child_name_separator = "_"
    moving: SignalR[Any]
    waits = WaitDefaults()

    def wait_as(self, waits: WaitDefaults) -> None:
        """Say when moves are over; the flag is read in events where it decides."""
        self.waits = waits
        if waits.done == "flag":
            self.add_readables([self.moving], Format.UNCACHED_SIGNAL)

    @property
    def bounds(self) -> Bounds:
        """Limits and tolerances."""
        raise NotImplementedError

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        """Return the setpoint and the readback signal."""
        raise NotImplementedError

    @property
    def setpoint(self) -> SignalRW[Any]:
        """The signal that is put, whatever it is called on this device."""
        return self._signals()[0]

    @property
    def keys(self) -> tuple[str, str]:
        """Data keys of the setpoint and of the readback in events."""
        setpoint, readback = self._signals()
        return setpoint.name, readback.name

    @AsyncStatus.wrap
    async def set(self, value: ArrayLike) -> None:
        """Set, and return when the readback has arrived.

        Args:
            value: Wanted setpoint; one number, or (n,) for a family.

        Raises:
            LimitError: Outside the limits, not finite, wrong length; nothing moved.
            DeviceError: The readback did not arrive within the profile's time-out.
        """
        wanted = self.bounds.check(value)
        await self._over(partial(self._go_to, wanted))

    async def _go_to(self, wanted: FloatArray) -> None:
        setpoint, readback = self._signals()
        await setpoint.set(self._as_signal_value(wanted), timeout=self.waits.timeout_s)
        if self.waits.done == "flag":
            await self._wait_for_flag(setpoint, wanted)
            return
        seen = await readback.get_value(cached=False)
        if not self.bounds.reached(wanted, seen):
            await self._wait_for_readback(setpoint, readback, wanted)

    async def locate(self) -> Location[Any]:
        """Return the present setpoint and readback."""
        return await self._over(self._present)

    async def _present(self) -> Location[Any]:
        setpoint, readback = self._signals()
        return Location(
            setpoint=await setpoint.get_value(cached=False),
            readback=await readback.get_value(cached=False),
        )

    def missing_in(self, event: Mapping[str, Any]) -> str:
        """Describe what had not arrived when an event was taken; empty: nothing."""
        if self.waits.done == "flag":
            return self._still_moving(event[self.moving.name])
        setpoint, readback = self.keys
        wanted, seen = event[setpoint], event[readback]
        if self.bounds.reached(wanted, seen):
            return ""
        return self.bounds.missing(wanted, seen)

    async def _wait_for_flag(self, setpoint: SignalR[Any], wanted: FloatArray) -> None:
        await self._check_held(setpoint, wanted)
        await asyncio.sleep(self.waits.flag_delay_s)
        try:
            await wait_for_value(
                self.moving,
                lambda flags: not np.any(flags),
                timeout=self.waits.timeout_s,
            )
        except TimeoutError as error:
            words = self._still_moving(await self.moving.get_value(cached=False))
            words = f"not over within {self.waits.timeout_s:g} s: {words}"
            self._late(f"{self.moving.source}: {words}", error)

    async def _wait_for_readback(
        self, setpoint: SignalR[Any], readback: SignalR[Any], wanted: FloatArray
    ) -> None:
        await self._check_held(setpoint, wanted)
        try:
            await wait_for_value(
                readback,
                lambda seen: bool(self.bounds.reached(wanted, seen)),
                timeout=self.waits.timeout_s,
            )
        except TimeoutError as error:
            seen = await readback.get_value(cached=False)
            words = (
                f"{readback.source}: the readback did not arrive within "
                f"{self.waits.timeout_s:g} s: {self.bounds.missing(wanted, seen)}"
            )
            self._late(words, error)

    async def _check_held(self, setpoint: SignalR[Any], wanted: FloatArray) -> None:
        held = await setpoint.get_value(cached=False)
        if not self.bounds.reached(wanted, held):
            raise DeviceError(
                f"{setpoint.source}: the control system did not take the setpoint: "
                f"{self.bounds.missing(wanted, held)}"
            )

    def _still_moving(self, flags: Any) -> str:
        names = np.array(self.bounds.names)[np.atleast_1d(flags) != 0]
        shown = ", ".join(names[:5])
        more = len(names) - 5
        words = f"{shown}{f' and {more} more' if more > 0 else ''}"
        return f"still moving: {words}" if len(names) else ""

    def _late(self, words: str, error: TimeoutError) -> None:
        if self.waits.late == "error":
            raise DeviceError(words) from error
        log.warning("%s; the profile says to go on", words)

    def _as_signal_value(self, wanted: FloatArray) -> Any:
        return float(wanted[0])


@dataclass(frozen=True)
class SettableInfo:
    """What a profile says about one thing that is set.

    Attributes:
        name: Profile name.
        low: Lower limit of the setpoint.
        high: Upper limit.
        tolerance: A move is done when |setpoint − readback| is within this.
        delta: Full step of a response measurement.
        unit: Of all these.
    """

    name: str
    low: float
    high: float
    tolerance: float
    delta: float
    unit: str


InfoT = TypeVar("InfoT", bound=SettableInfo)


class SingleSettable(Settable, Generic[InfoT]):
    """One device that is set, with its limits and its status.

    Attributes:
        info: What the profile says.
    """

    info: InfoT

    def __init__(
        self, connector: DeviceConnector, info: InfoT, board: StatusBoard
    ) -> None:
        self.info = info
        self._board = board
        super().__init__(name=device_name(info.name), connector=connector)

    @property
    def bounds(self) -> Bounds:
        """Limits and tolerance."""
        return bounds_of([self.info])

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper limit of the setpoint."""
        return self.info.low, self.info.high

    @property
    def delta(self) -> float:
        """Full step of a response measurement."""
        return self.info.delta

    @property
    def is_good(self) -> bool:
        """Whether plans may use it."""
        return self._board.is_good(self.info.name)


def bounds_of(infos: Sequence[SettableInfo]) -> Bounds:
    """Return the bounds of things that are set together; unit ``various`` if mixed."""
    units = {info.unit for info in infos}
    return Bounds(
        tuple(info.name for info in infos),
        np.array([info.low for info in infos]),
        np.array([info.high for info in infos]),
        np.array([info.tolerance for info in infos]),
        units.pop() if len(units) == 1 else "various",
    )


def device_name(name: str) -> str:
    """Return a profile name as it appears in documents: ``/`` cannot be in a key."""
    return name.replace("/", "-")
