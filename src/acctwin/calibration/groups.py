"""Which supplies and magnets belong together, and what can be set on its own.

Magnets that share a supply, and supplies that share a magnet, are one group. Three
kinds can be solved for the excitations e of the supplies, given the integrated fields
f = W·e of the magnets:

- one supply, one magnet or several in series: e = fₘ / wₘ of any one magnet;
- as many supplies as functions of a combined-function magnet: e = W⁻¹·f;
- more supplies than functions: the smallest e that gives f, e = W⁺·f.

More functions than supplies cannot be set one by one and are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray

#: Functions that are more alike than this cannot be told apart.
_MOST_CONDITION = 1e6


@dataclass(frozen=True, eq=False)
class Group:
    """Magnets and supplies that belong together.

    Attributes:
        magnets: Indices, (p,), increasing.
        supplies: Indices, (q,), increasing.
        weights: Field of each magnet for each supply's excitation, (p, q).
    """

    magnets: tuple[int, ...]
    supplies: tuple[int, ...]
    weights: FloatArray

    @property
    def is_series(self) -> bool:
        """Whether one supply feeds several magnets."""
        return len(self.supplies) == 1 < len(self.magnets)

    def problem(self) -> str | None:
        """Return why the magnets cannot be set, or None if they can."""
        functions, supplies = len(self.magnets), len(self.supplies)
        if supplies > 1 and functions > supplies:
            return (
                f"{functions} functions on {supplies} supplies cannot be set one by "
                "one; give each function a supply, or all of them one"
            )
        if supplies > 1 and self._condition() > _MOST_CONDITION:
            return "the weights are too much alike to set one function without another"
        return None

    def response(self) -> FloatArray:
        """Return d(excitation)/d(field of one magnet), the others unchanged, (q, p).

        In series the others follow: each column is then the answer to one magnet.
        """
        if len(self.supplies) == 1:
            return 1.0 / self.weights.T
        return np.asarray(np.linalg.pinv(self.weights), dtype=np.float64)

    def _condition(self) -> float:
        """Return how far the rows, each scaled to 1, are from being dependent."""
        rows = self.weights / np.linalg.norm(self.weights, axis=1, keepdims=True)
        return float(np.linalg.cond(rows))


def find_groups(entries: Iterable[tuple[int, int, float]]) -> list[Group]:
    """Return the groups that weights make, in order of their first magnets.

    Args:
        entries: Magnet, supply and weight (not 0) of each connection.
    """
    found = sorted(entries)
    group_of = _Union()
    for magnet, supply, _ in found:
        group_of.join(("magnet", magnet), ("supply", supply))
    members: dict[object, list[tuple[int, int, float]]] = {}
    for entry in found:
        members.setdefault(group_of.root(("magnet", entry[0])), []).append(entry)
    return [_group(entries) for entries in members.values()]


def _group(entries: Sequence[tuple[int, int, float]]) -> Group:
    magnets = sorted({magnet for magnet, _, _ in entries})
    supplies = sorted({supply for _, supply, _ in entries})
    row = {magnet: i for i, magnet in enumerate(magnets)}
    column = {supply: j for j, supply in enumerate(supplies)}
    weights = np.zeros((len(magnets), len(supplies)))
    for magnet, supply, weight in entries:
        weights[row[magnet], column[supply]] += weight
    return Group(tuple(magnets), tuple(supplies), weights)


class _Union:
    """Sets that grow together (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[tuple[str, int], tuple[str, int]] = {}

    def root(self, item: tuple[str, int]) -> tuple[str, int]:
        parent = self._parent
        while parent.setdefault(item, item) != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: tuple[str, int], other: tuple[str, int]) -> None:
        self._parent[self.root(one)] = self.root(other)
