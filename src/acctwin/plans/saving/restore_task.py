"""What a restore works with: which devices are set, and to what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.analysis.machine_state import MachineState
from acctwin.devices.magnet import Magnet, MagnetFamily
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import magnets_of_supplies, with_values
from acctwin.plans.saving.states import asked_for, names_of, title_of


@dataclass(frozen=True)
class Part:
    """A device that is set, and which of its values.

    Attributes:
        device: A family, or a single device.
        families: What was asked for, for each value, (k,).
        places: Which members are put back, (k,).
        values: To what, (k,).
    """

    device: Any
    families: tuple[str, ...]
    places: list[int]
    values: FloatArray


@dataclass(frozen=True)
class Task:
    """All that is put back.

    Attributes:
        parts: What is set.
        recorded: What is read at every step.
        left: Devices that are marked bad.
        not_saved: Devices that nothing was saved for.
    """

    parts: tuple[Part, ...]
    recorded: tuple[Any, ...]
    left: tuple[str, ...]
    not_saved: tuple[str, ...]

    @property
    def devices(self) -> list[Any]:
        """What is set."""
        return [part.device for part in self.parts]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each value that is put back, (n,)."""
        return tuple(names_of(p.device)[i] for p in self.parts for i in p.places)

    @property
    def families(self) -> tuple[str, ...]:
        """What was asked for, for each value, (n,)."""
        return tuple(name for part in self.parts for name in part.families)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each value, (n,)."""
        return tuple(p.device.bounds.unit for p in self.parts for _ in p.places)

    def moves(self, start: Sequence[Any], share: float) -> list[tuple[Any, Any]]:
        """Return where each device goes when a share of the way is done.

        Args:
            start: Where each device was.
            share: 0 to 1.
        """
        moves: list[tuple[Any, Any]] = []
        for part, before in zip(self.parts, start, strict=True):
            way = part.values - np.atleast_1d(before)[part.places]
            values = part.values - (1.0 - share) * way
            moves.append((part.device, with_values(before, part.places, values)))
        return moves


def prepare(
    machine: Machine, state: MachineState, families: Sequence[str] | None
) -> Task:
    """Choose what is set: the supplies behind what was asked for, or strengths.

    Raises:
        UnknownName: There is no such family or device.
        PlanError: Nothing of it can be restored.
    """
    asked = asked_for(machine, families)
    feeds = magnets_of_supplies(machine)
    owners: dict[str, list[str]] = {}
    boxes = _boxes(asked, feeds, state)
    for device, box in boxes:
        for name in names_of(box):
            owners.setdefault(name, []).append(title_of(device))
    bad = {name for name in owners if _is_bad(machine, name, feeds)}
    unknown = {name for name in owners if name not in state.setpoints}
    parts: list[Part] = []
    seen = bad | unknown
    for box in {id(box): box for _, box in boxes}.values():
        names = names_of(box)
        places = [i for i, name in enumerate(names) if name not in seen]
        if places:
            mine = [names[i] for i in places]
            values = np.array([state.setpoints[name] for name in mine])
            titles = tuple("+".join(owners[name]) for name in mine)
            parts.append(Part(box, titles, places, values))
            seen |= set(mine)
    if not parts:
        raise PlanError(
            "nothing to restore: every device that was asked for is marked bad, or "
            "has no saved setpoint"
        )
    recorded = {id(device): device for pair in boxes for device in pair}
    return Task(
        tuple(parts),
        tuple(recorded.values()),
        left=tuple(name for name in owners if name in bad),
        not_saved=tuple(name for name in owners if name in unknown - bad),
    )


def _boxes(
    asked: Sequence[Any], feeds: dict[str, set[str]], state: MachineState
) -> list[tuple[Any, Any]]:
    """Return what was asked for, each with what is set for it.

    That is its supplies, unless one of them also feeds what was not asked for, or the
    state holds strengths alone, as that of a model does.
    """
    chosen = {name for device in asked for name in names_of(device)}
    behind = [box for device in asked for box in _supplies(device)]
    fed = {magnet for box in behind for name in names_of(box) for magnet in feeds[name]}
    has_currents = any(n in state.setpoints for box in behind for n in names_of(box))
    if fed <= chosen and has_currents:
        return [(device, box) for device in asked for box in _supplies(device, device)]
    return [(device, device) for device in asked]


def _supplies(device: Any, *otherwise: Any) -> list[Any]:
    """Return the supplies behind a family (as one device), or behind a magnet."""
    if isinstance(device, Magnet) and device.supplies:
        return list(device.supplies)
    if isinstance(device, MagnetFamily) and all(member.supplies for member in device):
        return [device.supplies]
    return list(otherwise)


def _is_bad(machine: Machine, name: str, feeds: dict[str, set[str]]) -> bool:
    """Tell whether a device is marked bad, or feeds nothing that is good."""
    if name not in machine.elements:  # the RF
        return False
    is_good = machine.status.is_good
    return not is_good(name) or not any(map(is_good, feeds.get(name, {name})))
