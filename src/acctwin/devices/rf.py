"""The master RF frequency."""

from __future__ import annotations

from typing import Annotated as A
from typing import Any

from ophyd_async.core import DeviceConnector, SignalR, SignalRW
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.setpoint import SettableInfo, SingleSettable
from acctwin.devices.status import StatusBoard


class Rf(SingleSettable[SettableInfo]):
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
    moving: A[SignalR[int], Channel("moving")]

    def __init__(
        self,
        connector: DeviceConnector,
        info: SettableInfo,
        board: StatusBoard,
        name: str = "rf",
    ) -> None:
        super().__init__(connector, info, board)
        self.set_name(name)

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.frequency, self.readback
