"""Which BPM is aligned with which quadrupole, and with which correctors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from acctwin.devices.magnet import Magnet, MagnetFamily
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray, IntArray
from acctwin.plans.actuators import magnets_of_supplies

#: Names of BPMs, or pairs of a BPM and a quadrupole.
Asked: TypeAlias = Sequence[str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Pair:
    """A BPM and the quadrupole beside it."""

    bpm: str
    quadrupole: str


def choose_pairs(machine: Machine, asked: Asked | None) -> list[Pair]:
    """Return each BPM with the nearest good quadrupole that has a supply of its own.

    Args:
        machine: The machine.
        asked: BPMs, or pairs of a BPM and a quadrupole; default: all good BPMs.

    Raises:
        PlanError: There is no such quadrupole, a device is bad, or one is asked twice.
        UnknownName: There is no such BPM or quadrupole.
    """
    wanted = list(machine.bpms.good().names) if asked is None else list(asked)
    usable = {magnet.info.name: magnet.info.s for magnet in own_supply(machine)}
    if not usable:
        raise PlanError(
            f"no quadrupole of {machine.title} has a supply of its own: modulating one "
            "moves the others too, so that no centre can be told from it"
        )
    names, s = list(usable), np.array(list(usable.values()))
    circumference = machine.design.circumference()
    pairs: list[Pair] = []
    for item in wanted:
        bpm, quadrupole = (item, "") if isinstance(item, str) else item
        device = machine.bpms[bpm]
        if not device.is_good:
            raise PlanError(f"{bpm} is marked bad: it cannot be aligned")
        if not quadrupole:
            apart = np.abs(s - device.info.s)
            nearest = np.argmin(np.minimum(apart, circumference - apart))
            quadrupole = names[int(nearest)]
        elif machine.quadrupoles[quadrupole].info.name not in usable:
            raise PlanError(f"{quadrupole} is bad, or is in series with other magnets")
        pairs.append(Pair(bpm, quadrupole))
    twice = sorted({p.bpm for p in pairs if [q.bpm for q in pairs].count(p.bpm) > 1})
    if twice:
        raise PlanError(f"asked for twice: {', '.join(twice[:5])}")
    return pairs


def own_supply(machine: Machine) -> list[Magnet]:
    """Return the good quadrupoles that no other magnet is in series with."""
    fed = magnets_of_supplies(machine)
    return [
        magnet
        for magnet in machine.quadrupoles
        if magnet.is_good and all(len(fed[s.info.name]) == 1 for s in magnet.supplies)
    ]


def neighbours(machine: Machine, pairs: Sequence[Pair]) -> list[str]:
    """Return the quadrupoles next to those of the pairs, that are in no pair.

    How far the beam is from their centres tells its angle.
    """
    names = [magnet.info.name for magnet in own_supply(machine)]
    used = {pair.quadrupole for pair in pairs}
    places = sorted(names.index(name) for name in used)
    near = {(place + step) % len(names) for place in places for step in (-1, 1)}
    return [names[i] for i in sorted(near) if names[i] not in used]


def best_corrector(reach: FloatArray) -> int:
    """Return the corrector that moves the beam most within its limits.

    Args:
        reach: How far each can move it, (n_correctors,) [m].
    """
    return int(np.argmax(np.abs(reach)))


def two_correctors(response: FloatArray, room: FloatArray) -> IntArray:
    """Return two correctors that between them move the beam at every place.

    Args:
        response: Of the orbit at the places, (n_places, n_correctors) [m/rad].
        room: How far each corrector can go [rad], (n_correctors,).
    """
    size = np.linalg.norm(response, axis=0)
    reach = size * room
    first = int(np.argmax(reach))
    alike = np.abs(response[:, first] @ response) / (size[first] * size)
    enough = reach >= 0.3 * reach[first]
    second = int(np.argmin(np.where(enough, alike, np.inf)))
    return np.array([first, second])


def room_of(family: MagnetFamily, start: FloatArray) -> FloatArray:
    """Return how far each member can go both ways, (n,)."""
    low, high = family.limits
    return np.maximum(0.0, np.minimum(high - start, start - low))
