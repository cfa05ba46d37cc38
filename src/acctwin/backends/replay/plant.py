"""A stored run as what stands behind devices: they read what was recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np

from acctwin.backends.classic.signal import MemberTransport, nowhere
from acctwin.backends.powering import Powering
from acctwin.backends.replay.keys import CHANNELS, Kind
from acctwin.backends.replay.recorded import RecordedRun
from acctwin.backends.replay.recording import record
from acctwin.backends.replay.tape import Monitor, Tape
from acctwin.backends.sim.signal import Port
from acctwin.backends.sim.transport import SimTransport, settable
from acctwin.devices.bounds import Bounds
from acctwin.devices.emittance import UNIT
from acctwin.errors import DeviceError
from acctwin.model.engine import Layout
from acctwin.names import BoolArray, FloatArray, IntArray, Mode
from acctwin.profiles.profile import Profile
from acctwin.profiles.supplies import supply_map

SCHEME = "replay"
_ONE = np.array([0])


class ReplayPlant:
    """Satisfies ``plant.Plant``; what each method returns is said there.

    Args:
        profile: The checked profile.
        layout: The design model's.
        run: The run.

    Attributes:
        tape: Where the recorded machine is set to.
        recorded_mode: Which machine the run was made on: ``"physics"``, ….

    Raises:
        DataError: The run is of another machine, or has no baseline.
    """

    def __init__(self, profile: Profile, layout: Layout, run: RecordedRun) -> None:
        self._layout = layout
        self.recorded_mode: Mode = run.start.get("mode", "physics")
        self._powering = Powering(layout, supply_map(profile))
        self.tape = Tape(record(run, profile, layout, self._powering), self._powering)

    @property
    def layout(self) -> Layout:
        """Names and positions of all knobs and monitors."""
        return self._layout

    @property
    def powering(self) -> Powering:
        """Values of all supplies ⇄ strengths of all knobs."""
        return self._powering

    @property
    def uid(self) -> str:
        """The run."""
        return self.tape.recording.uid

    async def connect(self, timeout_s: float) -> None:
        """Nothing to do: the run is in this process."""

    def magnets(
        self, address: str, knobs: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> SimTransport:
        """Return one magnet, or many as arrays."""
        return self._magnets(address, knobs, limits, "strength", scalar=scalar)

    def supplies(
        self, address: str, which: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> SimTransport:
        """Return one supply, or many as arrays."""
        tape = self.tape
        reads = {
            "current": lambda: tape.read_supplies(which),
            "readback": lambda: tape.read_supplies_delivered(which),
        }
        return self._settable(
            reads,
            lambda values: tape.put_supplies(which, values),
            address,
            limits,
            scalar=scalar,
        )

    def rf(self, address: str, limits: Bounds) -> SimTransport:
        """Return the RF frequency."""
        knob = np.array([self._layout.knobs.index("rf")])
        return self._magnets(address, knob, limits, "frequency", scalar=True)

    def pinger(self, address: str, plane: int, limits: Bounds) -> SimTransport:
        """Return one plane of the pinger."""
        tape = self.tape

        def read() -> tuple[FloatArray, float]:
            return tape.kick[plane : plane + 1].copy(), tape.stamp

        def put(values: FloatArray) -> None:
            tape.kick[plane] = values[0]

        reads = {"kick": read, "readback": read}
        return self._settable(reads, put, address, limits, scalar=True)

    def bpms(
        self, address: str, monitors: IntArray, good: Callable[[], BoolArray]
    ) -> SimTransport:
        """Return many BPMs as arrays."""
        return self._monitor("bpms", address, "m", monitors)

    def bpm(self, address: str, monitor: int) -> SimTransport:
        """Return one BPM."""
        which = np.array([monitor])
        return self._monitor("bpms", address, "m", which, scalar=True)

    def turns(self, address: str, monitors: IntArray) -> SimTransport:
        """Return the turn-by-turn records of some BPMs."""
        tape = self.tape

        async def read() -> tuple[Any, float]:
            return tape.count, tape.stamp

        def put(count: Any) -> None:
            tape.count = int(count)

        count = Port(f"{self.uid}/{address}/count", read, None, put, SCHEME)
        return self._monitor("turns", address, "m", monitors, more={"count": count})

    def tune(self, address: str) -> SimTransport:
        """Return the tune monitor."""
        return self._monitor("tune", address, "1", _ONE, scalar=True)

    def dcct(self, address: str) -> SimTransport:
        """Return the beam current monitor."""
        return self._monitor("dcct", address, "A", _ONE, scalar=True)

    def emittance(self, address: str) -> SimTransport:
        """Return the emittance monitor."""
        return self._monitor("emittance", address, UNIT, _ONE, scalar=True)

    def injection(self, address: str) -> SimTransport:
        """Return the injection monitor."""
        return self._monitor("injection", address, "1", _ONE, scalar=True)

    def lifetime(self, address: str) -> SimTransport:
        """Return the lifetime monitor."""
        return self._monitor("lifetime", address, "s", _ONE, scalar=True)

    def member(self, name: str, limits: Bounds | None) -> MemberTransport:
        """Return nothing: members are not replayed."""
        return nowhere(name, f"{name}: members of a machine are not replayed")

    def _magnets(
        self,
        address: str,
        knobs: IntArray,
        limits: Bounds,
        setpoint: str,
        *,
        scalar: bool,
    ) -> SimTransport:
        tape = self.tape
        reads = {
            setpoint: lambda: tape.read_setpoints(knobs),
            "readback": lambda: tape.read_delivered(knobs),
        }
        return self._settable(
            reads,
            lambda values: tape.put(knobs, values),
            address,
            limits,
            scalar=scalar,
        )

    def _settable(
        self,
        reads: Mapping[str, Callable[[], tuple[FloatArray, float]]],
        put: Callable[[FloatArray], None],
        address: str,
        limits: Bounds,
        *,
        scalar: bool,
    ) -> SimTransport:
        where = f"{self.uid}/{address}"
        changes = self.tape.changes
        return settable(
            changes, reads, put, where, limits, scalar=scalar, scheme=SCHEME
        )

    def _monitor(
        self,
        kind: Kind,
        address: str,
        units: str,
        which: IntArray,
        *,
        scalar: bool = False,
        more: Mapping[str, Port] | None = None,
    ) -> SimTransport:
        tape, where = self.tape, f"{self.uid}/{address}"
        monitor = Monitor(address, kind, which)

        def reader(channel: str) -> Callable[[], Awaitable[tuple[Any, float]]]:
            async def read() -> tuple[Any, float]:
                found = tape.sample(monitor, channel)
                if not found.known[which].all():
                    raise self._not_recorded(address, channel)
                values = np.ascontiguousarray(found.values[..., which])
                return (float(values[0]) if scalar else values), found.timestamp

            return read

        async def acquire() -> None:
            tape.acquire(monitor)

        # The sum signal of BPMs goes into no event.
        names = (*CHANNELS[kind], "sum") if kind == "bpms" else CHANNELS[kind]
        ports = {
            name: Port(f"{where}/{name}", reader(name), units, scheme=SCHEME)
            for name in names
        }
        commands = {"acquire": acquire}
        return SimTransport({**ports, **(more or {})}, tape.changes, commands)

    def _not_recorded(self, address: str, channel: str) -> DeviceError:
        return DeviceError(
            f"replay of run {self.uid}: {address}/{channel} was not recorded, or not "
            "for all of these devices"
        )
