"""Devices that may lose the link to what stands behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from bluesky.protocols import Reading
from event_model import DataKey
from ophyd_async.core import StandardReadable

from acctwin.devices.beam import BeamWatch
from acctwin.devices.sealed import Sealed

T = TypeVar("T")


class Link(Protocol):
    """What is done with a device goes over this."""

    async def over(self, job: Callable[[], Awaitable[T]]) -> T:
        """Do something; where the link is lost, wait for it and do it again.

        Raises:
            LinkLost: It is not to be waited for, or has been for too long.
        """
        ...


class Linked(Sealed, StandardReadable):
    """A device whose operations are repeated after its link was lost.

    Each of them can be: a setpoint that is put twice is the same setpoint, and a
    reading is taken anew as a whole.
    """

    _link: Link | None = None
    #: How readings wait for a lost beam; None: not at all.
    beam: BeamWatch | None = None

    def link_to(self, link: Link) -> None:
        """Say what the device is reached over. Called once."""
        self._link = link

    async def read(self) -> dict[str, Reading[Any]]:
        """Return the readings of an event."""
        return await self._over(super().read)

    async def read_configuration(self) -> dict[str, Reading[Any]]:
        """Return what holds for a whole stream."""
        return await self._over(super().read_configuration)

    async def describe(self) -> dict[str, DataKey]:
        """Describe the readings."""
        return await self._over(super().describe)

    async def _over(self, job: Callable[[], Awaitable[T]]) -> T:
        return await (job() if self._link is None else self._link.over(job))
