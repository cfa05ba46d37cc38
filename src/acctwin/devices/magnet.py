"""Magnets: one, or a family; several on one element are several magnets."""

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
from acctwin.devices.supply import Supply, SupplyFamily
from acctwin.errors import PlanError
from acctwin.names import Component


@dataclass(frozen=True)
class MagnetInfo(SettableInfo):
    """What the profile says about a magnet; see ``profiles.MagnetRow``.

    Attributes:
        component: What its strength is.
        s: Position of its middle [m].
    """

    component: Component
    s: float


class Magnet(SingleSettable[MagnetInfo]):
    """One magnet, or one function of a combined-function magnet.

    Strength and current are two views of one thing: whichever is set, the other
    follows through the calibration.

    Attributes:
        strength: Setpoint, in physics units.
        readback: What the supplies deliver, in the same units.
        info: What the profile says: limits, tolerance, delta, position.
        supplies: The supplies that feed it; none where the profile has none.
    """

    strength: A[SignalRW[float], Channel("strength"), Format.HINTED_UNCACHED_SIGNAL]
    readback: A[SignalR[float], Channel("readback"), Format.UNCACHED_SIGNAL]
    moving: A[SignalR[int], Channel("moving")]

    def __init__(
        self,
        connector: DeviceConnector,
        info: MagnetInfo,
        board: StatusBoard,
        supplies: tuple[Supply, ...] = (),
    ) -> None:
        self.supplies = supplies
        super().__init__(connector, info, board)

    @property
    def supply(self) -> Supply:
        """The one supply that feeds it.

        Raises:
            PlanError: It has none, or several make its field together.
        """
        if len(self.supplies) == 1:
            return self.supplies[0]
        if not self.supplies:
            raise PlanError(f"{self.info.name} has no power supply in the profile")
        names = ", ".join(supply.info.name for supply in self.supplies)
        raise PlanError(
            f"{self.info.name} has no current of its own: its field is made by {names}"
        )

    @property
    def current(self) -> SignalRW[float]:
        """Setpoint of its supply [A]."""
        return self.supply.current

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.strength, self.readback


class MagnetFamily(SettableFamily[Magnet]):
    """Magnets of one kind: one array put, one array read.

    Attributes:
        strength: Setpoints, in physics units, (n,).
        readback: What the supplies deliver, in the same units, (n,).
        supplies: The supplies behind the family, each once; None where the profile
            has none. Families on the same supplies share this device.
    """

    strength: A[
        SignalRW[Array1D[np.float64]], Channel("strength"), Format.UNCACHED_SIGNAL
    ]
    readback: A[
        SignalR[Array1D[np.float64]], Channel("readback"), Format.UNCACHED_SIGNAL
    ]
    moving: A[SignalR[Array1D[np.int64]], Channel("moving")]

    def __init__(
        self,
        connector: DeviceConnector,
        name: str,
        members: dict[str, Magnet],
        bounds: Bounds,
        board: StatusBoard,
        supplies: SupplyFamily | None = None,
    ) -> None:
        self._behind = (supplies,)
        s = np.array([magnet.info.s for magnet in members.values()])
        super().__init__(connector, name, members, s, bounds, board)

    @property
    def supplies(self) -> SupplyFamily | None:
        """The supplies behind the family."""
        return self._behind[0]

    @property
    def current(self) -> SignalRW[Array1D[np.float64]]:
        """Setpoints of the family's supplies [A], in the order of ``supplies.names``.

        Raises:
            PlanError: The profile has no supplies for this family.
        """
        if self.supplies is None:
            raise PlanError(f"{self.name} has no power supplies in the profile")
        return self.supplies.current

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.strength, self.readback
