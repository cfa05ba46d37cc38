"""The beam current monitor."""

from __future__ import annotations

from typing import Annotated as A

from ophyd_async.core import SignalR
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.monitor import BeamMonitor


class Dcct(BeamMonitor):
    """Direct-current transformer.

    Attributes:
        current: Stored beam current [A]; 0 when the beam is lost. Its time stamp is
            the machine's own time.
        acquire: Takes a fresh reading.
    """

    current: A[SignalR[float], Channel("current", "A"), Format.HINTED_UNCACHED_SIGNAL]

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (self._column("current", "A"),)
