"""What every family has: names, positions, status, members, configuration."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from bluesky.protocols import Reading
from event_model import DataKey
from ophyd_async.core import DeviceConnector

from acctwin.devices.bounds import Bounds
from acctwin.devices.linked import Linked
from acctwin.devices.selection import Named, Selection
from acctwin.devices.setpoint import Settable, device_name
from acctwin.devices.status import StatusBoard
from acctwin.errors import UnknownName
from acctwin.names import BoolArray, FloatArray

MemberT = TypeVar("MemberT")


class Family(Linked, Generic[MemberT]):
    """Devices of one kind, in s order, read and set as arrays.

    The arrays always cover the whole family; devices whose status is bad are left
    out by plans and analysis, which see ``status`` in the stream's configuration.
    """

    _child_name_separator = "_"
    _members: dict[str, MemberT]
    _s: FloatArray
    _board: StatusBoard

    def _adopt(
        self, members: dict[str, MemberT], s: FloatArray, board: StatusBoard
    ) -> None:
        """Take the members, in s order. Called once, before anything else."""
        self._members, self._s, self._board = members, s, board

    @property
    def names(self) -> tuple[str, ...]:
        """Profile names of the members, in s order."""
        return tuple(self._members)

    @property
    def s(self) -> FloatArray:
        """Positions of the members [m], (n,)."""
        return self._s.copy()

    @property
    def status(self) -> BoolArray:
        """True for each member that is good, (n,)."""
        return self._board.of(self._members)

    def mark_bad(self, *names: str) -> None:
        """Leave these members out of every default from now on."""
        self._board.mark(names, good=False)

    def mark_good(self, *names: str) -> None:
        """Use these members again."""
        self._board.mark(names, good=True)

    def select(self, *patterns: str, regex: str | None = None) -> Selection:
        """Return members by name, glob or regular expression, good or bad.

        Args:
            patterns: Names or globs, e.g. ``"SR/C04/*"``.
            regex: Expression that must match the whole name.

        Raises:
            UnknownName: A pattern that no member matches.
        """
        return Selection.matching(self, patterns, regex)

    def all(self) -> Selection:
        """Return every member, good or bad."""
        return Selection(self, tuple(range(len(self))))

    def good(self) -> Selection:
        """Return the members whose status is good."""
        return self.all().good()

    def between(self, start: float, stop: float) -> Selection:
        """Return the members from ``start`` to ``stop`` [m], or past the end."""
        return self.all().between(start, stop)

    def nearest(self, s: float, count: int = 1) -> Selection:
        """Return the members that are nearest to a position [m]."""
        return self.all().nearest(s, count)

    def __and__(self, other: Named) -> Selection:
        return self.all() & other

    def __sub__(self, other: Named) -> Selection:
        return self.all() - other

    def __or__(self, other: Named) -> Selection:
        return self.all() | other

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[MemberT]:
        return iter(self._members.values())

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, key: str | int) -> MemberT:
        if isinstance(key, int):
            return tuple(self._members.values())[key]
        try:
            return self._members[key]
        except KeyError:
            raise UnknownName(f"member of {self.name}", key, self._members) from None

    async def describe_configuration(self) -> dict[str, DataKey]:
        """Describe ``names``, ``s`` [m] and ``status``, in the arrays' order."""
        source = f"profile://{self.name}"
        described = await super().describe_configuration()
        for key, value, units in self._configuration():
            described[f"{self.name}_{key}"] = _describe(value, source, units)
        return described

    async def read_configuration(self) -> dict[str, Reading[Any]]:
        """Return ``names``, ``s`` [m] and ``status``, in the arrays' order."""
        read = await super().read_configuration()
        now = time.time()
        for key, value, _ in self._configuration():
            read[f"{self.name}_{key}"] = Reading(value=value, timestamp=now)
        return read

    def _configuration(self) -> list[tuple[str, Any, str | None]]:
        return [
            ("names", list(self._members), None),
            ("s", self.s, "m"),
            ("status", self.status.astype(np.int64), None),
        ]


class SettableFamily(Family[MemberT], Settable):
    """A family that is set as an array: one value for each member."""

    def __init__(
        self,
        connector: DeviceConnector,
        name: str,
        members: dict[str, MemberT],
        s: FloatArray,
        bounds: Bounds,
        board: StatusBoard,
    ) -> None:
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

    def _as_signal_value(self, wanted: FloatArray) -> FloatArray:
        return wanted


def _describe(value: Sequence[str] | np.ndarray, source: str, units: str | None) -> Any:
    described = {"source": source, "dtype": "array", "shape": [len(value)]}
    if isinstance(value, np.ndarray):
        described["dtype_numpy"] = value.dtype.str
    if units:
        described["units"] = units
    return described
