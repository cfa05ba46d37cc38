"""The closed orbit, followed from one state of the lattice to the next.

A chord Newton iteration: the closing matrix (M − 1)⁻¹ of an earlier state turns the
gap of a one-particle turn into the next step, and the known response to the knobs
gives the first guess. A turn that is nearly closed is corrected with the known maps
instead of tracked once more. Where that is slow, or the optics have changed by more
than a little, the maps are computed afresh from a turn of 12 particles; where that
fails, the change is applied in smaller parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from acctwin.errors import BeamLost
from acctwin.model.compiled import CompiledRing
from acctwin.model.margin import is_near
from acctwin.model.matrices import TurnMap, turn_map
from acctwin.model.response import Sources, sources_of, start_response
from acctwin.model.stability import check_stable
from acctwin.names import FloatArray

TOLERANCE_M = 1e-10  #: Of the orbit at the monitors.
CHORD_TURNS = 6  #: More than this costs as much as new maps.
FULL_STEPS = 10  #: Each of a turn of 12 particles.
SLOW = 0.5  #: A step not smaller than this part of the last one is slow.
EXPECTED_RATE = 0.05  #: Convergence that is assumed before it has been seen.
SMALLEST_PART = 1 / 20  #: Of a change that is applied in parts.
EXACT_M = 1e-9  #: Maps about a point this near are those of the orbit.
LARGEST_STEP_M = 0.01  #: A longer step is cut, for it is not to be believed.


@dataclass(frozen=True)
class Anchor:
    """A closed orbit that was found.

    Attributes:
        start: Closed orbit at the beginning of the lattice, (6,).
        monitors: x, y at the monitors [m], (n_monitors, 2).
        maps: Linear maps of this state, or of one near by.
        is_exact: Whether the maps are those of this very state.
        values: Strengths, (n_knobs,).
        maps_values: Strengths that the maps are of, (n_knobs,).
        alignment: Fraction of the misalignments.
    """

    start: FloatArray
    monitors: FloatArray
    maps: TurnMap
    is_exact: bool
    values: FloatArray
    maps_values: FloatArray
    alignment: float


class _Lost(Exception):
    """There is no closed orbit this way; the text says why."""


class OrbitFinder:
    """Finds the closed orbit of a compiled ring, whatever has been set.

    Args:
        ring: The compiled ring; strengths that are changed here are put back.
    """

    def __init__(self, ring: CompiledRing) -> None:
        self._ring = ring
        self._n = ring.dimensions
        places, self._inverse = np.unique(ring.monitors, return_inverse=True)
        self._places = places.astype(np.uint32)
        self._kicks = np.flatnonzero(ring.is_kick)
        self._anchor: Anchor | None = None
        self._sources: Sources | None = None
        self._guide: tuple[TurnMap, FloatArray] | None = None

    def find(self) -> Anchor:
        """Return the closed orbit for the present strengths.

        Raises:
            BeamLost: There is none, or motion about it is unstable.
        """
        values = self._ring.values.copy()
        try:
            found = self._find(values)
        except _Lost as lost:
            reason = self._linear_reason(values) or lost
            raise BeamLost(f"no closed orbit: {reason}") from None
        finally:
            self._ring.write_all(values)
            self._ring.align(1.0)
        check_stable(found.maps.matrix)
        self._anchor = found
        return found

    def exact_maps(self, anchor: Anchor) -> TurnMap:
        """Return the maps about a closed orbit that has been found just before.

        Raises:
            BeamLost: Motion about it is unstable.
        """
        if anchor.is_exact:
            return anchor.maps
        try:
            maps = self._maps(anchor.start)
        except _Lost as lost:
            raise BeamLost(f"no stored beam: {lost}") from None
        check_stable(maps.matrix)
        self._anchor = replace(
            anchor, maps=maps, is_exact=True, maps_values=anchor.values
        )
        return maps

    def _find(self, values: FloatArray) -> Anchor:
        anchor = self._anchor
        if anchor is None:
            return self._find_first(values)
        found = self._find_near(anchor, values)
        if found is not None:
            return found
        try:
            return self._find_afresh(anchor.start)
        except _Lost:
            return self._walk(anchor, values)

    def _find_near(self, anchor: Anchor, values: FloatArray) -> Anchor | None:
        """Find the closed orbit with the maps there are, if they are still good."""
        if not is_near(self._ring, anchor.maps, values - anchor.maps_values):
            return None
        try:
            start = self._guess(anchor, values)
            start, monitors = self._close(start, anchor.maps)
        except _Lost:
            return None
        if monitors is None:
            return None
        return replace(
            anchor,
            start=start,
            monitors=monitors,
            is_exact=anchor.is_exact and np.array_equal(values, anchor.values),
            values=values,
        )

    def _find_first(self, values: FloatArray) -> Anchor:
        origin = np.zeros(6)
        try:
            return self._find_afresh(origin)
        except _Lost:
            self._ring.align(0.0)
            self._ring.write_all(self._ring.layout.values)
            return self._walk(self._find_afresh(origin), values)

    def _walk(self, anchor: Anchor, values: FloatArray) -> Anchor:
        """Apply a change in parts, smaller ones where the orbit is lost."""
        here, done, part = anchor, 0.0, 0.5
        while done < 1.0:
            goal = min(1.0, done + part)
            far = goal == 1.0
            between = anchor.values + goal * (values - anchor.values)
            self._ring.write_all(values if far else between)
            left = 1.0 - anchor.alignment
            self._ring.align(1.0 if far else anchor.alignment + goal * left)
            try:
                here = self._find_afresh(here.start)
            except _Lost:
                part /= 2
                if part < SMALLEST_PART:
                    raise
            else:
                done, part = goal, 2 * part
        return here

    def _find_afresh(self, start: FloatArray) -> Anchor:
        """Find the closed orbit with new maps, from a first guess."""
        for _ in range(FULL_STEPS):
            maps = self._maps(start)
            first = maps.end, maps.orbit[self._ring.monitors][:, [0, 2]]
            start, monitors = self._close(start, maps, first)
            if monitors is not None:
                shift = maps.transfer @ (start - maps.start)[: self._n]
                is_exact = bool(np.abs(shift[:, [0, 2]]).max() < EXACT_M)
                values = self._ring.values.copy()
                fraction = self._ring.alignment
                return Anchor(start, monitors, maps, is_exact, values, values, fraction)
        raise _Lost(f"the search did not converge in {FULL_STEPS} steps")

    def _close(
        self,
        start: FloatArray,
        maps: TurnMap,
        turn: tuple[FloatArray, FloatArray] | None = None,
    ) -> tuple[FloatArray, FloatArray | None]:
        """Close the orbit with given maps.

        Args:
            start: First guess of the orbit at the beginning, (6,).
            maps: Of this state, or of one near by.
            turn: The turn from there, as :meth:`_turn` gives it, if it is known.

        Returns:
            The orbit at the beginning, and x, y at the monitors; None instead of
            the latter where the maps are not good enough.
        """
        n, gap = self._n, self._ring.lengthening()
        rows = maps.transfer[self._ring.monitors][:, [0, 2], :]
        last = np.inf
        for _ in range(CHORD_TURNS):
            end, seen = turn or self._turn(start)
            turn = None
            step = -(maps.closing @ (end - start - gap)[:n])
            moved = rows @ step
            size = max(np.abs(moved).max(initial=0.0), np.abs(step[:5]).max())
            cut = min(1.0, LARGEST_STEP_M / max(size, TOLERANCE_M))
            start = start + np.pad(cut * step, (0, 6 - n))
            rate = EXPECTED_RATE if last == np.inf else size / last
            if rate * size <= TOLERANCE_M:
                return start, seen + moved
            if rate > SLOW:
                break
            last = size
        return start, None

    def _turn(self, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the end of a turn, (6,), and x, y at the monitors."""
        particle = np.array(start[:, None], order="F")
        seen = self._ring.tracker.turn(particle, self._places)
        if not np.all(np.isfinite(particle)):
            raise self._lost(start)
        return particle[:, 0], seen[[0, 2], 0].T[self._inverse]

    def _maps(self, start: FloatArray) -> TurnMap:
        maps = turn_map(self._ring.tracker, start, self._n)
        if maps is None:
            raise self._lost(start)
        if not np.all(np.isfinite(maps.closing)):
            raise _Lost("a tune is an integer")
        return maps

    def _lost(self, start: FloatArray) -> _Lost:
        where = self._ring.tracker.where_lost(start)
        if where is None:
            return _Lost("a particle next to the orbit is lost")
        return _Lost(f"the beam is lost in lattice element {where!r}")

    def _linear_reason(self, values: FloatArray) -> str | None:
        """Return why motion about the last orbit does not last, if that is so."""
        self._ring.write_all(values)
        self._ring.align(1.0)
        start = np.zeros(6) if self._anchor is None else self._anchor.start
        maps = turn_map(self._ring.tracker, start, self._n)
        if maps is None:
            return str(self._lost(start))
        try:
            check_stable(maps.matrix)
        except BeamLost as lost:
            return str(lost)
        return None

    def _guess(self, anchor: Anchor, values: FloatArray) -> FloatArray:
        """Return where the closed orbit should be, from the response to the kicks."""
        change = (values - anchor.values)[self._kicks]
        if not np.any(change):
            return anchor.start
        maps = anchor.maps
        if self._guide is None or self._guide[0] is not maps:
            if self._sources is None:
                self._sources = sources_of(self._ring, maps, self._kicks)
            slopes = start_response(self._ring, maps, self._sources, self._kicks)
            self._guide = (maps, slopes)
        return anchor.start + np.pad(self._guide[1] @ change, (0, 6 - self._n))
