"""What of a classic device is read and set: a signal, a positioner, a class's own."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ophyd import EpicsSignal, EpicsSignalRO, Signal
from ophyd.positioner import PositionerBase
from ophyd.signal import EpicsSignalBase, SignalRO
from ophyd.utils import DisconnectedError

from acctwin.backends.control.client import severity_of
from acctwin.backends.control.signal import Found
from acctwin.errors import DeviceError, LinkLost
from acctwin.profiles.members import MemberRow

#: Where classes of ophyd have what is set and what is read.
SETPOINTS, READBACKS = ("user_setpoint", "setpoint"), ("user_readback", "readback")


class Unfit(Exception):
    """A class that cannot be a member as the profile describes it."""


@dataclass(frozen=True)
class Parts:
    """A classic device and what of it counts.

    Attributes:
        device: The device itself.
        readback: What is read: a signal, or the positioner.
        setpoint: The signal that says where it is to be; None: nothing does.
        put: What is set: the device where it has a ``set``, else the signal; None:
            it is only read.
        address: The name of what is read, for messages and documents.
    """

    device: Any
    readback: Any
    setpoint: Signal | None
    put: Any
    address: str


def parts_of(device: Any, row: MemberRow) -> Parts:
    """Return what of a device is read and set.

    Raises:
        Unfit: It cannot be told, or it cannot be set and the profile wants that.
    """
    setpoint = _signal(device, row.setpoint, SETPOINTS)
    readback = _signal(device, row.readback, READBACKS) or setpoint or _itself(device)
    if readback is None:
        raise Unfit(
            "what is read of it cannot be told: say so with `readback`, the name of "
            "one of its signals"
        )
    put = None
    if row.setting is not None:
        put = _what_is_set(device, setpoint)
        if put is None or isinstance(put, SignalRO | EpicsSignalRO):
            raise Unfit(
                "it cannot be set: leave out `setting`, or say with `setpoint` which "
                "of its signals is set"
            )
    return Parts(device, readback, setpoint, put, address_of(readback))


def address_of(part: Any, *, is_setpoint: bool = False) -> str:
    """Return what a signal or a positioner is called, for messages."""
    if isinstance(part, EpicsSignal) and is_setpoint:
        return f"ophyd://{part.setpoint_pvname}"
    return f"ophyd://{getattr(part, 'pvname', None) or part.name}"


def read_part(part: Any, *, is_setpoint: bool = False) -> Found:
    """Return the value that a signal or a positioner has now; this may block.

    Args:
        part: A signal, or a positioner.
        is_setpoint: Whether it is where the device is to be, and not where it is.

    Raises:
        LinkLost: It is not connected, or does not answer.
        DeviceError: It is not a number.
    """
    address = address_of(part, is_setpoint=is_setpoint)
    if not getattr(part, "connected", True):
        raise LinkLost(f"{address}: not connected")
    try:
        value = _ask(part, is_setpoint=is_setpoint)
    except (TimeoutError, DisconnectedError) as error:
        raise LinkLost(f"{address}: no answer: {error}") from error
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise DeviceError(
            f"{address}: wanted a number, found {value!r}; a member is one number"
        ) from error
    alarm = getattr(part, "alarm_severity", None)
    stamp = getattr(part, "timestamp", None) or time.time()
    return Found(number, float(stamp), severity_of(int(alarm)) if alarm else 0)


def _ask(part: Any, *, is_setpoint: bool) -> Any:
    # Not what a monitor has told last: a question after a put is answered after it.
    if isinstance(part, EpicsSignal) and is_setpoint:
        return part.get_setpoint(use_monitor=False)
    if isinstance(part, EpicsSignalBase):
        return part.get(use_monitor=False)
    if isinstance(part, Signal):
        return part.get()
    return part.position


def _signal(device: Any, asked: str | None, usual: tuple[str, ...]) -> Signal | None:
    if asked is not None:
        return _named_signal(device, asked)
    if isinstance(device, Signal):
        return device
    found = (getattr(device, name, None) for name in usual)
    return next((part for part in found if isinstance(part, Signal)), None)


def _named_signal(device: Any, asked: str) -> Signal:
    try:
        found = operator.attrgetter(asked)(device)
    except AttributeError as error:
        has = ", ".join(getattr(device, "component_names", ())) or "none"
        raise Unfit(f"it has no {asked!r}; its signals are: {has}") from error
    if not isinstance(found, Signal):
        raise Unfit(f"{asked!r} of it is a {type(found).__name__}, not a signal")
    return found


def _itself(device: Any) -> PositionerBase | None:
    return device if isinstance(device, PositionerBase) else None


def _what_is_set(device: Any, setpoint: Signal | None) -> Any:
    has_set = isinstance(getattr(device, "set", None), Callable)
    return device if has_set and not isinstance(device, Signal) else setpoint
