"""The emittance monitor: beam sizes, as emittances."""

from __future__ import annotations

from typing import Annotated as A

from ophyd_async.core import SignalR
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.monitor import BeamMonitor

UNIT = "m rad"


class EmittanceMonitor(BeamMonitor):
    """Emittances of the stored beam.

    Attributes:
        ex: Horizontal emittance [m rad].
        ey: Vertical emittance [m rad].
        acquire: Takes a fresh reading.
    """

    ex: A[SignalR[float], Channel("ex", UNIT), Format.HINTED_UNCACHED_SIGNAL]
    ey: A[SignalR[float], Channel("ey", UNIT), Format.HINTED_UNCACHED_SIGNAL]

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (self._column("ex", UNIT), self._column("ey", UNIT))
