"""The emittance monitor: beam sizes, as emittances."""

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

UNIT = "m rad"


class EmittanceMonitor(Linked):
    """Emittances of the stored beam.

    Attributes:
        ex: Horizontal emittance [m rad].
        ey: Vertical emittance [m rad].
        acquire: Takes a fresh reading.
    """

    _child_name_separator = "_"
    ex: A[SignalR[float], Channel("ex", UNIT), Format.HINTED_UNCACHED_SIGNAL]
    ey: A[SignalR[float], Channel("ey", UNIT), Format.HINTED_UNCACHED_SIGNAL]
    acquire: A[TriggerableCommand, Channel("acquire")]

    def __init__(self, connector: DeviceConnector, name: str = "emittance") -> None:
        super().__init__(name=name, connector=connector)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Wait for emittances that are newer than this call."""
        await self._over(self.acquire.trigger)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        good = np.array([True])
        return tuple(
            Column(f"{self.name}_{e}", UNIT, (self.name,), e, good)
            for e in ("ex", "ey")
        )
