"""Get, set and step, for people who do not think in plans.

``session.get``, ``session.set`` and ``session.step`` call these. They return when it
is done. What is set makes a run, so that nothing moves without a record; what is got
does not.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.devices.bpm import Bpm, Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.emittance import EmittanceMonitor
from acctwin.devices.injection import InjectionMonitor
from acctwin.devices.lifetime import LifetimeMonitor
from acctwin.devices.member import ReadableMember
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.devices.setpoint import SingleSettable
from acctwin.devices.tune import TuneMonitor
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import Actuators, Units, boxes
from acctwin.plans.stubs import wait_for
from acctwin.plans.targets import find, good_part, settable

What: TypeAlias = Literal["setpoint", "readback"]

#: What is only read.
Monitors: TypeAlias = (
    Bpms
    | Bpm
    | TuneMonitor
    | EmittanceMonitor
    | InjectionMonitor
    | LifetimeMonitor
    | Dcct
    | ReadableMember
)
#: A family or device by its name, or itself; a selection; a monitor.
Source: TypeAlias = str | Actuators | Monitors


@plan
def read_values(
    machine: Machine, name: Source, what: What = "setpoint", *, units: Units = "physics"
) -> MsgGenerator[float | FloatArray]:
    """Read something, without a run; see :meth:`Session.get`."""
    if what not in get_args(What):
        raise PlanError(f"what is 'setpoint' or 'readback', not {what!r}")
    found = find(machine, name)
    box = found.family if isinstance(found, Selection) else found
    if isinstance(box, Monitors):
        if units != "physics":
            raise PlanError(
                f"{box.name} is read in {_units_of(box)} units; units={units!r} is for "
                "magnets, whose supplies are in amperes"
            )
        return (yield from _read_monitor(box, found))
    return (yield from _read_setpoints(settable(machine, found), what, units))


def _units_of(monitor: Monitors) -> str:
    return "its own" if isinstance(monitor, ReadableMember) else "SI"


def _read_setpoints(
    asked: Actuators, what: What, units: Units
) -> MsgGenerator[float | FloatArray]:
    parts = good_part(asked, units)
    names = [name for part in parts for name in _names(part)]
    by_name: dict[str, float] = {}
    for box in boxes(parts):
        location = yield Msg("locate", box, squeeze=True)
        values = np.atleast_1d(location[what])
        by_name.update(zip(box.bounds.names, values.tolist(), strict=True))
    values = np.array([by_name[name] for name in names])
    if isinstance(asked, SingleSettable) and len(values) == 1:
        return float(values[0])
    return values


def _names(part: Actuators) -> tuple[str, ...]:
    return (part.info.name,) if isinstance(part, SingleSettable) else part.names


def _read_monitor(device: Monitors, asked: Any) -> MsgGenerator[float | FloatArray]:
    if not isinstance(device, Dcct):
        group = uuid.uuid4().hex
        yield Msg("trigger", device, group=group)
        yield from wait_for(group)
    reading = yield Msg("read", device)

    def value(signal: Any) -> Any:
        return reading[signal.name]["value"]

    return _of_monitor(device, asked, value)


def _of_monitor(
    device: Monitors,
    asked: Any,
    value: Callable[[Any], Any],
) -> float | FloatArray:
    if isinstance(device, Dcct):
        return float(value(device.current))
    if isinstance(device, ReadableMember | LifetimeMonitor):
        return float(value(device.value))
    if isinstance(device, InjectionMonitor):
        return float(value(device.efficiency))
    if isinstance(device, EmittanceMonitor):
        return np.array([value(device.ex), value(device.ey)])
    if isinstance(device, TuneMonitor):
        return np.array([value(device.qx), value(device.qy), value(device.qs)])
    orbit = np.array([value(device.x), value(device.y)])
    if isinstance(device, Bpm):
        return orbit
    return orbit[:, list(asked.good().indices)]
