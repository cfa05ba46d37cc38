"""Strengths of magnets, where the control system speaks the currents of supplies."""

from __future__ import annotations

import numpy as np

from acctwin.backends.control.columns import Values
from acctwin.backends.control.settings import Settings, What
from acctwin.backends.powering import Powering
from acctwin.errors import DeviceError
from acctwin.names import FloatArray, IntArray


class Strengths:
    """Knobs that supplies feed, through the calibration of the profile.

    Args:
        powering: The calibration.
        supplies: The supplies, in the powering's order.
        missing: What to say of a knob that no supply feeds.
    """

    def __init__(self, powering: Powering, supplies: Settings, missing: str) -> None:
        self._powering, self._supplies = powering, supplies
        self._missing = missing
        self._set = powering.start.copy()
        self._delivered = powering.start.copy()
        self._behind: dict[bytes, IntArray] = {}

    def watched(self, which: IntArray, what: What) -> tuple[str, ...]:
        """Return the addresses of the supplies behind some knobs."""
        return self._supplies.watched(self._supplies_of(which), what)

    async def wanted(self, which: IntArray, *, fresh: bool) -> Values:
        """Return the strengths that some are set to."""
        behind = self._supplies_of(which)
        found = await self._supplies.wanted(behind, fresh=fresh)
        self._set[behind] = found.values
        return self._strengths(self._set, which, found)

    async def seen(self, which: IntArray, *, fresh: bool) -> Values:
        """Return the strengths that the supplies deliver."""
        behind = self._supplies_of(which)
        found = await self._supplies.seen(behind, fresh=fresh)
        self._delivered[behind] = found.values
        return self._strengths(self._delivered, which, found)

    async def moving(self, which: IntArray, *, fresh: bool) -> Values:
        """Return which have a supply that is on its way: 1, else 0."""
        behind = self._supplies_of(which)
        found = await self._supplies.moving(behind, fresh=fresh)
        on_way = set(behind[found.values != 0].tolist())
        flags = [
            float(bool(on_way & set(self._supplies_of(which[[i]]).tolist())))
            for i in range(len(which))
        ]
        return Values(np.array(flags), found.timestamp, found.severity)

    async def put(self, which: IntArray, values: FloatArray) -> None:
        """Set the supplies behind some knobs.

        Other functions of a combined-function magnet stay where they are.

        Raises:
            LimitError: The supplies cannot do it; nothing is moved.
            PutRejected: A supply did not take it.
            LinkLost: There was no answer in time.
        """
        behind = self._supplies_of(which)
        present = self._set.copy()
        present[behind] = await self._supplies.present(behind)
        # No await from here to the put: what is under way is counted by then.
        supplies, currents = self._powering.change(present, which, values)
        await self._supplies.put(supplies, currents)

    def _strengths(self, values: FloatArray, which: IntArray, found: Values) -> Values:
        strengths = self._powering.strengths(values)[which]
        return Values(strengths, found.timestamp, found.severity)

    def _supplies_of(self, which: IntArray) -> IntArray:
        key = which.tobytes()
        if key not in self._behind:
            fed = self._powering.is_fed(which)
            if not fed.all():
                name = self._powering.knobs[int(which[~fed][0])]
                raise DeviceError(f"{name}: {self._missing}")
            self._behind[key] = self._powering.behind(which)
        return self._behind[key]
