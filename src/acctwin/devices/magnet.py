"""Magnets: one, or a family; several on one element are several magnets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as A
from typing import Any

import numpy as np
from ophyd_async.core import (
    Array1D,
    DeviceConnector,
    SignalR,
    SignalRW,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.devices.family import Family
from acctwin.devices.setpoint import Settable, one
from acctwin.devices.status import StatusBoard
from acctwin.names import Component, FloatArray


@dataclass(frozen=True)
class MagnetInfo:
    """What the profile says about a magnet; see ``profiles.MagnetRow``."""

    name: str
    component: Component
    unit: str
    low: float
    high: float
    tolerance: float
    delta: float
    s: float


class Magnet(Settable):
    """One magnet, or one function of a combined-function magnet.

    Attributes:
        strength: Setpoint, in physics units.
        readback: What the supply reports, in the same units.
        info: What the profile says: limits, tolerance, delta, position.
    """

    strength: A[SignalRW[float], Channel("strength"), Format.HINTED_UNCACHED_SIGNAL]
    readback: A[SignalR[float], Channel("readback"), Format.UNCACHED_SIGNAL]

    def __init__(
        self, connector: DeviceConnector, info: MagnetInfo, board: StatusBoard
    ) -> None:
        self.info = info
        self._board = board
        super().__init__(name=device_name(info.name), connector=connector)

    @property
    def bounds(self) -> Bounds:
        """Limits and tolerance."""
        info = self.info
        return one(info.name, info.low, info.high, info.tolerance, info.unit)

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper limit of the strength."""
        return self.info.low, self.info.high

    @property
    def delta(self) -> float:
        """Full step of a response measurement."""
        return self.info.delta

    @property
    def is_good(self) -> bool:
        """Whether plans may use it."""
        return self._board.is_good(self.info.name)

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.strength, self.readback


class MagnetFamily(Family[Magnet], Settable):
    """Magnets of one kind: one array put, one array read.

    Attributes:
        strength: Setpoints, in physics units, (n,).
        readback: What the supplies report, (n,).
    """

    strength: A[
        SignalRW[Array1D[np.float64]], Channel("strength"), Format.UNCACHED_SIGNAL
    ]
    readback: A[
        SignalR[Array1D[np.float64]], Channel("readback"), Format.UNCACHED_SIGNAL
    ]

    def __init__(
        self,
        connector: DeviceConnector,
        name: str,
        members: dict[str, Magnet],
        bounds: Bounds,
        board: StatusBoard,
    ) -> None:
        s = np.array([magnet.info.s for magnet in members.values()])
        self._adopt(members, s, board)
        self._bounds = bounds
        super().__init__(name=device_name(name), connector=connector)

    @property
    def bounds(self) -> Bounds:
        """Limits and tolerances of the members."""
        return self._bounds

    @property
    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper limits of the members, (n,) each."""
        return self._bounds.low.copy(), self._bounds.high.copy()

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.strength, self.readback

    def _as_signal_value(self, wanted: FloatArray) -> FloatArray:
        return wanted


def device_name(name: str) -> str:
    """Return a profile name as it appears in documents: ``/`` cannot be in a key."""
    return name.replace("/", "-")


def common_unit(infos: list[MagnetInfo]) -> str:
    """Return the unit that all share, or ``"various"``."""
    units = {info.unit for info in infos}
    return units.pop() if len(units) == 1 else "various"
