"""From names to the lattice elements behind them: monitors, and elements of knobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.errors import PlanError, UnknownName
from acctwin.model.compiled import RF, CompiledRing
from acctwin.model.pyat import Element
from acctwin.names import BoolArray, Component, FloatArray, IntArray


@dataclass(frozen=True)
class Pieces:
    """Elements that make up places, all in one list.

    Attributes:
        names: The places.
        s: Positions of their middles [m], (n_places,).
        owner: Which place each element belongs to, (n_elements,), increasing.
        element: Index in the lattice, (n_elements,).
        is_point: Whether only its entrance counts: a monitor, (n_elements,).
        gain: Change of its strength for a change of the knob, (n_elements,).
        focusing: K in x and y, of gradient and curvature [1/m²], (n_elements, 2).
    """

    names: tuple[str, ...]
    s: FloatArray
    owner: IntArray
    element: IntArray
    is_point: BoolArray
    gain: FloatArray
    focusing: FloatArray

    @property
    def exits(self) -> IntArray:
        """Boundary behind each element, (n_elements,); of a monitor, before it."""
        return np.where(self.is_point, self.element, self.element + 1)

    @property
    def entrances(self) -> IntArray:
        """Boundary before each place's first element, (n_places,)."""
        _, first = np.unique(self.owner, return_index=True)
        return self.element[first]

    @property
    def boundaries(self) -> IntArray:
        """All boundaries, each once, in increasing order."""
        return np.unique(np.concatenate([self.element, self.exits]))

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum over the elements of each place, (n_elements, …) to (n_places, …)."""
        result = np.zeros((len(self.names), *values.shape[1:]))
        np.add.at(result, self.owner, values)
        return result


def pieces_of(ring: CompiledRing, places: Sequence[str]) -> Pieces:
    """Look up monitors and magnets.

    Args:
        ring: The compiled ring.
        places: Names of monitors, and of knobs other than the RF.

    Raises:
        UnknownName: There is no such monitor or magnet.
    """
    layout = ring.layout
    monitors = {name: i for i, name in enumerate(layout.monitors)}
    knobs = {name: i for i, name in enumerate(layout.knobs) if name != RF}
    s = np.zeros(len(places))
    rows: list[tuple[int, int, bool, float]] = []
    for owner, name in enumerate(places):
        if name in monitors:
            monitor = monitors[name]
            s[owner] = layout.monitor_s[monitor]
            rows.append((owner, int(ring.monitors[monitor]), True, 1.0))
        elif name in knobs:
            knob = knobs[name]
            s[owner] = layout.knob_s[knob]
            rows += [(owner, c.element, False, c.gain) for c in ring.channels[knob]]
        else:
            known = [*monitors, *knobs]
            raise UnknownName("monitor or magnet of the model", str(name), known)
    owner, element, is_point, gain = zip(*rows, strict=True) if rows else [()] * 4
    return Pieces(
        names=tuple(places),
        s=s,
        owner=np.array(owner, dtype=np.int64),
        element=np.array(element, dtype=np.int64),
        is_point=np.array(is_point, dtype=bool),
        gain=np.array(gain, dtype=float),
        focusing=np.array([_focusing(ring.ring[i]) for i in element]).reshape(-1, 2),
    )


def _focusing(element: Element) -> tuple[float, float]:
    """Return K in x and y of an element with a length [1/m²]; 0 of a thin one."""
    if not element.Length:
        return 0.0, 0.0
    fields = getattr(element, "PolynomB", ())
    gradient = float(fields[1]) if len(fields) > 1 else 0.0
    curvature = float(getattr(element, "BendingAngle", 0.0)) / element.Length
    return gradient + curvature**2, -gradient


def monitors_of(ring: CompiledRing, names: Sequence[str]) -> IntArray:
    """Return the indices of some monitors' elements.

    Raises:
        UnknownName: There is no such monitor.
    """
    index = {name: i for i, name in enumerate(ring.layout.monitors)}
    for name in names:
        if name not in index:
            raise UnknownName("monitor of the model", str(name), index)
    return ring.monitors[[index[name] for name in names]]


def check_component(
    ring: CompiledRing, knobs: IntArray, what: str, *wanted: Component
) -> None:
    """Check that all knobs are of some components.

    Args:
        ring: The compiled ring.
        knobs: Indices of knobs.
        what: What only these components change to first order, a plural.
        wanted: The components.

    Raises:
        PlanError: A knob is of another component.
    """
    for knob in knobs.tolist():
        is_magnet = knob < len(ring.components)
        found = ring.components[knob] if is_magnet else RF
        if found not in wanted:
            names = " and ".join(repr(name) for name in wanted)
            verb = "changes" if len(wanted) == 1 else "change"
            raise PlanError(
                f"{ring.layout.knobs[knob]} is of component {found!r}; to first order "
                f"only {names} {verb} {what}: choose other magnets"
            )
