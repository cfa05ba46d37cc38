"""What an import did: files, devices, and all that could not be taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

#: ``left out``: the site has nothing of it; ``assumed``: the set-up does not say, so a
#: value was chosen; ``check``: taken over, but two parts of the set-up disagree.
Outcome: TypeAlias = Literal["left out", "assumed", "check"]

_MOST_NAMED = 12


@dataclass(frozen=True)
class Note:
    """Something that was not simply taken over.

    Attributes:
        outcome: What became of it.
        where: Family, field or device of the set-up.
        reason: Why, and what there is instead.
    """

    outcome: Outcome
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.outcome}: {self.where}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """What an import did.

    Attributes:
        profile: The YAML file that was written.
        files: All files that were written, the profile too.
        devices: How many devices each family of the set-up has given.
        notes: What could not be mapped, or had to be assumed.
    """

    profile: Path
    files: tuple[Path, ...]
    devices: Mapping[str, int]
    notes: tuple[Note, ...]


class Notes:
    """Collects notes; what is said of several places is said once."""

    def __init__(self) -> None:
        self._found: dict[tuple[Outcome, str, str], list[str]] = {}

    def add(self, outcome: Outcome, place: str, reason: str, part: str = "") -> None:
        """Add a note.

        Args:
            outcome: What became of it.
            place: Family or device.
            reason: Why.
            part: Field of the family; the same part of several families is one note.
        """
        places = self._found.setdefault((outcome, part, reason), [])
        if place not in places:
            places.append(place)

    def all(self) -> tuple[Note, ...]:
        """Return the notes: what is left out, then assumed, then to be checked."""
        order = ("left out", "assumed", "check")
        notes = [
            Note(outcome, _where(places, part), reason)
            for (outcome, part, reason), places in self._found.items()
        ]
        return tuple(sorted(notes, key=lambda note: order.index(note.outcome)))


def _where(places: list[str], part: str) -> str:
    more = len(places) - _MOST_NAMED
    names = ", ".join(places[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    if not part:
        return names
    return f"{names}.{part}" if len(places) == 1 else f"{part} of {names}"
