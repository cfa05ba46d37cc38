"""The beam current monitor."""

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


class Dcct(Linked):
    """Direct-current transformer.

    Attributes:
        current: Stored beam current [A]; 0 when the beam is lost. Its time stamp is
            the machine's own time.
        acquire: Takes a fresh reading.
    """

    _child_name_separator = "_"
    current: A[SignalR[float], Channel("current", "A"), Format.HINTED_UNCACHED_SIGNAL]
    acquire: A[TriggerableCommand, Channel("acquire")]

    def __init__(self, connector: DeviceConnector, name: str = "dcct") -> None:
        super().__init__(name=name, connector=connector)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Wait for a current that is newer than this call."""
        await self._over(self.acquire.trigger)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        good = np.array([True])
        return (Column(f"{self.name}_current", "A", (self.name,), "current", good),)
