"""Faults that a trainer puts in through the control system."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from acctwin.backends.sim.faults import Faults
from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import UnknownName
from acctwin.names import BoolArray, FloatArray
from acctwin.profiles.profile import Profile


class ServedFaults:
    """Supplies that stick and trip, BPMs that freeze, a beam that is dropped.

    Devices are named as in the profile, or with ":" or "-" in place of "/".

    Attributes:
        is_dropped: Whether the beam is kept out.
        message: What was asked for last, and whether it could be done.
    """

    def __init__(self, profile: Profile, sim: SimMachine) -> None:
        self._faults = Faults(profile, sim)
        self._sim = sim
        self._supplies = _spellings(row.name for row in profile.supplies)
        self._bpms = _spellings(row.name for row in profile.bpms)
        self._index = {row.name: i for i, row in enumerate(profile.bpms)}
        self._frozen: BoolArray = np.zeros(len(profile.bpms), dtype=bool)
        self._last: FloatArray | None = None
        self.is_dropped = False
        self.message = ""

    def do(self, fault: str, name: str) -> bool:
        """Put in, or take out, a fault; :attr:`message` says how it went.

        Args:
            fault: ``"trip"``, ``"stick"``, ``"repair"`` or ``"freeze_bpm"``.
            name: The device; ``"repair"`` takes supplies and BPMs.

        Returns:
            Whether there is such a device.
        """
        action: Callable[[str], None] = getattr(self, f"_{fault}")
        try:
            action(name.strip())
        except UnknownName as error:
            self.message = f"{fault}: {error}"
            return False
        self.message = f"{fault} {name.strip()}: done"
        return True

    def drop_beam(self, dropped: bool) -> None:
        """Drop the beam and keep it out, or let it be injected again."""
        self.is_dropped = dropped
        if dropped:
            self._sim.beam.lose()
        self.message = f"beam {'dropped' if dropped else 'may be injected'}"

    def freeze(self, position: FloatArray) -> FloatArray:
        """Return a reading of the BPMs, with frozen ones where they were."""
        if self._last is not None and self._frozen.any():
            position = np.where(self._frozen[:, None], self._last, position)
        self._last = position
        return position

    def _trip(self, name: str) -> None:
        self._faults.trip(_find("supply", name, self._supplies))

    def _stick(self, name: str) -> None:
        self._faults.stick(_find("supply", name, self._supplies))

    def _repair(self, name: str) -> None:
        if name in self._bpms:
            self._frozen[self._index[self._bpms[name]]] = False
            return
        self._faults.repair(_find("supply", name, self._supplies))

    def _freeze_bpm(self, name: str) -> None:
        self._frozen[self._index[_find("BPM", name, self._bpms)]] = True


def _spellings(names: Iterable[str]) -> dict[str, str]:
    """Return names by all that they may be called."""
    return {name.replace("/", mark): name for name in names for mark in ("/", ":", "-")}


def _find(what: str, name: str, known: dict[str, str]) -> str:
    if name not in known:
        raise UnknownName(what, name, known)
    return known[name]
