"""Which devices are good: one board for a machine, marked at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from acctwin.errors import UnknownName
from acctwin.names import BoolArray


class StatusBoard:
    """Good or bad, for each device of a machine, by its profile name.

    Every family and every device asks the same board, so that a device which is
    marked bad is left out of every default at once, without a restart.

    Args:
        good: The status of each device in the profile.
        needs: Devices that another one cannot do without: a magnet's supplies.
    """

    def __init__(
        self, good: dict[str, bool], needs: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._profile, self._good = dict(good), dict(good)
        self._needs = dict(needs or {})
        self.listeners: list[Callable[[dict[str, bool]], None]] = []

    def is_good(self, name: str) -> bool:
        """Tell whether a device is good, and what it needs too."""
        needed = self._needs.get(name, ())
        return self._good[name] and all(self._good[other] for other in needed)

    def of(self, names: Iterable[str]) -> BoolArray:
        """Return the status of some devices, (n,)."""
        return np.fromiter((self.is_good(name) for name in names), dtype=bool)

    def mark(self, names: Iterable[str], good: bool) -> None:
        """Mark devices good or bad.

        Raises:
            UnknownName: One of the names is not a device; none is marked.
        """
        wanted = tuple(names)
        for name in wanted:
            if name not in self._good:
                raise UnknownName("device", name, self._good)
        self._good.update(dict.fromkeys(wanted, good))
        for listener in self.listeners:
            listener(self.marks())

    def marks(self) -> dict[str, bool]:
        """Return what was marked: the devices that differ from the profile."""
        return {n: g for n, g in self._good.items() if g != self._profile[n]}
