"""The master RF frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as A
from typing import Any

from ophyd_async.core import DeviceConnector, SignalR, SignalRW
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.devices.setpoint import Settable, one


@dataclass(frozen=True)
class RfInfo:
    """What the profile says about the RF [Hz]; see ``profiles.RfRow``."""

    name: str
    low: float
    high: float
    tolerance: float
    delta: float
    unit: str = "Hz"


class Rf(Settable):
    """The frequency that fixes the beam's energy and path length.

    Attributes:
        frequency: Setpoint [Hz].
        readback: What the generator reports [Hz].
        info: What the profile says.
    """

    frequency: A[
        SignalRW[float], Channel("frequency", "Hz"), Format.HINTED_UNCACHED_SIGNAL
    ]
    readback: A[SignalR[float], Channel("readback", "Hz"), Format.UNCACHED_SIGNAL]

    def __init__(
        self, connector: DeviceConnector, info: RfInfo, name: str = "rf"
    ) -> None:
        self.info = info
        super().__init__(name=name, connector=connector)

    @property
    def bounds(self) -> Bounds:
        """Limits and tolerance [Hz]."""
        info = self.info
        return one(info.name, info.low, info.high, info.tolerance, info.unit)

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper limit [Hz]."""
        return self.info.low, self.info.high

    @property
    def delta(self) -> float:
        """Full step of a dispersion measurement [Hz]."""
        return self.info.delta

    @property
    def is_good(self) -> bool:
        """Whether plans may use it."""
        return True

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.frequency, self.readback
