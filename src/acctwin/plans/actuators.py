"""What a measurement moves: magnets, families, selections, the RF; in either unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.devices.magnet import Magnet, MagnetFamily
from acctwin.devices.member import SettableMember
from acctwin.devices.rf import Rf
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.devices.supply import Supply, SupplyFamily
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.stubs import setpoints

Knob: TypeAlias = Magnet | Supply | Rf | SettableMember
Actuators: TypeAlias = MagnetFamily | SupplyFamily | Selection | Knob
Units: TypeAlias = Literal["physics", "hardware"]


def in_units(actuators: Sequence[Actuators], units: Units) -> list[Actuators]:
    """Return what is moved: magnets in physics units, their supplies in hardware.

    A supply that feeds several of them, such as a coil of a horizontal and a vertical
    corrector, is there once.

    Raises:
        PlanError: A magnet has no supply, or ``units`` is something else.
    """
    if units == "physics":
        return list(actuators)
    if units != "hardware":
        raise PlanError(f"units is 'physics' or 'hardware', not {units!r}")
    moved: list[Actuators] = []
    seen: set[str] = set()
    for actuator in actuators:
        for supplies in _supplies_of(actuator):
            rest = _without(supplies, seen)
            if rest is not None:
                moved.append(rest)
                seen |= _names(rest)
    return moved


def good_members(actuators: Sequence[Actuators]) -> list[Knob]:
    """Return every good device that is to be moved, in order.

    Raises:
        PlanError: A device that was named on its own is bad, or one is named twice.
    """
    knobs: list[Knob] = []
    for actuator in actuators:
        if isinstance(actuator, MagnetFamily | SupplyFamily | Selection):
            knobs += list(actuator.good())
        elif actuator.is_good:
            knobs.append(actuator)
        else:
            raise PlanError(f"{actuator.info.name} is marked bad: it cannot be used")
    names = [knob.info.name for knob in knobs]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise PlanError(f"asked for twice: {', '.join(twice[:5])}")
    return knobs


def boxes(actuators: Sequence[Actuators]) -> list[Any]:
    """Return what is moved as whole families, each once."""
    found: list[Any] = []
    for actuator in actuators:
        box = actuator.family if isinstance(actuator, Selection) else actuator
        if box not in found:
            found.append(box)
    return found


def raw(devices: Sequence[Any]) -> list[Any]:
    """Return what is really set behind some devices: supplies, where there are any.

    What is put back through these is exactly what was there.
    """
    found: list[Any] = []
    for device in devices:
        behind = getattr(device, "supplies", None)
        parts = [device] if not behind else _parts(behind)
        found += [part for part in parts if part not in found]
    return found


def starts(devices: Sequence[Any], knobs: Sequence[Knob]) -> MsgGenerator[list[float]]:
    """Return where each knob is, from one question to each device."""
    places = yield from setpoints(devices)
    by_name: dict[str, float] = {}
    for device, place in zip(devices, places, strict=True):
        by_name.update(zip(device.bounds.names, np.atleast_1d(place), strict=True))
    return [float(by_name[knob.info.name]) for knob in knobs]


def with_values(
    before: Any, places: Sequence[int], values: FloatArray
) -> float | FloatArray:
    """Return a device's setpoint with some of its values replaced.

    Args:
        before: A number, or one for each member of a family, (n,).
        places: Which members, (k,).
        values: Their new values, (k,).
    """
    wanted = np.array(before, dtype=np.float64, ndmin=1)
    wanted[list(places)] = values
    return wanted if np.ndim(before) else float(wanted[0])


def magnets_of_supplies(machine: Machine) -> dict[str, set[str]]:
    """Return the names of the magnets that each supply feeds."""
    found: dict[str, set[str]] = {}
    for device in machine.elements.values():
        if isinstance(device, Magnet):
            for supply in device.supplies:
                found.setdefault(supply.info.name, set()).add(device.info.name)
    return found


def _supplies_of(actuator: Actuators) -> Sequence[Actuators]:
    if isinstance(actuator, Rf | Supply | SupplyFamily | SettableMember):
        return [actuator]
    if isinstance(actuator, Magnet):
        if not actuator.supplies:
            raise PlanError(f"{actuator.info.name} has no supply in the profile")
        return list(actuator.supplies)
    family: Any = actuator.family if isinstance(actuator, Selection) else actuator
    if isinstance(family, SupplyFamily):
        return [actuator]
    if family.supplies is None:
        raise PlanError(
            f"{family.name} has no power supplies in the profile: hardware units are "
            "not possible"
        )
    if isinstance(actuator, MagnetFamily):
        return [family.supplies]
    names = {supply.info.name for magnet in actuator for supply in magnet.supplies}
    return [family.supplies.select(*names)]


def _names(actuator: Actuators) -> set[str]:
    if isinstance(actuator, MagnetFamily | SupplyFamily | Selection):
        return set(actuator.names)
    return {actuator.info.name}


def _without(actuator: Actuators, seen: set[str]) -> Actuators | None:
    """Return what of an actuator is not seen yet, None if that is nothing."""
    if not _names(actuator) & seen:
        return actuator
    if not isinstance(actuator, MagnetFamily | SupplyFamily | Selection):
        return None
    everything = actuator if isinstance(actuator, Selection) else actuator.all()
    chosen = zip(everything.names, everything.indices, strict=True)
    rest = Selection.of(everything.family, [i for n, i in chosen if n not in seen])
    return rest if len(rest) else None


def _parts(behind: Any) -> list[Any]:
    return list(behind) if isinstance(behind, tuple) else [behind]
