"""Devices beside the families: what a profile lists as the machine's members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as A
from typing import Any

import numpy as np
from ophyd_async.core import (
    DeviceConnector,
    SignalR,
    SignalRW,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.defaults import WaitDefaults
from acctwin.devices.channel import NOWHERE, Channel
from acctwin.devices.columns import Column
from acctwin.devices.monitor import Triggered
from acctwin.devices.setpoint import SettableInfo, SingleSettable, device_name
from acctwin.devices.status import StatusBoard


@dataclass(frozen=True)
class MemberInfo(SettableInfo):
    """What a profile says about a member that is set.

    Attributes:
        timeout_s: How long a move may take [s]; None: as any other.
    """

    timeout_s: float | None = None


class SettableMember(SingleSettable[MemberInfo]):
    """One number that is set, such as a scraper or a phase shifter.

    Attributes:
        value: Setpoint, in its own units.
        readback: Where it is.
        info: What the profile says.
    """

    value: A[SignalRW[float], Channel("value"), Format.UNCACHED_SIGNAL]
    readback: A[SignalR[float], Channel("readback"), Format.HINTED_UNCACHED_SIGNAL]
    moving: A[SignalR[int], Channel("moving")]

    def wait_as(self, waits: WaitDefaults) -> None:
        """Say when moves are given up; they are over when the readback has arrived."""
        timeout_s = self.info.timeout_s or waits.timeout_s
        super().wait_as(replace(waits, done="readback", timeout_s=timeout_s))

    @property
    def is_there(self) -> bool:
        """Whether anything stands behind it, where the machine is now."""
        return not self.readback.source.startswith(NOWHERE)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (_column(self.info.name, self.readback, self.info.unit, self.is_good),)

    def _signals(self) -> tuple[SignalRW[Any], SignalR[Any]]:
        return self.value, self.readback


class ReadableMember(Triggered):
    """One number that is only read, such as a pressure or a beam loss rate.

    Attributes:
        value: The number, in its own units.
        acquire: Takes a fresh reading.
        title: Its name in the profile.
        unit: Of the number.
    """

    value: A[SignalR[float], Channel("value"), Format.HINTED_UNCACHED_SIGNAL]

    def __init__(
        self, connector: DeviceConnector, title: str, unit: str, board: StatusBoard
    ) -> None:
        self.title, self.unit, self._board = title, unit, board
        super().__init__(name=device_name(title), connector=connector)

    @property
    def is_good(self) -> bool:
        """Whether plans may use it."""
        return self._board.is_good(self.title)

    @property
    def is_there(self) -> bool:
        """Whether anything stands behind it, where the machine is now."""
        return not self.value.source.startswith(NOWHERE)

    def columns(self) -> tuple[Column, ...]:
        """Return what a response measurement may take from an event."""
        return (_column(self.title, self.value, self.unit, self.is_good),)


def _column(title: str, signal: SignalR[float], unit: str, is_good: bool) -> Column:
    suffix = signal.name.rpartition("_")[-1]
    return Column(signal.name, unit, (title,), suffix, np.array([is_good]))
