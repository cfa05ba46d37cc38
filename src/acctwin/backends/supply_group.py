"""The supplies of a machine as devices, and which magnets each of them feeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from acctwin.backends.link import Links
from acctwin.backends.plant import Plant, Transport
from acctwin.devices.bounds import Bounds
from acctwin.devices.setpoint import bounds_of
from acctwin.devices.status import StatusBoard
from acctwin.devices.supply import Supply, SupplyFamily, SupplyInfo
from acctwin.names import IntArray
from acctwin.profiles.profile import Profile, SupplyRow


class SupplyGroup:
    """Builds each supply once, and one family for each set of supplies.

    Attributes:
        members: The supplies, in the order of the profile.
    """

    def __init__(self, profile: Profile, links: Links, board: StatusBoard) -> None:
        self._links, self._board = links, board
        self._layout, self._powering = links.plant.layout, links.plant.powering
        self._families: dict[tuple[str, ...], SupplyFamily] = {}
        self._index = {name: i for i, name in enumerate(self._powering.names)}
        self._fed_by: dict[str, list[str]] = {}
        self.members: dict[str, Supply] = {}
        if self._powering.map is None:
            return
        steps, places = self._steps_and_places(profile)
        for row in profile.supplies:
            info = _info(row, steps[row.name], places[row.name])
            index = np.array([self._index[row.name]])
            make = partial(_place, row.name, index, bounds_of([info]), scalar=True)
            self.members[row.name] = Supply(links.connector(make), info, board)

    def of(self, magnets: Iterable[str]) -> dict[str, Supply]:
        """Return the supplies that feed some magnets, each once, in their order."""
        names = [name for magnet in magnets for name in self._fed_by.get(magnet, ())]
        return {name: self.members[name] for name in names}

    def family(self, name: str, supplies: Sequence[str]) -> SupplyFamily:
        """Return the family of some supplies; the same one for the same supplies."""
        key = tuple(sorted(supplies))
        if key not in self._families:
            chosen = {n: self.members[n] for n in supplies}
            bounds = bounds_of([supply.info for supply in chosen.values()])
            index = np.array([self._index[n] for n in chosen])
            make = partial(_place, name, index, bounds, scalar=False)
            self._families[key] = SupplyFamily(
                self._links.connector(make), name, chosen, bounds, self._board
            )
        return self._families[key]

    def _steps_and_places(
        self, profile: Profile
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return each supply's measurement step [A] and position [m]."""
        slopes = self._powering.slopes()
        deltas = {row.name: row.delta for row in profile.magnets}
        s = dict(zip(self._layout.knobs, self._layout.knob_s, strict=True))
        steps: dict[str, float] = {}
        places: dict[str, float] = {}
        for magnet, supply, slope in slopes:
            self._fed_by.setdefault(magnet, []).append(supply)
            step = deltas[magnet] / abs(slope)
            steps[supply] = min(step, steps.get(supply, np.inf))
            places[supply] = min(float(s[magnet]), places.get(supply, np.inf))
        return steps, places


def _place(
    name: str, index: IntArray, bounds: Bounds, plant: Plant, *, scalar: bool
) -> Transport:
    return plant.supplies(name, index, bounds, scalar=scalar)


def _info(row: SupplyRow, delta: float, s: float) -> SupplyInfo:
    return SupplyInfo(row.name, row.low, row.high, row.tolerance, delta, "A", s)
