"""Beam position monitors: one, or all of them as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as A

import numpy as np
from ophyd_async.core import (
    Array1D,
    DeviceConnector,
    SignalR,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel
from acctwin.devices.columns import Column
from acctwin.devices.family import Family
from acctwin.devices.monitor import Triggered
from acctwin.devices.setpoint import device_name
from acctwin.devices.status import StatusBoard


@dataclass(frozen=True)
class BpmInfo:
    """What the profile says about a BPM."""

    name: str
    s: float


class Bpm(Triggered):
    """One beam position monitor.

    Attributes:
        x: Horizontal position [m].
        y: Vertical position [m].
        acquire: Takes a fresh reading.
    """

    x: A[SignalR[float], Channel("x", "m"), Format.HINTED_UNCACHED_SIGNAL]
    y: A[SignalR[float], Channel("y", "m"), Format.HINTED_UNCACHED_SIGNAL]

    def __init__(
        self, connector: DeviceConnector, info: BpmInfo, board: StatusBoard
    ) -> None:
        self.info = info
        self._board = board
        super().__init__(name=device_name(info.name), connector=connector)

    @property
    def is_good(self) -> bool:
        """Whether plans may use it."""
        return self._board.is_good(self.info.name)


class Bpms(Triggered, Family[Bpm]):
    """All beam position monitors: one event reads them all.

    Attributes:
        x: Horizontal positions [m], (n,).
        y: Vertical positions [m], (n,).
        sum: Sum signals, proportional to the beam current, (n,).
        acquire: Takes a fresh reading of all of them at once.
    """

    x: A[SignalR[Array1D[np.float64]], Channel("x", "m"), Format.UNCACHED_SIGNAL]
    y: A[SignalR[Array1D[np.float64]], Channel("y", "m"), Format.UNCACHED_SIGNAL]
    sum: A[SignalR[Array1D[np.float64]], Channel("sum", "A")]

    def __init__(
        self,
        connector: DeviceConnector,
        name: str,
        members: dict[str, Bpm],
        board: StatusBoard,
    ) -> None:
        s = np.array([bpm.info.s for bpm in members.values()])
        self._adopt(members, s, board)
        super().__init__(name=device_name(name), connector=connector)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return tuple(
            Column(f"{self.name}_{plane}", "m", self.names, plane, self.status)
            for plane in ("x", "y")
        )
