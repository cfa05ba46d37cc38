"""The tune monitor."""

from __future__ import annotations

from typing import Annotated as A

from ophyd_async.core import SignalR
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.monitor import BeamMonitor


class TuneMonitor(BeamMonitor):
    """Fractional betatron tunes and the synchrotron tune.

    Attributes:
        qx: Horizontal, 0 to 1.
        qy: Vertical, 0 to 1.
        qs: Synchrotron tune.
        acquire: Takes a fresh reading.
    """

    qx: A[SignalR[float], Channel("qx", "1"), Format.HINTED_UNCACHED_SIGNAL]
    qy: A[SignalR[float], Channel("qy", "1"), Format.HINTED_UNCACHED_SIGNAL]
    qs: A[SignalR[float], Channel("qs", "1"), Format.HINTED_UNCACHED_SIGNAL]

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (self._column("qx", "1"), self._column("qy", "1"))
