"""The real machine's control system as what stands behind devices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import numpy as np

from acctwin.backends.classic.members import ClassicMembers
from acctwin.backends.classic.signal import MemberTransport
from acctwin.backends.control.channels import Channels, gather_errors
from acctwin.backends.control.columns import Column
from acctwin.backends.control.monitors import Freshness, Monitors, TurnMonitor
from acctwin.backends.control.outages import Outages
from acctwin.backends.control.settables import settable
from acctwin.backends.control.settings import Settings, Source
from acctwin.backends.control.signal import ControlTransport
from acctwin.backends.control.strengths import Strengths
from acctwin.backends.powering import Powering
from acctwin.devices.bounds import Bounds
from acctwin.devices.emittance import UNIT
from acctwin.errors import PlanError
from acctwin.model.engine import Layout
from acctwin.names import BoolArray, IntArray
from acctwin.profiles.control import address
from acctwin.profiles.profile import Profile, SettingRow
from acctwin.profiles.supplies import supply_map

#: How long an answer to a question may take [s].
ANSWER_S = 5.0
#: Fraction of the time for a move that a put may take, so that its own error is told.
PUT_SHARE = 0.8

T = TypeVar("T")


class ControlPlant:
    """Satisfies ``plant.Plant``; what each method returns is said there.

    Args:
        profile: The checked profile, with a section ``control``.
        layout: The design model's.
        channels: Where addresses are watched; for tests.

    Raises:
        PlanError: The profile has no addresses.
        ConfigError: A member cannot be made from its class.
    """

    def __init__(
        self, profile: Profile, layout: Layout, channels: Channels | None = None
    ) -> None:
        if profile.control is None:
            raise PlanError(
                f"profile {profile.name} ({profile.path}) has no control-system "
                "addresses (section `control`), so there is no hardware to switch to"
            )
        self._profile, self._control = profile, profile.control
        self._layout = layout
        self._powering = Powering(layout, supply_map(profile))
        lock = f"profile {profile.name} says read_only" * profile.control.read_only
        self.channels = channels or Channels(ANSWER_S, lock)
        self._put_s = PUT_SHARE * profile.defaults.waits.timeout_s
        self._users: dict[str, str] = {}
        self._columns: dict[tuple[str, str], Column] = {}
        self._settable: dict[str, Settings] = {}
        self._supplies = self._all_supplies()
        self._magnets = self._all_magnets()
        waits = profile.defaults.waits
        self._members = ClassicMembers(
            profile.members, waits.timeout_s, PUT_SHARE, lock
        )
        control = profile.control
        self._outages = Outages(
            self.channels,
            lambda: tuple(self._users),
            lambda: tuple(self._settable.values()),
            wait_s=control.link_wait_s if control.on_link_loss == "wait" else 0.0,
            updates=control.updates,
            update_s=control.update_s,
        )
        freshness = Freshness(control.updates, control.update_s, self._put_s)
        self._monitors = Monitors(
            self.channels,
            freshness,
            self._column("dcct", "current", ["dcct"]),
            profile.beam_current_a,
        )

    @property
    def layout(self) -> Layout:
        """Names and positions of all knobs and monitors."""
        return self._layout

    @property
    def powering(self) -> Powering:
        """Values of all supplies ⇄ strengths of all knobs."""
        return self._powering

    @property
    def backends(self) -> tuple[str, ...]:
        """The control systems in use, for metadata."""
        found = {address.split("://")[0] for address in self._users}
        return (*sorted(found), *(["ophyd"] if self._profile.members else []))

    async def connect(self, timeout_s: float) -> None:
        """Connect all addresses of the devices that were bound, at once.

        Raises:
            LinkLost: Some do not answer; the message lists them.
        """
        opened = self.channels.open(self._users, timeout_s)
        joined = self._members.connect(timeout_s)
        gather_errors(await asyncio.gather(opened, joined, return_exceptions=True))

    async def over(self, job: Callable[[], Awaitable[T]]) -> T:
        """Do something, again after the link was lost; see ``linked.Link``."""
        return await self._outages.over(job)

    @property
    def is_waiting(self) -> bool:
        """Whether a lost link is being waited for."""
        return self._outages.is_waiting

    def wait_for_link(self, allowed: bool) -> None:
        """Say whether a link that is lost is waited for from now on; any thread.

        It never is where the profile says that plans end then.
        """
        self._outages.allow(allowed)

    async def close(self) -> None:
        """End all connections."""
        await self._outages.close()
        await self.channels.close()
        await self._members.close()

    def magnets(
        self, address: str, knobs: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> ControlTransport:
        """Return one magnet, or many as arrays."""
        return settable(
            self.channels, self._magnets, knobs, limits, "strength", scalar=scalar
        )

    def supplies(
        self, address: str, which: IntArray, limits: Bounds, *, scalar: bool = False
    ) -> ControlTransport:
        """Return one supply, or many as arrays."""
        return settable(
            self.channels, self._supplies, which, limits, "current", scalar=scalar
        )

    def rf(self, address: str, limits: Bounds) -> ControlTransport:
        """Return the RF frequency."""
        return self._one("rf", "frequency", self._profile.rf, limits)

    def pinger(self, address: str, plane: int, limits: Bounds) -> ControlTransport:
        """Return one plane of the pinger."""
        axis = "xy"[plane]
        row = getattr(self._profile.pinger, axis, None)
        return self._one(f"pinger_{axis}", "kick", row, limits)

    def bpms(
        self, address: str, monitors: IntArray, good: Callable[[], BoolArray]
    ) -> ControlTransport:
        """Return many BPMs as arrays."""
        x, y = self._positions("x"), self._positions("y")
        total = self._column("bpms", "sum", self._layout.monitors, is_array=True)
        return self._monitors.positions(x, y, total, monitors, good)

    def bpm(self, address: str, monitor: int) -> ControlTransport:
        """Return one BPM."""
        columns = {plane: self._positions(plane) for plane in ("x", "y")}
        return self._monitors.numbers(columns, "m", monitor)

    def turns(self, address: str, monitors: IntArray) -> ControlTransport:
        """Return the turn-by-turn records of some BPMs."""
        columns = {
            channel: self._column("turns", channel, ["turns"])
            for channel in ("x", "y", "count", "acquire")
        }
        count = len(self._layout.monitors)
        number = columns["count"]
        counts = Settings(self.channels, number, number, np.array([0.5]), self._put_s)
        self._settable["turns"] = counts
        turns = TurnMonitor(self._monitors, columns, counts, count, self._put_s)
        return turns.transport(monitors)

    def tune(self, address: str) -> ControlTransport:
        """Return the tune monitor."""
        return self._numbers("tune", ("qx", "qy", "qs"), "1")

    def dcct(self, address: str) -> ControlTransport:
        """Return the beam current monitor."""
        return self._numbers("dcct", ("current",), "A")

    def emittance(self, address: str) -> ControlTransport:
        """Return the emittance monitor."""
        return self._numbers("emittance", ("ex", "ey"), UNIT)

    def injection(self, address: str) -> ControlTransport:
        """Return the injection monitor."""
        return self._numbers("injection", ("efficiency",), "1")

    def lifetime(self, address: str) -> ControlTransport:
        """Return the lifetime monitor."""
        return self._numbers("lifetime", ("value",), "s")

    def member(self, name: str, limits: Bounds | None) -> MemberTransport:
        """Return a classic device."""
        return self._members.transport(name, limits)

    def _numbers(
        self, kind: str, channels: Sequence[str], units: str
    ) -> ControlTransport:
        columns = {name: self._column(kind, name, [kind]) for name in channels}
        return self._monitors.numbers(columns, units)

    def _one(
        self, kind: str, setpoint: str, row: SettingRow | None, limits: Bounds
    ) -> ControlTransport:
        names = [row.name] if row else []
        settings = self._settings(kind, setpoint, names, limits.tolerance)
        which = np.array([0])
        return settable(self.channels, settings, which, limits, setpoint, scalar=True)

    def _all_supplies(self) -> Settings:
        rows = self._profile.supplies
        return self._settings(
            "supply",
            "current",
            [row.name for row in rows],
            np.array([row.tolerance for row in rows]),
        )

    def _all_magnets(self) -> Source:
        """Return the magnets: by their strengths there, or by their supplies."""
        rows = self._profile.magnets
        if not self._control.has("magnet", "strength"):
            missing = self._missing("magnet", "strength")
            words = f"it has no supply in the profile, and is {missing}"
            return Strengths(self._powering, self._supplies, words)
        tolerance = np.array([row.tolerance for row in rows])
        return self._settings(
            "magnet", "strength", [row.name for row in rows], tolerance
        )

    def _settings(
        self, kind: str, setpoint: str, names: Sequence[str], tolerance: np.ndarray
    ) -> Settings:
        if kind in self._settable:
            return self._settable[kind]
        flags = None
        if kind == "supply" and self._profile.defaults.waits.done == "flag":
            flags = self._column(kind, "moving", names)
        self._settable[kind] = Settings(
            self.channels,
            self._column(kind, setpoint, names),
            self._column(kind, "readback", names),
            tolerance,
            self._put_s,
            flags,
        )
        return self._settable[kind]

    def _positions(self, plane: str) -> Column:
        return self._column("bpm", plane, self._layout.monitors)

    def _column(
        self, kind: str, channel: str, names: Sequence[str], *, is_array: bool = False
    ) -> Column:
        """Return a channel of all devices of a kind; it will be connected.

        Args:
            kind: Kind of the devices.
            channel: Of the kind.
            names: Of the devices, in the profile's order.
            is_array: The channel holds all of them.
        """
        if (kind, channel) in self._columns:
            return self._columns[kind, channel]
        array = {"supply": "supplies", "bpm": "bpms"}.get(kind)
        whole = None
        if is_array:
            whole = address(self._profile, kind, channel)
        elif array and (array, channel) in _ARRAYS and names:
            whole = address(self._profile, array, channel)
        each = [
            None if is_array else address(self._profile, kind, channel, name)
            for name in names
        ]
        column = Column(
            self.channels, names, each, whole, missing=self._missing(kind, channel)
        )
        self._columns[kind, channel] = column
        self._users |= column.users()
        return column

    def _missing(self, kind: str, channel: str) -> str:
        profile = self._profile
        return (
            f"not in the control system: profile {profile.name} ({profile.path}) gives "
            f"no address for {kind}/{channel}"
        )


#: Channels that a control system may have as arrays of all devices.
_ARRAYS = {
    ("supplies", "current"),
    ("supplies", "readback"),
    ("bpms", "x"),
    ("bpms", "y"),
}
