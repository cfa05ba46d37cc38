"""What every control system can do, in the same words: watch, get, put."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from acctwin.errors import DeviceError, MissingExtra

#: Severity of a value that must not be used.
INVALID = -1


@dataclass(frozen=True)
class Sample:
    """A value of one address.

    Attributes:
        value: A float, an array of them, (n,), or a text.
        timestamp: The control system's own [s since the epoch].
        severity: 0 none, 1 minor, 2 major, −1 invalid.
    """

    value: Any
    timestamp: float
    severity: int


#: Hears of an address's new value; None: it is disconnected.
Heard: TypeAlias = Callable[[str, Sample | None], None]


class Client(Protocol):
    """One control system. Names are without ``ca://``, ``pva://``, ``tango://``.

    Attributes:
        completes: A put returns when the device has it, and not before.
    """

    completes: bool

    def watch(self, names: Sequence[str], heard: Heard) -> None:
        """Tell of every value of some names from now on, the present one first."""
        ...

    def problem(self, name: str) -> str:
        """Return why a name cannot be watched, empty if that is not known."""
        ...

    async def get(self, name: str) -> Sample:
        """Ask for the value now.

        Raises:
            LinkLost: There is no answer.
        """
        ...

    async def put(self, name: str, value: Any) -> None:
        """Put a value: a number, or an array.

        Raises:
            PutRejected: It is refused.
            LinkLost: There is no answer.
        """
        ...

    async def close(self) -> None:
        """End every watch and connection."""
        ...


def severity_of(alarm: int) -> int:
    """Return the severity of an EPICS alarm, 0 to 3."""
    return INVALID if alarm > 2 else int(alarm)


def plain(value: Any) -> Any:
    """Return a value as a float, an array of floats, or a text."""
    if isinstance(value, str):
        return str(value)
    if np.ndim(value) == 0:
        return float(value)
    return np.array(value, dtype=np.float64)


def client_of(protocol: str) -> Client:
    """Return a new client.

    Args:
        protocol: ``"ca"``, ``"pva"`` or ``"tango"``.

    Raises:
        MissingExtra: Its package is not installed.
    """
    package = {"ca": "aioca", "pva": "p4p", "tango": "tango"}
    extra = "tango" if protocol == "tango" else "epics"
    if protocol not in package:
        raise DeviceError(f"no control system is called {protocol!r}")
    try:
        importlib.import_module(package[protocol])
    except ImportError as error:
        name = {"tango": "pytango"}.get(protocol, package[protocol])
        raise MissingExtra(name, extra) from error
    found: Any = importlib.import_module(f"acctwin.backends.control.{protocol}")
    return found.CLIENT()
