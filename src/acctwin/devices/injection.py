"""The injection: which part of a shot is captured."""

from __future__ import annotations

from typing import Annotated as A

from ophyd_async.core import SignalR
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.monitor import BeamMonitor


class InjectionMonitor(BeamMonitor):
    """The injection efficiency.

    Attributes:
        efficiency: Part of an injected shot that survives, 0 to 1.
        acquire: Injects a shot.
    """

    efficiency: A[
        SignalR[float], Channel("efficiency", "1"), Format.HINTED_UNCACHED_SIGNAL
    ]

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (self._column("efficiency", "1"),)
