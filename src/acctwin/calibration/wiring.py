"""How excitations follow fields: the groups of a machine as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.calibration.groups import Group, find_groups
from acctwin.calibration.links import Links
from acctwin.errors import CalibrationError
from acctwin.names import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Wiring:
    """The groups of a machine; made by :func:`wire`.

    Attributes:
        magnet_group: Number of each magnet's group, (n_magnets,).
        supply_group: Number of each supply's group, (n_supplies,).
        n_groups: How many there are.
        is_series: Whether a magnet shares its only supply, (n_magnets,).
        response: d(excitation)/d(field of one magnet), (n_supplies, n_magnets).
    """

    magnet_group: IntArray
    supply_group: IntArray
    n_groups: int
    is_series: BoolArray
    response: Links

    def supplies_of(self, magnets: IntArray) -> IntArray:
        """Return the supplies in the groups of some magnets."""
        chosen = np.zeros(self.n_groups, dtype=np.bool_)
        chosen[self.magnet_group[magnets]] = True
        return np.flatnonzero(chosen[self.supply_group])

    def solve(self, fields: FloatArray, magnets: IntArray) -> FloatArray:
        """Return the excitations for fields of some magnets, 0 of all others.

        Where several magnets in series are asked, it is the mean of their answers.

        Args:
            fields: Integrated fields, (k,).
            magnets: Which, (k,), none twice.
        """
        group = self.magnet_group[magnets]
        asked = np.bincount(group, minlength=self.n_groups)[group]
        full = np.zeros(len(self.magnet_group))
        full[magnets] = fields / np.where(self.is_series[magnets], asked, 1)
        return self.response.times(full)

    def room(self, excitations: FloatArray) -> FloatArray:
        """Return how far each field can go alone if excitations go ± so far."""
        response = self.response
        room = np.full(len(self.magnet_group), np.inf)
        alone = excitations[response.rows] / np.abs(response.values)
        np.minimum.at(room, response.columns, alone)
        return room


def wire(weights: Links, magnets: Sequence[str], supplies: Sequence[str]) -> Wiring:
    """Return the wiring of weights (n_magnets, n_supplies).

    Raises:
        CalibrationError: A magnet has no supply or a supply no magnet, or the magnets
            of a group cannot be set.
    """
    groups = find_groups(entry for entry in weights.entries() if entry[2])
    magnet_group = np.full(len(magnets), -1)
    supply_group = np.full(len(supplies), -1)
    is_series = np.zeros(len(magnets), dtype=np.bool_)
    for number, group in enumerate(groups):
        if problem := group.problem():
            names = ", ".join(magnets[m] for m in group.magnets)
            raise CalibrationError(f"{names}: {problem}")
        magnet_group[list(group.magnets)] = number
        supply_group[list(group.supplies)] = number
        is_series[list(group.magnets)] = group.is_series
    _check_complete(magnet_group, magnets, "has no supply")
    _check_complete(supply_group, supplies, "feeds no magnet")
    return Wiring(
        magnet_group,
        supply_group,
        len(groups),
        is_series,
        _response(groups, (len(supplies), len(magnets))),
    )


def _check_complete(group: IntArray, names: Sequence[str], problem: str) -> None:
    for i in np.flatnonzero(group < 0)[:1]:
        raise CalibrationError(f"{names[i]} {problem}")


def _response(groups: Sequence[Group], shape: tuple[int, int]) -> Links:
    entries = [
        (supply, magnet, float(value))
        for group in groups
        for supply, row in zip(group.supplies, group.response(), strict=True)
        for magnet, value in zip(group.magnets, row, strict=True)
        if value
    ]
    return Links.of(entries, shape)
