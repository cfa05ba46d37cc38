"""What an import needs to know of the lattice; given by the caller, who can open it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from acctwin.profiles.profile import ElementRef


@dataclass(frozen=True)
class LatticeElement:
    """One element of the lattice.

    Attributes:
        family: Its family name (``FamName``).
        s: Where it begins [m].
        length: [m].
    """

    family: str
    s: float
    length: float


@dataclass(frozen=True)
class Ring:
    """The lattice that the ``ATIndex`` of a set-up counts in.

    Attributes:
        source: What the profile says of it: ``at:FILE``, ``code:NAME``, or the name
            of a file in the machine's devices folder.
        key: Variable of a .mat file.
        energy_ev: [eV].
        rf_hz: Frequency of the cavities [Hz], None without.
        elements: In the order of Matlab's ``THERING``; None for an entry that is no
            element here (``RingParam``).
    """

    source: str
    key: str | None
    energy_ev: float
    rf_hz: float | None
    elements: Sequence[LatticeElement | None]

    @cached_property
    def _occurrences(self) -> list[int]:
        """Return how many elements of the same family are before each."""
        seen: dict[str, int] = {}
        found: list[int] = []
        for element in self.elements:
            name = element.family if element else ""
            found.append(seen.get(name, 0))
            seen[name] = found[-1] + 1
        return found

    def device(self, indices: Sequence[int]) -> Spot | str:
        """Return the elements that make up a device, or why they cannot.

        Args:
            indices: From 1, as Matlab counts; increasing.
        """
        members: list[LatticeElement] = []
        for index in indices:
            if not 1 <= index <= len(self.elements):
                return (
                    f"ATIndex {index} is outside the lattice, 1 to {len(self.elements)}"
                )
            element = self.elements[index - 1]
            if element is None:
                return f"ATIndex {index} is the lattice's RingParam, not an element"
            members.append(element)
        names = sorted({element.family for element in members})
        if len(names) > 1:
            return f"its elements have several family names: {', '.join(names)}"
        first = self._occurrences[indices[0] - 1]
        places = [self._occurrences[index - 1] - first for index in indices]
        if places != list(range(len(indices))):
            return f"its elements {names[0]} do not follow each other"
        length = sum(element.length for element in members)
        ref = ElementRef(names[0], first, len(indices))
        return Spot(ref, length, members[0].s, members[-1].s + members[-1].length)


@dataclass(frozen=True)
class Spot:
    """Where a device is in the lattice.

    Attributes:
        ref: Its elements.
        length: Of all of them [m].
        begin: Where the first begins [m].
        end: Where the last ends [m].
    """

    ref: ElementRef
    length: float
    begin: float
    end: float

    @property
    def text(self) -> str:
        """How it is written in a table."""
        ref = self.ref
        return f"{ref.family}[{ref.index}]" + (f"*{ref.count}" if ref.count > 1 else "")
