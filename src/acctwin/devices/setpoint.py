"""Set and wait: a setpoint, a readback, limits, and a deadline."""

from __future__ import annotations

from typing import Any

import numpy as np
from bluesky.protocols import Location
from numpy.typing import ArrayLike
from ophyd_async.core import (
    AsyncStatus,
    SignalR,
    SignalRW,
    StandardReadable,
    wait_for_value,
)

from acctwin.devices.bounds import Bounds
from acctwin.errors import DeviceError
from acctwin.names import FloatArray

#: How long a readback may take to arrive [s], where a profile says nothing.
SET_TIMEOUT_S = 10.0


class Settable(StandardReadable):
    """A device, or a family of devices, that can be set and waited for.

    A move is done when every |setpoint − readback| is within tolerance. What is
    wanted is checked against the limits before anything moves.
    """

    _child_name_separator = "_"
    timeout_s = SET_TIMEOUT_S

    @property
    def bounds(self) -> Bounds:
        """Limits and tolerances."""
        raise NotImplementedError

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        """Return the setpoint and the readback signal."""
        raise NotImplementedError

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
            DeviceError: The readback did not arrive within ``timeout_s``.
        """
        wanted = self.bounds.check(value)
        setpoint, readback = self._signals()
        await setpoint.set(self._as_signal_value(wanted), timeout=self.timeout_s)
        seen = await readback.get_value(cached=False)
        if not self.bounds.reached(wanted, seen):
            await self._wait(setpoint, readback, wanted)

    async def locate(self) -> Location[Any]:
        """Return the present setpoint and readback."""
        setpoint, readback = self._signals()
        return Location(
            setpoint=await setpoint.get_value(cached=False),
            readback=await readback.get_value(cached=False),
        )

    async def _wait(
        self, setpoint: SignalR[Any], readback: SignalR[Any], wanted: FloatArray
    ) -> None:
        held = await setpoint.get_value(cached=False)
        if not self.bounds.reached(wanted, held):
            raise DeviceError(
                f"{setpoint.source}: the control system did not take the setpoint: "
                f"{self.bounds.missing(wanted, held)}"
            )
        try:
            await wait_for_value(
                readback,
                lambda seen: bool(self.bounds.reached(wanted, seen)),
                timeout=self.timeout_s,
            )
        except TimeoutError as error:
            seen = await readback.get_value(cached=False)
            raise DeviceError(
                f"{readback.source}: the readback did not arrive within "
                f"{self.timeout_s:g} s: {self.bounds.missing(wanted, seen)}"
            ) from error

    def _as_signal_value(self, wanted: FloatArray) -> float | FloatArray:
        return float(wanted[0])


def one(name: str, low: float, high: float, tolerance: float, unit: str) -> Bounds:
    """Return the bounds of a single setpoint."""
    return Bounds(
        (name,), np.array([low]), np.array([high]), np.array([tolerance]), unit
    )
