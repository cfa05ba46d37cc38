"""Records that clients write, and who may: what softioc is told before it starts."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from ctypes import c_int
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from acctwin.errors import DeviceError
from acctwin.names import FloatArray
from acctwin.servers.records import Record

#: Takes a client's value; the client's put is over when it returns.
Put: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]

#: Fraction of a setpoint's range at either end where it has a minor alarm.
ALARM_RANGE = 0.05
_WRITTEN = {"always_update": True, "blocking": True, "ASG": "SETPOINT"}


def setpoint(builder: Any, record: Record, first: FloatArray | float, put: Put) -> Any:
    """Add a setpoint; what is outside its limits is clamped by the record.

    Args:
        builder: ``softioc.builder``.
        record: What it is.
        first: Its value at the start.
        put: Takes its values.
    """
    options: dict[str, Any] = {
        "initial_value": first,
        "EGU": record.unit,
        "PREC": record.precision,
        "on_update": put,
        "validate": _is_finite,
        **_WRITTEN,
    }
    if record.size:
        return builder.WaveformOut(record.name, **options)
    margin = ALARM_RANGE * (record.high - record.low)
    if not record.is_whole:
        options |= {"LOW": record.low + margin, "HIGH": record.high - margin}
        options |= {"LSV": "MINOR", "HSV": "MINOR"}
    return builder.aOut(record.name, DRVL=record.low, DRVH=record.high, **options)


def text(builder: Any, name: str, put: Put) -> None:
    """Add a record that takes a string."""
    builder.stringOut(name, on_update=put, **_WRITTEN)


def switch(builder: Any, name: str, put: Put) -> None:
    """Add a record that takes yes (1) and no (0)."""
    builder.boolOut(name, ZNAM="no", ONAM="yes", on_update=put, **_WRITTEN)


def set_access(rules: Path) -> None:
    """Have EPICS read the access rules when it starts, and not lock its memory.

    Raises:
        DeviceError: EPICS does not take the file.
    """
    core: Any = importlib.import_module("epicscorelibs.ioc").dbCore
    # As root, iocInit would lock all memory of this process: 280 MB more.
    c_int.in_dll(core, "dbThreadRealtimeLock").value = 0
    if core.asSetFilename(str(rules).encode()):
        raise DeviceError(f"EPICS does not take the access rules {rules}")


def _is_finite(record: Any, value: Any) -> bool:
    return bool(np.all(np.isfinite(value)))
