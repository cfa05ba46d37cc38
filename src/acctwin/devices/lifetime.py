"""The lifetime of the stored beam, where the control system has it."""

from __future__ import annotations

from typing import Annotated as A

from ophyd_async.core import SignalR
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.monitor import BeamMonitor


class LifetimeMonitor(BeamMonitor):
    """The lifetime of the stored beam.

    Attributes:
        value: Current over its loss rate [s].
        acquire: Waits for the next reading.
    """

    value: A[SignalR[float], Channel("value", "s"), Format.HINTED_UNCACHED_SIGNAL]

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (self._column("value", "s", "lifetime"),)
