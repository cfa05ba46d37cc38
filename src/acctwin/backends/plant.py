"""What stands behind the devices: a simulated machine, or a control system.

Devices are built once. Each of their signals and commands is then bound to a plant,
and can be bound to another one later: the devices stay the same objects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ophyd_async.core import SignalBackend

from acctwin.backends.powering import Powering
from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.model.engine import Layout
from acctwin.names import BoolArray, IntArray


class Transport(Protocol):
    """Makes the backends of one device's channels."""

    def signal(
        self, channel: Channel, datatype: type[Any] | None
    ) -> SignalBackend[Any]:
        """Return the backend of a signal."""
        ...

    def command(self, channel: Channel) -> Callable[[], Any]:
        """Return the coroutine function behind a command."""
        ...

    def bounds(self, channel: Channel) -> Bounds | None:
        """Return the limits of a channel that can be set, None for others."""
        ...


class Plant(Protocol):
    """Where devices are.

    Each method returns the channels of one device. ``address`` is its name in the
    profile, or of the family; ``limits`` is what may be set there.

    Attributes:
        layout: Names and positions; every plant of a profile has the same.
        powering: Calibration between the strengths of magnets and their supplies.
    """

    @property
    def layout(self) -> Layout:
        """Names and positions of all knobs and monitors."""
        ...

    @property
    def powering(self) -> Powering:
        """Values of all supplies ⇄ strengths of all knobs."""
        ...

    async def connect(self, timeout_s: float) -> None:
        """Connect what the devices that were made need.

        Raises:
            LinkLost: Some addresses do not answer; the message lists them.
        """
        ...

    def magnets(
        self, address: str, knobs: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> Transport:
        """Return one magnet, or many as arrays; knobs are indices of the layout."""
        ...

    def supplies(
        self, address: str, which: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> Transport:
        """Return one supply, or many as arrays, by their indices in the powering."""
        ...

    def rf(self, address: str, limits: Bounds) -> Transport:
        """Return the RF frequency."""
        ...

    def pinger(self, address: str, plane: int, limits: Bounds) -> Transport:
        """Return one plane of the pinger: 0 horizontal, 1 vertical."""
        ...

    def bpms(
        self, address: str, monitors: IntArray, good: Callable[[], BoolArray]
    ) -> Transport:
        """Return many BPMs as arrays, by their indices in the layout.

        An invalid reading of one for which ``good`` says False is no fault.
        """
        ...

    def bpm(self, address: str, monitor: int) -> Transport:
        """Return one BPM, by its index in the layout."""
        ...

    def turns(self, address: str, monitors: IntArray) -> Transport:
        """Return the turn-by-turn records of some BPMs."""
        ...

    def tune(self, address: str) -> Transport:
        """Return the tune monitor."""
        ...

    def dcct(self, address: str) -> Transport:
        """Return the beam current monitor."""
        ...

    def emittance(self, address: str) -> Transport:
        """Return the emittance monitor."""
        ...

    def injection(self, address: str) -> Transport:
        """Return the injection monitor."""
        ...

    def lifetime(self, address: str) -> Transport:
        """Return the lifetime monitor."""
        ...

    def member(self, name: str, limits: Bounds | None) -> Transport:
        """Return a member that is no part of a family; None: it is only read."""
        ...
