"""Which supplies stand behind the knobs of a machine.

A magnet that a supply feeds is set through the supply's current; a knob without a
supply (the RF, and magnets of a profile without supplies) is a supply of its own,
whose value is the strength.
"""

from __future__ import annotations

import numpy as np

from acctwin.calibration.rigidity import rigidity
from acctwin.calibration.supplies import SupplyMap
from acctwin.model.engine import Layout
from acctwin.names import BoolArray, FloatArray, IntArray


class Powering:
    """Values of all supplies ⇄ strengths of all knobs.

    The map is anchored to the lattice: where the lattice's strengths of magnets in
    series are not what one current gives, the difference becomes an offset, so that
    the ideal machine is the design lattice.

    Args:
        layout: Knobs, and their strengths in the lattice.
        supply_map: Calibration of the magnets; None: no magnet has a supply.

    Attributes:
        knobs: Names of the knobs, in the layout's order.
        names: Of all supplies, then of the knobs that have none.
        count: How many supplies there are.
        start: Values of all these that give the lattice's strengths.
    """

    def __init__(self, layout: Layout, supply_map: SupplyMap | None) -> None:
        if supply_map is not None and not supply_map.supplies:
            supply_map = None
        fed = supply_map.magnets if supply_map else ()
        index = {name: i for i, name in enumerate(layout.knobs)}
        self.knobs = layout.knobs
        self._fed = np.array([index[name] for name in fed], dtype=np.int64)
        self._own = np.setdiff1d(np.arange(len(layout.knobs)), self._fed)
        self._row = np.full(len(layout.knobs), -1)
        self._row[self._fed] = np.arange(len(fed))
        self._place = np.full(len(layout.knobs), -1)
        self._rigidity = rigidity(layout.energy)
        currents, self.map = np.array([]), supply_map
        if supply_map is not None:
            wanted = layout.values[self._fed]
            currents = supply_map.nearest(wanted, self._rigidity)
            got = supply_map.strengths(currents, self._rigidity)
            self.map = supply_map.with_corrections(offset=wanted - got)
        self.count = len(currents)
        self._place[self._own] = self.count + np.arange(len(self._own))
        supplies = supply_map.supplies if supply_map else ()
        self.names = (*supplies, *(layout.knobs[i] for i in self._own))
        self.start = np.concatenate([currents, layout.values[self._own]])
        self._known: tuple[FloatArray, FloatArray] | None = None

    def strengths(self, values: FloatArray) -> FloatArray:
        """Return the strength of every knob, (n_knobs,), for values of all supplies.

        A supply that has tripped may be below the beginning of its curve: the field
        that is left is then that of the curve's end. Asked again for the same values,
        this does not compute again.
        """
        if self._known is not None and np.array_equal(self._known[0], values):
            return self._known[1]
        found = np.empty(len(self._row))
        found[self._own] = values[self.count :]
        if self.map is not None:
            currents = np.clip(values[: self.count], *self.map.stack.domain)
            found[self._fed] = self.map.strengths(currents, self._rigidity)
        self._known = (values.copy(), found)
        return found

    def is_fed(self, knobs: IntArray) -> BoolArray:
        """Tell which of some knobs are fed by supplies, (n,)."""
        return self._row[knobs] >= 0

    def behind(self, knobs: IntArray) -> IntArray:
        """Return the supplies on which knobs that are fed depend, and they on them."""
        if self.map is None:
            return np.array([], dtype=np.int64)
        return self.map.wiring.supplies_of(self._row[knobs])

    def slopes(self) -> list[tuple[str, str, float]]:
        """Return (magnet, supply, d(strength)/d(current)) where one feeds the other."""
        if self.map is None:
            return []
        found = self.map.jacobian(self.start[: self.count], self._rigidity)
        rows = zip(found.rows, found.columns, found.values, strict=True)
        return [
            (self.map.magnets[m], self.map.supplies[s], float(slope))
            for m, s, slope in rows
        ]

    def change(
        self, values: FloatArray, knobs: IntArray, wanted: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Return which supplies to set, and to what, for new strengths of some knobs.

        Raises:
            LimitError: A supply cannot give it, or magnets in series disagree.
        """
        fed = self.is_fed(knobs)
        own = self._place[knobs[~fed]]
        if self.map is None or not fed.any():
            return own, wanted[~fed]
        present = values[: self.count]
        rows = self._row[knobs[fed]]
        new = self.map.change(present, rows, wanted[fed], self._rigidity)
        moved = np.flatnonzero(new != present)
        return (
            np.concatenate([moved, own]),
            np.concatenate([new[moved], wanted[~fed]]),
        )
