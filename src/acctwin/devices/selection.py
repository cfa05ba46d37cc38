"""Some members of a family: by name, by glob, in the family's order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from acctwin.errors import UnknownName

if TYPE_CHECKING:
    from acctwin.devices.family import Family


@dataclass(frozen=True)
class Selection:
    """Members of one family, as indices into its arrays.

    Attributes:
        family: The family; it is the family that is read, whatever is selected.
        indices: Positions in the family's arrays, rising.
    """

    family: Family[Any]
    indices: tuple[int, ...]

    @classmethod
    def matching(cls, family: Family[Any], patterns: Iterable[str]) -> Selection:
        """Return the members that match any of the names or globs."""
        names = family.names
        chosen: set[int] = set()
        for pattern in patterns:
            found = {i for i, name in enumerate(names) if fnmatchcase(name, pattern)}
            if not found:
                raise UnknownName(f"member of {family.name}", pattern, names)
            chosen |= found
        return cls(family, tuple(sorted(chosen)))

    @property
    def names(self) -> tuple[str, ...]:
        """Profile names of the chosen members."""
        names = self.family.names
        return tuple(names[i] for i in self.indices)

    def good(self) -> Selection:
        """Return the chosen members whose status is good."""
        status = self.family.status
        return Selection(self.family, tuple(i for i in self.indices if status[i]))

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self):
        return (self.family[i] for i in self.indices)
