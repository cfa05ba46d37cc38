"""A knob of several magnets: a family whose strengths are changed by one number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.devices.magnet import Magnet, MagnetFamily
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import boxes, good_members, magnets_of_supplies, raw
from acctwin.plans.stubs import setpoints
from acctwin.plans.targets import Target, settable, title


@dataclass(frozen=True)
class GroupKnob:
    """Magnets that are moved together, all by the same change of their strength.

    Magnets in series are set through one of them; the others follow in proportion to
    what they are, which need not be quite the same.

    Attributes:
        name: Of the family, the magnet, or the first and last of a selection.
        magnets: Good ones that are set: one for each supply in series.
        led: Names of the magnets that move with each of them, itself first.
        boxes: Families and magnets whose setpoints are all the strengths in ``led``.
        whole: The family, if all its good members are moved and each on its own: then
            it is set as an array.
    """

    name: str
    magnets: tuple[Magnet, ...]
    led: tuple[tuple[str, ...], ...]
    boxes: tuple[Any, ...]
    whole: MagnetFamily | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all magnets that move, those that only follow included."""
        return tuple(name for led in self.led for name in led)

    @property
    def unit(self) -> str:
        """Unit of the strength."""
        return self.magnets[0].info.unit

    @property
    def delta(self) -> float:
        """Step of a response measurement: the smallest of its magnets'."""
        return min(magnet.delta for magnet in self.magnets)

    def moves(
        self, start: Mapping[str, float], change: float
    ) -> list[tuple[Any, float | FloatArray]]:
        """Return where each device goes when the strengths are changed.

        Args:
            start: Strengths by name, of :func:`group_starts`.
            change: Of the strength of every magnet that is set.
        """
        wanted = {m.info.name: start[m.info.name] + change for m in self.magnets}
        if self.whole is None:
            return [(magnet, wanted[magnet.info.name]) for magnet in self.magnets]
        values = [wanted.get(name, start[name]) for name in self.whole.names]
        return [(self.whole, np.array(values))]

    def per_change(
        self, start: Mapping[str, float], by_magnet: FloatArray
    ) -> FloatArray:
        """Return what the knob does, from what each of its magnets does.

        Args:
            start: Strengths by name, of :func:`group_starts`.
            by_magnet: d(anything)/d(strength) of ``names``, (…, n).

        Returns:
            d(anything)/d(knob), (…).
        """
        return by_magnet @ self.shares(start)

    def shares(self, start: Mapping[str, float]) -> FloatArray:
        """Return how much of a change each of ``names`` makes, (n,): 1 if it is set."""
        return np.array([
            start[name] / start[led[0]] if start[led[0]] else 1.0
            for led in self.led
            for name in led
        ])


def family_knobs(machine: Machine, families: Iterable[Target]) -> tuple[GroupKnob, ...]:
    """Return a knob for each family, selection or magnet; bad members are left out.

    Raises:
        PlanError: All members are bad, it is not of magnets, or two knobs would move
            the same magnet.
    """
    fed = magnets_of_supplies(machine)
    knobs = tuple(_knob(machine, target, fed) for target in families)
    for i, knob in enumerate(knobs):
        for other in knobs[:i]:
            same = sorted(set(knob.names) & set(other.names))
            if same:
                raise PlanError(
                    f"{other.name} and {knob.name} would both move {same[0]}; "
                    "leave one of them out"
                )
    return knobs


def group_starts(knobs: Sequence[GroupKnob]) -> MsgGenerator[dict[str, float]]:
    """Return the strengths of all magnets that knobs move, by name."""
    devices = all_boxes(knobs)
    places = yield from setpoints(devices)
    found: dict[str, float] = {}
    for device, place in zip(devices, places, strict=True):
        values = np.atleast_1d(place).tolist()
        found.update(zip(device.bounds.names, values, strict=True))
    return found


def all_boxes(knobs: Sequence[GroupKnob]) -> list[Any]:
    """Return the families and magnets of knobs, each once."""
    found: list[Any] = []
    for knob in knobs:
        found += [box for box in knob.boxes if box not in found]
    return found


def supplies_behind(knobs: Sequence[GroupKnob]) -> list[Any]:
    """Return what is to be put back: supplies, and families that have none."""
    return raw(all_boxes(knobs))


def recorded(knobs: Sequence[GroupKnob]) -> list[Any]:
    """Return what tells in an event where knobs are: families and supplies."""
    found = all_boxes(knobs)
    return found + [device for device in raw(found) if device not in found]


def all_moves(
    knobs: Sequence[GroupKnob], start: Mapping[str, float], changes: Iterable[float]
) -> list[tuple[Any, float | FloatArray]]:
    """Return where each device goes when each knob is changed by its number."""
    return [
        move
        for knob, change in zip(knobs, changes, strict=True)
        for move in knob.moves(start, change)
    ]


def room(
    knobs: Sequence[GroupKnob], start: Mapping[str, float], changes: Iterable[float]
) -> tuple[float, str]:
    """Return which fraction of some changes the limits of the magnets leave room for.

    Args:
        knobs: The knobs.
        start: Strengths by name, where the changes begin.
        changes: Of each knob, (n_knobs,).

    Returns:
        From 0 to 1, and the limit that is in the way, in words; empty at 1.
    """
    least, words = 1.0, ""
    for knob, change in zip(knobs, changes, strict=True):
        limits = _limits(knob.boxes)
        for name, share in zip(knob.names, knob.shares(start), strict=True):
            step, (low, high) = change * share, limits[name]
            limit = high if step > 0.0 else low
            fraction = (limit - start[name]) / step if step else 1.0
            if fraction < least:
                least = max(0.0, fraction)
                words = f"{name} is at {start[name]:.6g} and its limit is {limit:.6g}"
                words += f" {knob.unit}"
    return least, words


def _limits(boxes: Iterable[Any]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for box in boxes:
        bounds = box.bounds
        pairs = zip(bounds.low.tolist(), bounds.high.tolist(), strict=True)
        found.update(zip(bounds.names, pairs, strict=True))
    return found


def _knob(machine: Machine, target: Target, fed: Mapping[str, set[str]]) -> GroupKnob:
    found = settable(machine, target)
    label = _label(target)
    good = good_members([found])
    if not good:
        raise PlanError(f"{label}: all members are marked bad")
    if not all(isinstance(magnet, Magnet) for magnet in good):
        raise PlanError(f"{label} is not a family of magnets")
    leaders: dict[str, Magnet] = {}
    for magnet in cast(list[Magnet], good):
        leaders.setdefault(_circuit(magnet, fed), magnet)
    led = tuple(
        (magnet.info.name, *sorted(fed.get(circuit, set()) - {magnet.info.name}))
        for circuit, magnet in leaders.items()
    )
    (box,) = boxes([found])
    others = [name for names in led for name in names if name not in box.bounds.names]
    is_series = any(len(names) > 1 for names in led)
    return GroupKnob(
        name=label,
        magnets=tuple(leaders.values()),
        led=led,
        boxes=(box, *(machine[name] for name in others)),
        whole=found if isinstance(found, MagnetFamily) and not is_series else None,
    )


def _circuit(magnet: Magnet, fed: Mapping[str, set[str]]) -> str:
    """Return the supply that a magnet shares in series, or its own name."""
    if len(magnet.supplies) == 1:
        supply = magnet.supplies[0].info.name
        if len(fed[supply]) > 1:
            return supply
    return magnet.info.name


def _label(target: Target) -> str:
    if isinstance(target, Selection):
        names = target.names
        return " … ".join(dict.fromkeys([names[0], names[-1]])) if names else "nothing"
    return str(title(target)) if not isinstance(target, Magnet) else target.info.name
