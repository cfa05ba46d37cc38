"""The pinger: a magnet that kicks the beam once, for turn-by-turn measurements."""

from __future__ import annotations

from typing import Annotated as A
from typing import Any

from ophyd_async.core import DeviceConnector, SignalR, SignalRW
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.setpoint import SettableInfo, SingleSettable
from acctwin.devices.status import StatusBoard


class Pinger(SingleSettable[SettableInfo]):
    """One plane of the pinger.

    It is charged to an amplitude, and fires when turn-by-turn data are recorded and
    not before: the closed orbit never sees it.

    Attributes:
        kick: Amplitude it is charged to [rad]; 0: it does nothing.
        readback: What it is charged to [rad].
        info: What the profile says; ``delta`` is the kick of a measurement.
    """

    kick: A[SignalRW[float], Channel("kick", "rad"), Format.HINTED_UNCACHED_SIGNAL]
    readback: A[SignalR[float], Channel("readback", "rad"), Format.UNCACHED_SIGNAL]
    moving: A[SignalR[int], Channel("moving")]

    def __init__(
        self,
        connector: DeviceConnector,
        info: SettableInfo,
        board: StatusBoard,
        name: str,
    ) -> None:
        super().__init__(connector, info, board)
        self.set_name(name)

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.kick, self.readback
