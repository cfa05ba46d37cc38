"""The injection: which part of a shot is captured."""

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


class InjectionMonitor(Linked):
    """The injection efficiency.

    Attributes:
        efficiency: Part of an injected shot that survives, 0 to 1.
        acquire: Injects a shot.
    """

    _child_name_separator = "_"
    efficiency: A[
        SignalR[float], Channel("efficiency", "1"), Format.HINTED_UNCACHED_SIGNAL
    ]
    acquire: A[TriggerableCommand, Channel("acquire")]

    def __init__(self, connector: DeviceConnector, name: str = "injection") -> None:
        super().__init__(name=name, connector=connector)

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Wait for the efficiency of a shot that is newer than this call."""
        await self._over(self.acquire.trigger)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        good = np.array([True])
        key = f"{self.name}_efficiency"
        return (Column(key, "1", (self.name,), "efficiency", good),)
