"""Instruments on a control system: BPMs, tunes, current, emittance, turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.backends.control.channels import Channels
from acctwin.backends.control.client import INVALID
from acctwin.backends.control.columns import Column
from acctwin.backends.control.settings import Settings
from acctwin.backends.control.signal import ControlTransport, Found, Quantity
from acctwin.errors import BeamLost, DeviceError, LinkLost
from acctwin.names import BoolArray, IntArray

#: Below this fraction of the profile's current there is no beam.
NO_BEAM = 1e-3


@dataclass(frozen=True)
class Freshness:
    """How long, and for what, a fresh reading waits.

    Attributes:
        updates: New values of each monitor.
        update_s: Longest time between two of them [s].
        record_s: How long a turn-by-turn record may take [s].
    """

    updates: int
    update_s: float
    record_s: float


class Monitors:
    """What all instruments need.

    Args:
        channels: Where addresses are watched.
        freshness: How long a fresh reading waits.
        current: The beam current [A]; says whether there is a beam.
        full_a: The current of the profile [A].
    """

    def __init__(
        self, channels: Channels, freshness: Freshness, current: Column, full_a: float
    ) -> None:
        self.channels, self.freshness = channels, freshness
        self._current, self._full_a = current, full_a

    def numbers(
        self, columns: Mapping[str, Column], units: str, device: int = 0
    ) -> ControlTransport:
        """Return an instrument with a number on each channel.

        Args:
            columns: By channel.
            units: Of all of them.
            device: Which of the columns' devices it is.
        """
        which = np.array([device])
        quantities = {
            name: self._quantity(column, which, units, scalar=True)
            for name, column in columns.items()
        }
        return self._renewed(quantities, list(columns.values()), which)

    def positions(
        self, x: Column, y: Column, sum_: Column, which: IntArray, good: Any
    ) -> ControlTransport:
        """Return many BPMs as arrays.

        Args:
            x: Of all BPMs [m].
            y: The same.
            sum_: Sum signals [A].
            which: The BPMs, by index.
            good: Returns which of them must have valid readings, (n,).
        """
        quantities = {
            "x": self._quantity(x, which, "m", good=good),
            "y": self._quantity(y, which, "m", good=good),
            "sum": self._quantity(sum_, which, "A", good=good),
        }
        return self._renewed(quantities, [x, y], which)

    def _quantity(
        self,
        column: Column,
        which: IntArray,
        units: str,
        *,
        scalar: bool = False,
        good: Any = None,
    ) -> Quantity:
        async def read(*, fresh: bool) -> Found:
            found = await column.read(which, fresh=fresh)
            needed: BoolArray = good() if good else np.ones(len(which), dtype=bool)
            wrong = needed & ~found.is_valid
            if wrong.any():
                await self.raise_invalid(column, which[wrong], alone=not wrong.all())
            value = float(found.values[0]) if scalar else found.values
            return Found(value, found.timestamp, max(found.severity, 0))

        return Quantity(read, lambda: column.addresses(which), units)

    def _renewed(
        self,
        quantities: Mapping[str, Quantity],
        columns: Sequence[Column],
        which: IntArray,
    ) -> ControlTransport:
        async def acquire() -> None:
            addresses = [a for column in columns for a in column.addresses(which)]
            freshness = self.freshness
            await self.channels.renew(addresses, freshness.updates, freshness.update_s)

        return ControlTransport(self.channels, quantities, {"acquire": acquire})

    async def raise_invalid(
        self, column: Column, which: IntArray, *, alone: bool
    ) -> None:
        """Raise what is wrong with readings that are not valid.

        Args:
            column: What was read.
            which: The devices whose readings are not valid.
            alone: Others of them have valid readings, so there is a beam.

        Raises:
            BeamLost: There is no beam.
            DeviceError: There is, or it is not known.
        """
        where = column.addresses(which)[0]
        names = ", ".join(column.names[int(i)] for i in which[:5])
        more = f" and {len(which) - 5} more" if len(which) > 5 else ""
        words = f"{where}: no valid reading of {names}{more}"
        lost = "" if alone else await self.why_no_beam()
        raise BeamLost(f"{words}: {lost}") if lost else DeviceError(words)

    async def why_no_beam(self) -> str:
        """Return what says that there is no beam; empty: nothing does."""
        one = np.array([0])
        try:
            found = await self._current.read(one, fresh=True)
            where = self._current.addresses(one)[0]
        except DeviceError:  # no such monitor, or it is not connected
            return ""
        if found.severity == INVALID or not found.is_valid.all():
            return ""
        current = float(found.values[0])
        if current > NO_BEAM * self._full_a:
            return ""
        return f"{where}: the beam current is {current:g} A"


class TurnMonitor:
    """The turn-by-turn records.

    Args:
        monitors: What all instruments need.
        columns: ``x``, ``y``, ``count``, ``acquire``, of one device each.
        counts: Sets the number of turns.
        n_bpms: How many BPMs a record has.
        timeout_s: How long a put may take [s].
    """

    def __init__(
        self,
        monitors: Monitors,
        columns: Mapping[str, Column],
        counts: Settings,
        n_bpms: int,
        timeout_s: float,
    ) -> None:
        self._monitors, self._columns, self._n_bpms = monitors, columns, n_bpms
        self._counts, self._timeout_s = counts, timeout_s
        self._losses = monitors.channels.losses

    def transport(self, which: IntArray) -> ControlTransport:
        """Return the records of some BPMs, by index."""
        quantities = {
            plane: Quantity(self._reader(plane, which), self._watched(plane), "m")
            for plane in ("x", "y")
        }
        quantities["count"] = Quantity(
            self._read_count, self._watched("count"), None, self._put_count
        )
        channels = self._monitors.channels
        return ControlTransport(channels, quantities, {"acquire": self._acquire})

    def _watched(self, channel: str) -> Any:
        return lambda: (self._columns[channel].address(0),)

    def _reader(self, plane: str, which: IntArray) -> Any:
        async def read(*, fresh: bool) -> Found:
            address = self._columns[plane].address(0)
            channels = self._monitors.channels
            sample = await channels.get(address) if fresh else channels.last(address)
            if channels.losses != self._losses:
                raise DeviceError(
                    f"{address}: the link was lost after this record was taken, and "
                    "what is there now may be another one; take it again"
                )
            record = np.atleast_1d(sample.value)
            if sample.severity == INVALID or not len(record):
                raise DeviceError(f"{address}: there is no valid record")
            if len(record) % self._n_bpms:
                raise DeviceError(
                    f"{address}: {len(record)} values found, wanted a multiple of "
                    f"{self._n_bpms}: one for each BPM, turn by turn"
                )
            turns = record.reshape(-1, self._n_bpms)[:, which]
            return Found(np.ascontiguousarray(turns), sample.timestamp)

        return read

    async def _read_count(self, *, fresh: bool) -> Found:
        address = self._columns["count"].address(0)
        channels = self._monitors.channels
        sample = await channels.get(address) if fresh else channels.last(address)
        return Found(int(sample.value), sample.timestamp)

    async def _put_count(self, value: Any) -> None:
        await self._counts.put(np.array([0]), np.array([float(int(value))]))

    async def _acquire(self) -> None:
        """Fire the pinger, and wait for a record that is newer than this call.

        Raises:
            BeamLost: There is no record, and no beam.
            LinkLost: There is no record in time.
        """
        channels, record_s = self._monitors.channels, self._monitors.freshness.record_s
        places = [self._columns[plane].address(0) for plane in ("x", "y")]
        seen = {address: channels.last(address).timestamp for address in places}
        trigger = self._columns["acquire"].address(0)
        await channels.put(trigger, 1, self._timeout_s)
        if await channels.wait_newer(seen, record_s, ask=True):
            self._losses = channels.losses
            return
        words = f"{places[0]}: no new record within {record_s:g} s"
        lost = await self._monitors.why_no_beam()
        raise BeamLost(f"{words}: {lost}") if lost else LinkLost(words)
