"""Knobs as numbers inside a lattice: which array, which place, which factor.

pyAT's C code keeps pointers to the arrays of an element, so a strength that is
written into an array is seen by the next turn without reading the lattice again.
An array that is replaced is not. Hence arrays are made once, long enough, and only
written into from then on; :func:`check_writes` proves at start-up that it works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import at
import numpy as np

from acctwin.errors import EngineError
from acctwin.model.pyat import Element, Lattice
from acctwin.names import Component, FloatArray

#: Where a component lives: attribute and index.
PLACES: dict[Component, tuple[str, int]] = {
    "hkick": ("KickAngle", 0),
    "vkick": ("KickAngle", 1),
    "angle": ("PolynomB", 0),
    "b1": ("PolynomB", 1),
    "b2": ("PolynomB", 2),
    "b3": ("PolynomB", 3),
    "a1": ("PolynomA", 1),
}
KICKS: tuple[Component, ...] = ("hkick", "vkick")

#: Half of the step of a numerical derivative, in the component's unit.
STEPS: dict[Component, float] = {
    "hkick": 1e-6,
    "vkick": 1e-6,
    "angle": 1e-6,
    "b1": 1e-4,
    "b2": 1e-2,
    "b3": 1.0,
    "a1": 1e-4,
}
_PROBE = np.array([1e-3, 0.0, 1.5e-3, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Channel:
    """One number in one element that a knob writes.

    Attributes:
        knob: Index of the knob.
        element: Index of the element.
        array: The element's own array.
        index: Place in the array.
        base: What is there at the knob's nominal value.
        gain: Change of the number for a change of the knob.
        is_seen: Whether pyAT sees the write; else the lattice must be read again.
    """

    knob: int
    element: int
    array: FloatArray
    index: int
    base: float
    gain: float
    is_seen: bool = True


def carries(element: Element, component: Component, energy: float) -> bool:
    """Return whether setting a component of an element does anything to a beam."""
    probe = element.deepcopy()
    if not _prepare(probe, component):
        return False
    before = probe.track(_PROBE.copy(), energy=energy)
    attribute, index = PLACES[component]
    getattr(probe, attribute)[index] += 10 * STEPS[component]
    return bool(np.any(probe.track(_PROBE.copy(), energy=energy) != before))


def open_channels(
    ring: Lattice, elements: Sequence[Sequence[int]], components: Sequence[Component]
) -> tuple[list[list[Channel]], FloatArray]:
    """Make room in the lattice for all knobs, and find their numbers.

    Args:
        ring: The lattice; arrays of its elements are replaced by longer ones.
        elements: For each knob the indices of its elements.
        components: For each knob its component.

    Returns:
        For each knob its channels, and the knobs' values, (n_knobs,).

    Raises:
        EngineError: An element cannot carry what a knob wants of it.
    """
    for members, component in zip(elements, components, strict=True):
        for i in members:
            if not _prepare(ring[i], component):
                raise _refusal(ring[i], component)
    channels: list[list[Channel]] = []
    values = np.zeros(len(components))
    for k, (members, component) in enumerate(zip(elements, components, strict=True)):
        found, values[k] = _channels(ring, k, members, component)
        channels.append(found)
    return channels, values


def check_writes(
    ring: Lattice,
    channels: Sequence[Sequence[Channel]],
    components: Sequence[Component],
) -> list[list[Channel]]:
    """Return the channels with ``is_seen`` as this pyAT really behaves.

    One element of each kind is written to, in a small lattice of copies, and tracked
    with and without pyAT's element cache.

    Raises:
        EngineError: An element cannot carry what a knob wants of it.
    """
    seen: dict[tuple[object, ...], bool] = {}
    checked: list[list[Channel]] = []
    for found, component in zip(channels, components, strict=True):
        result: list[Channel] = []
        for channel in found:
            element = ring[channel.element]
            kind = (type(element), element.PassMethod, element.Length > 0, component)
            if kind not in seen:
                seen[kind] = _is_seen(ring, element, component)
            result.append(replace(channel, is_seen=seen[kind]))
        checked.append(result)
    return checked


def _prepare(element: Element, component: Component) -> bool:
    """Give an element the arrays that a component needs; False if it has no such."""
    attribute, index = PLACES[component]
    if attribute == "KickAngle":
        kick = np.array(getattr(element, "KickAngle", (0.0, 0.0)), dtype=float)
        if not isinstance(getattr(element, "KickAngle", None), np.ndarray):
            element.KickAngle = kick
        return True
    if not hasattr(element, "PolynomB"):
        return False
    size = max(index + 1, len(element.PolynomA), len(element.PolynomB))
    for name in ("PolynomA", "PolynomB"):
        old = getattr(element, name)
        if len(old) < size:
            setattr(element, name, np.concatenate([old, np.zeros(size - len(old))]))
    if element.MaxOrder < index:
        element.MaxOrder = index
    return True


def _channels(
    ring: Lattice, knob: int, members: Sequence[int], component: Component
) -> tuple[list[Channel], float]:
    attribute, index = PLACES[component]
    arrays = [getattr(ring[i], attribute) for i in members]
    bases = np.array([array[index] for array in arrays])
    gains, value = np.ones(len(members)), float(bases.mean())
    if component in KICKS:
        gains, value = gains / len(members), float(bases.sum())
    elif component == "angle":
        angles = np.array([getattr(ring[i], "BendingAngle", 0.0) for i in members])
        value = float(angles.sum())
        share = angles / value if value else gains / len(members)
        lengths = np.array([ring[i].Length for i in members])
        gains = share / np.where(lengths > 0, lengths, 1.0)
    found = [
        Channel(knob, i, array, index, float(base), float(gain))
        for i, array, base, gain in zip(members, arrays, bases, gains, strict=True)
    ]
    return found, value


def _is_seen(ring: Lattice, element: Element, component: Component) -> bool:
    copy = element.deepcopy()
    line: Lattice = at.Lattice([copy], energy=ring.energy, particle=ring.particle)
    attribute, index = PLACES[component]

    def turn(keep: bool) -> FloatArray:
        return line.track(_PROBE.copy(), keep_lattice=keep)[0].ravel()

    before = turn(keep=False)
    getattr(copy, attribute)[index] += 10 * STEPS[component]
    kept, fresh = turn(keep=True), turn(keep=False)
    if np.array_equal(before, fresh):
        raise _refusal(element, component)
    return bool(np.array_equal(kept, fresh))


def _refusal(element: Element, component: Component) -> EngineError:
    return EngineError(
        f"lattice element {element.FamName!r} ({type(element).__name__}, "
        f"{element.PassMethod}) cannot carry {component!r}"
    )
