"""The lifetime of the stored beam, where the control system has it."""

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


class LifetimeMonitor(Linked):
    """The lifetime of the stored beam.

    Attributes:
        value: Current over its loss rate [s].
        acquire: Waits for the next reading.
    """

    _child_name_separator = "_"
    value: A[SignalR[float], Channel("value", "s"), Format.HINTED_UNCACHED_SIGNAL]
    acquire: A[TriggerableCommand, Channel("acquire")]

    def __init__(self, connector: DeviceConnector, name: str = "lifetime") -> None:
        super().__init__(name=name, connector=connector)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Wait for a lifetime that is newer than this call."""
        await self._over(self.acquire.trigger)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        good = np.array([True])
        return (Column(f"{self.name}_value", "s", (self.name,), "lifetime", good),)
