"""What a monitor contributes to an event, for measurements of any monitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from acctwin.names import BoolArray


@dataclass(frozen=True)
class Column:
    """One data key of a monitor's events.

    Attributes:
        key: Data key in the event.
        units: Of its values.
        names: What each value belongs to; one name for a scalar.
        suffix: What is measured there, e.g. ``"x"``.
        good: Which values may be used, (n,).
    """

    key: str
    units: str
    names: tuple[str, ...]
    suffix: str
    good: BoolArray

    def labels(self) -> tuple[str, ...]:
        """Return ``name:suffix`` for each good value."""
        return tuple(
            f"{name}:{self.suffix}"
            for name, good in zip(self.names, self.good, strict=True)
            if good
        )


@runtime_checkable
class Monitor(Protocol):
    """A readable device that says what its data keys mean."""

    @property
    def name(self) -> str:
        """Name of the device in documents."""
        ...

    def columns(self) -> tuple[Column, ...]:
        """Return its data keys, in order."""
        ...
