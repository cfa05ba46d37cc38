"""The exception tree: every error says what, where, found, wanted, and what to do.

::

    AcctwinError
    ├── ConfigError        a profile or table is wrong; all faults at once
    ├── UnknownName        no such family, device, plan or run; nearest names given
    ├── CalibrationError   a curve or supply map that cannot be: not monotone, …
    ├── LimitError         a setpoint outside its limits, or not a number
    ├── BeamLost           no closed orbit, unstable optics, or an aperture was hit
    ├── DeviceError        a device did not do what it was told
    │   ├── RestoreError   setpoints that could not be put back
    │   ├── LinkLost       the control system does not answer
    │   └── PutRejected    the control system did not take a setpoint
    ├── PlanError          a plan asked for something that makes no sense here
    ├── EngineError        the physics engine failed (not the beam)
    ├── DataError          a run cannot be found, read or stored
    └── MissingExtra       an optional package is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class AcctwinError(Exception):
    """Base of every error that acctwin raises on purpose."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a configuration file.

    Attributes:
        file: Path of the file as the user wrote it or found it.
        line: Line, from 1.
        column: Column, from 1.
        message: What is wrong, what was found, and what would be right.
    """

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ConfigError(AcctwinError):
    """A profile or a table is wrong. Carries every fault that was found.

    Attributes:
        faults: All faults, in file and line order.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        head = "1 fault" if count == 1 else f"{count} faults"
        super().__init__(
            "\n".join([f"{head} in the configuration:", *map(str, faults)])
        )

    def __reduce__(self):
        return (type(self), (self.faults,))


class UnknownName(AcctwinError, KeyError):
    """Nothing has that name; the message offers the nearest ones."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        self.what, self.name, self.known = what, name, tuple(known)
        self.message = f"no {what} is called {name!r}{did_you_mean(name, self.known)}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self):
        return (type(self), (self.what, self.name, self.known))


class CalibrationError(AcctwinError, ValueError):
    """A curve or a supply map that cannot be, such as a curve that turns back."""


class LimitError(AcctwinError, ValueError):
    """A setpoint outside its limits, or not a finite number. Nothing was moved."""


class BeamLost(AcctwinError):
    """There is no stored beam; the message gives the reason."""


class DeviceError(AcctwinError):
    """A device did not do what it was told."""


class LinkLost(DeviceError):
    """The control system does not answer, or has lost a device."""


class PutRejected(DeviceError):
    """The control system did not take a setpoint: refused, clamped, or lost."""


class RestoreError(DeviceError):
    """Some setpoints could not be put back; the message lists them."""


class PlanError(AcctwinError):
    """A plan was asked for something that makes no sense on this machine."""


class EngineError(AcctwinError):
    """The physics engine failed: a fault of the program, not of the beam."""


class DataError(AcctwinError):
    """A run cannot be found, read or stored."""


class MissingExtra(AcctwinError, ImportError):
    """An optional package is missing; the message names the extra to install."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(
            f"{package} is not installed; install it with: "
            f"pip install 'acctwin[{extra}]'"
        )

    def __reduce__(self):
        return (type(self), (self.package, self.extra))


def did_you_mean(name: str, known: Iterable[str], most: int = 3) -> str:
    """Return ``"; did you mean 'a' or 'b'?"``, or nothing when nothing is near.

    Args:
        name: What was asked for.
        known: What there is.
        most: How many suggestions at the most.
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=most, cutoff=0.6)
    if not near:
        return ""
    return "; did you mean " + " or ".join(repr(by_lower[n]) for n in near) + "?"
