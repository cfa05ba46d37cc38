"""Instruments that take a reading when they are triggered."""

from __future__ import annotations

from typing import Annotated as A

import numpy as np
from ophyd_async.core import AsyncStatus, DeviceConnector, TriggerableCommand

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.linked import Linked


class Triggered(Linked):
    """An instrument that takes a reading when it is triggered.

    Attributes:
        acquire: Takes a fresh reading.
    """

    _child_name_separator = "_"
    acquire: A[TriggerableCommand, Channel("acquire")]

    @AsyncStatus.wrap
    async def trigger(self) -> None:
        """Wait for a reading that is newer than this call."""
        await self._over(self.acquire.trigger)


class BeamMonitor(Triggered):
    """An instrument of which a machine has one, such as the tune monitor."""

    def __init__(self, connector: DeviceConnector, name: str) -> None:
        super().__init__(name=name, connector=connector)

    def _column(self, channel: str, unit: str, suffix: str = "") -> Column:
        """Return what a response measurement takes from an event of a channel."""
        key, owner = f"{self.name}_{channel}", (self.name,)
        return Column(key, unit, owner, suffix or channel, np.array([True]))
