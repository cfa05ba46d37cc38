"""The simulated machine as what stands behind devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from acctwin.backends.classic.signal import MemberTransport
from acctwin.backends.classic.stand_in import StandIns
from acctwin.backends.powering import Powering
from acctwin.backends.sim import instruments, transport
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.transport import SimTransport
from acctwin.devices.bounds import Bounds
from acctwin.model.engine import Layout
from acctwin.names import BoolArray, IntArray
from acctwin.profiles.members import MemberRow


class SimPlant:
    """Satisfies ``plant.Plant``; what each method returns is said there.

    Args:
        sim: The simulated machine.
        members: The members of the profile.

    Attributes:
        sim: The simulated machine.
        stand_ins: What stands for the members.
    """

    def __init__(self, sim: SimMachine, members: Sequence[MemberRow] = ()) -> None:
        self.sim, self.stand_ins = sim, StandIns(members)

    @property
    def layout(self) -> Layout:
        """Names and positions of all knobs and monitors."""
        return self.sim.layout

    @property
    def powering(self) -> Powering:
        """Values of all supplies ⇄ strengths of all knobs."""
        return self.sim.powering

    async def connect(self, timeout_s: float) -> None:
        """Nothing to do: the machine is in this process."""

    def magnets(
        self, address: str, knobs: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> SimTransport:
        """Return one magnet, or many as arrays."""
        return transport.magnets(self.sim, address, knobs, limits, scalar=scalar)

    def supplies(
        self, address: str, which: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> SimTransport:
        """Return one supply, or many as arrays."""
        return transport.supplies(self.sim, address, which, limits, scalar=scalar)

    def rf(self, address: str, limits: Bounds) -> SimTransport:
        """Return the RF frequency."""
        knob = np.array([self.layout.knobs.index("rf")])
        return transport.magnets(
            self.sim, address, knob, limits, setpoint="frequency", scalar=True
        )

    def pinger(self, address: str, plane: int, limits: Bounds) -> SimTransport:
        """Return one plane of the pinger."""
        return instruments.pinger(self.sim, address, plane, limits)

    def bpms(
        self, address: str, monitors: IntArray, good: Callable[[], BoolArray]
    ) -> SimTransport:
        """Return many BPMs as arrays; simulated ones are never invalid alone."""
        return transport.bpms(self.sim, address, monitors)

    def bpm(self, address: str, monitor: int) -> SimTransport:
        """Return one BPM."""
        return transport.bpm(self.sim, address, monitor)

    def turns(self, address: str, monitors: IntArray) -> SimTransport:
        """Return the turn-by-turn records of some BPMs."""
        return instruments.turns(self.sim, address, monitors)

    def tune(self, address: str) -> SimTransport:
        """Return the tune monitor."""
        return instruments.tune(self.sim, address)

    def dcct(self, address: str) -> SimTransport:
        """Return the beam current monitor."""
        return instruments.dcct(self.sim, address)

    def injection(self, address: str) -> SimTransport:
        """Return the injection monitor."""
        return instruments.injection(self.sim, address)

    def lifetime(self, address: str) -> SimTransport:
        """Return the lifetime monitor."""
        return instruments.lifetime(self.sim, address)

    def emittance(self, address: str) -> SimTransport:
        """Return the emittance monitor."""
        return instruments.emittance(self.sim, address)

    def member(self, name: str, limits: Bounds | None) -> MemberTransport:
        """Return what stands for a member."""
        return self.stand_ins.transport(name, limits)
