"""The tune monitor."""

from __future__ import annotations

from typing import Annotated as A

import numpy as np
from ophyd_async.core import (
    AsyncStatus,
    DeviceConnector,
    SignalR,
    TriggerableCommand,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.linked import Linked


class TuneMonitor(Linked):
    """Fractional betatron tunes and the synchrotron tune.

    Attributes:
        qx: Horizontal, 0 to 1.
        qy: Vertical, 0 to 1.
        qs: Synchrotron tune.
        acquire: Takes a fresh reading.
    """

    _child_name_separator = "_"
    qx: A[SignalR[float], Channel("qx", "1"), Format.HINTED_UNCACHED_SIGNAL]
    qy: A[SignalR[float], Channel("qy", "1"), Format.HINTED_UNCACHED_SIGNAL]
    qs: A[SignalR[float], Channel("qs", "1"), Format.HINTED_UNCACHED_SIGNAL]
    acquire: A[TriggerableCommand, Channel("acquire")]

    def __init__(self, connector: DeviceConnector, name: str = "tune") -> None:
        super().__init__(name=name, connector=connector)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Wait for tunes that are newer than this call."""
        await self._over(self.acquire.trigger)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        good = np.array([True])
        return tuple(
            Column(f"{self.name}_{q}", "1", (self.name,), q, good) for q in ("qx", "qy")
        )
