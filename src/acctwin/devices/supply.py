"""Power supplies: what is really set when a strength is set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as A
from typing import Any

import numpy as np
from ophyd_async.core import Array1D, DeviceConnector, SignalR, SignalRW
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.devices.family import SettableFamily
from acctwin.devices.setpoint import SettableInfo, SingleSettable
from acctwin.devices.status import StatusBoard


@dataclass(frozen=True)
class SupplyInfo(SettableInfo):
    """What the profile says about a supply, in amperes.

    The step of a response measurement is the largest that moves no magnet by more
    than its own step.

    Attributes:
        s: Position of the first magnet it feeds [m].
    """

    s: float


class Supply(SingleSettable[SupplyInfo]):
    """One power supply.

    Attributes:
        current: Setpoint [A].
        readback: What it delivers [A].
        info: What the profile says.
    """

    current: A[SignalRW[float], Channel("current"), Format.HINTED_UNCACHED_SIGNAL]
    readback: A[SignalR[float], Channel("readback"), Format.UNCACHED_SIGNAL]
    moving: A[SignalR[int], Channel("moving")]

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.current, self.readback


class SupplyFamily(SettableFamily[Supply]):
    """Supplies, each once: one array put, one array read.

    Attributes:
        current: Setpoints [A], (n,).
        readback: What they deliver [A], (n,).
    """

    current: A[
        SignalRW[Array1D[np.float64]], Channel("current"), Format.UNCACHED_SIGNAL
    ]
    readback: A[
        SignalR[Array1D[np.float64]], Channel("readback"), Format.UNCACHED_SIGNAL
    ]
    moving: A[SignalR[Array1D[np.int64]], Channel("moving")]

    def __init__(
        self,
        connector: DeviceConnector,
        name: str,
        members: dict[str, Supply],
        bounds: Bounds,
        board: StatusBoard,
    ) -> None:
        s = np.array([supply.info.s for supply in members.values()])
        super().__init__(connector, name, members, s, bounds, board)

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.current, self.readback
