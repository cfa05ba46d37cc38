"""Some members of a family: by name, pattern, position or status; set algebra."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np

from acctwin.errors import UnknownName
from acctwin.names import BoolArray, FloatArray


class Members(Protocol):
    """What can be selected from: a family, or another selection's family."""

    @property
    def name(self) -> str:
        """Name in documents."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Profile names, in s order."""
        ...

    @property
    def s(self) -> FloatArray:
        """Positions [m], (n,)."""
        ...

    @property
    def status(self) -> BoolArray:
        """True for each that is good, (n,)."""
        ...

    def __getitem__(self, key: int) -> Any:
        """Return a member by its position."""
        ...


class Named(Protocol):
    """Anything that has names: a family or a selection."""

    @property
    def names(self) -> tuple[str, ...]:
        """Profile names."""
        ...


@dataclass(frozen=True)
class Selection:
    """Members of one family, as indices into its arrays, in the family's order.

    Selections of any families are combined by name with ``&``, ``|`` and ``-``; the
    result belongs to the family on the left.

    Attributes:
        family: The family; it is the family that is read, whatever is selected.
        indices: Positions in the family's arrays, rising.
    """

    family: Members
    indices: tuple[int, ...]

    @classmethod
    def of(cls, family: Members, indices: Iterable[int]) -> Selection:
        """Return the members at some positions, each once, in order."""
        return cls(family, tuple(sorted(set(indices))))

    @classmethod
    def matching(
        cls, family: Members, patterns: Iterable[str], regex: str | None = None
    ) -> Selection:
        """Return the members that match any of the names, globs, or the expression.

        Raises:
            UnknownName: A pattern that no member matches.
        """
        names = family.names
        chosen: set[int] = set()
        for pattern in patterns:
            found = {i for i, name in enumerate(names) if fnmatchcase(name, pattern)}
            if not found:
                raise UnknownName(f"member of {family.name}", pattern, names)
            chosen |= found
        if regex is not None:
            whole = re.compile(regex)
            found = {i for i, name in enumerate(names) if whole.fullmatch(name)}
            if not found:
                raise UnknownName(f"member of {family.name}", regex, names)
            chosen |= found
        return cls.of(family, chosen)

    @property
    def names(self) -> tuple[str, ...]:
        """Profile names of the chosen members."""
        names = self.family.names
        return tuple(names[i] for i in self.indices)

    def good(self) -> Selection:
        """Return the chosen members whose status is good."""
        status = self.family.status
        return Selection(self.family, tuple(i for i in self.indices if status[i]))

    def between(self, start: float, stop: float) -> Selection:
        """Return the chosen members from ``start`` to ``stop`` [m].

        With ``start`` after ``stop`` the range goes through the end of the ring.
        """
        s = self.family.s[list(self.indices)]
        if start <= stop:
            inside = (s >= start) & (s <= stop)
        else:
            inside = (s >= start) | (s <= stop)
        return Selection.of(self.family, np.array(self.indices)[inside].tolist())

    def nearest(self, s: float, count: int = 1) -> Selection:
        """Return the chosen members that are nearest to a position [m]."""
        distance = np.abs(self.family.s[list(self.indices)] - s)
        order = np.argsort(distance, kind="stable")[:count]
        return Selection.of(self.family, np.array(self.indices)[order].tolist())

    def __and__(self, other: Named) -> Selection:
        names = set(other.names)
        return self._where(lambda name: name in names)

    def __sub__(self, other: Named) -> Selection:
        names = set(other.names)
        return self._where(lambda name: name not in names)

    def __or__(self, other: Named) -> Selection:
        index = {name: i for i, name in enumerate(self.family.names)}
        for name in other.names:
            if name not in index:
                raise UnknownName(f"member of {self.family.name}", name, index)
        added = [index[name] for name in other.names]
        return Selection.of(self.family, [*self.indices, *added])

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Any]:
        return (self.family[i] for i in self.indices)

    def _where(self, is_wanted: Any) -> Selection:
        names = self.family.names
        return Selection(
            self.family, tuple(i for i in self.indices if is_wanted(names[i]))
        )
