"""What a user names: a family, a selection, one device; and a value for each of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from acctwin.devices.family import SettableFamily
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.devices.setpoint import SingleSettable
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import Actuators, Knob, Units, in_units

#: A family or device by its profile name, or itself; a selection.
Target: TypeAlias = str | Actuators


def find(machine: Machine, target: Any) -> Any:
    """Return the device that a name stands for; a device stands for itself.

    Raises:
        UnknownName: Nothing is called that; the message offers the nearest names.
    """
    if not isinstance(target, str):
        return target
    if machine.has("rf") and target == machine.rf.info.name:
        return machine.rf
    return machine[target]


def settable(machine: Machine, target: Target) -> Actuators:
    """Return what is to be set.

    Raises:
        UnknownName: Nothing is called that.
        PlanError: It cannot be set.
    """
    found = find(machine, target)
    box = found.family if isinstance(found, Selection) else found
    if not isinstance(box, SingleSettable | SettableFamily):
        raise PlanError(f"{target} is a {type(box).__name__}: it cannot be set")
    return found


def good_part(actuator: Actuators, units: Units) -> list[Actuators]:
    """Return what is read or set: the good members of a family, in either unit.

    In hardware units these are the supplies that feed the good members; a magnet
    that is made by several supplies gives all of them.
    """
    if isinstance(actuator, SettableFamily | Selection):
        return in_units([actuator.good()], units)
    return in_units([actuator], units)


def title(target: Target) -> Any:
    """Return how a target is written in a start document: its name or names."""
    if isinstance(target, str):
        return target
    return list(target.names) if isinstance(target, Selection) else target.name


def one_each(value: ArrayLike, knobs: Sequence[Knob]) -> FloatArray:
    """Return a value for each knob, (n_knobs,): a number is for all of them.

    Raises:
        LimitError: No number, or another number of them; nothing was moved.
    """
    first, last = knobs[0].info, knobs[-1].info
    names = first.name if len(knobs) == 1 else f"{first.name} … {last.name}"
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise LimitError(f"{names}: {value!r} is not a list of numbers") from error
    if given.dtype.kind not in "iuf":
        raise LimitError(f"{names}: {value!r} is not a number [{first.unit}]")
    if given.ndim and given.shape != (len(knobs),):
        raise LimitError(
            f"{names}: wanted 1 number, or {len(knobs)} of them, one for each good "
            f"member [{first.unit}]; found shape {given.shape}; nothing was moved"
        )
    return np.broadcast_to(given, len(knobs)).astype(np.float64)
