"""Devices that are set, on a control system: as one number, or as arrays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from acctwin.backends.control.channels import Channels
from acctwin.backends.control.columns import Values
from acctwin.backends.control.settings import Source, What
from acctwin.backends.control.signal import ControlTransport, Found, Quantity
from acctwin.devices.bounds import Bounds
from acctwin.names import IntArray


def settable(
    channels: Channels,
    source: Source,
    which: IntArray,
    limits: Bounds,
    setpoint: str,
    *,
    scalar: bool,
) -> ControlTransport:
    """Return a setpoint, its readback, and whether it moves.

    Args:
        channels: Where addresses are watched.
        source: Setpoints and readbacks of all devices of the kind.
        which: Of the devices, by index.
        limits: What may be set.
        setpoint: What the device calls its setpoint.
        scalar: One number, and not an array.
    """

    def quantity(
        read: Callable[..., Awaitable[Values]],
        what: What,
        units: str | None,
        write: Callable[[Any], Awaitable[None]] | None = None,
    ) -> Quantity:
        async def shaped(*, fresh: bool) -> Found:
            found = await read(which, fresh=fresh)
            is_flag = what == "moving"
            values: Any = found.values.astype(np.int64) if is_flag else found.values
            value = values[0].item() if scalar else values
            return Found(value, found.timestamp, found.severity)

        return Quantity(shaped, lambda: source.watched(which, what), units, write)

    async def write(value: Any) -> None:
        await source.put(which, np.atleast_1d(np.asarray(value, dtype=np.float64)))

    quantities = {
        setpoint: quantity(source.wanted, "wanted", limits.unit, write),
        "readback": quantity(source.seen, "seen", limits.unit),
        "moving": quantity(source.moving, "moving", None),
    }
    return ControlTransport(channels, quantities, limits=limits)
