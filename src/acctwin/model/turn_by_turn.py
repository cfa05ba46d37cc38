"""Turn-by-turn positions of a beam that is kicked once."""

from __future__ import annotations

import numpy as np

from acctwin.errors import BeamLost, LimitError
from acctwin.model.compiled import CompiledRing
from acctwin.names import FloatArray


def turn_by_turn(
    ring: CompiledRing, start: FloatArray, turns: int, kick: tuple[float, float]
) -> FloatArray:
    """Track a particle that is on the closed orbit until it meets the pinger.

    Args:
        ring: The compiled ring.
        start: Closed orbit at the beginning of the lattice, (6,).
        turns: How many turns; the kick is in the first.
        kick: Horizontal and vertical kick [rad].

    Returns:
        x, y at the monitors in each turn [m], (turns, n_monitors, 2). Monitors in
        front of the pinger see the closed orbit in the first turn.

    Raises:
        LimitError: There is no turn, or a kick is not a finite number.
        BeamLost: The particle is lost.
    """
    if turns < 1 or not np.all(np.isfinite(kick)):
        raise LimitError(
            f"turn-by-turn: {turns} turns and a kick of {kick} rad found, wanted at "
            "least 1 turn and two finite numbers"
        )
    tracker = ring.tracker
    tracker.invalidate()  # over many turns the cavities' frequency matters
    places, inverse = np.unique(ring.monitors, return_inverse=True)
    seen = np.empty((turns, len(places), 2))
    is_behind = places >= ring.pinger
    before = places[~is_behind]
    particle = np.array(start[:, None], order="F")
    until = np.append(before, ring.pinger).astype(np.uint32)
    orbit = tracker.turn(particle, until)
    seen[0, ~is_behind] = orbit[[0, 2], 0, :-1].T
    particle[:, 0] = orbit[:, 0, -1]
    particle[[1, 3], 0] += kick
    kicked = particle[:, 0].copy()
    rest = places[is_behind].astype(np.uint32)
    seen[0, is_behind] = tracker.turn(particle, rest, ring.pinger)[[0, 2], 0].T
    if turns > 1:
        particle[:, 0] -= ring.lengthening()  # the next call counts turns from 0
        later = tracker.many(particle, places.astype(np.uint32), turns - 1)
        seen[1:] = later[[0, 2], 0].T
    if not (np.all(np.isfinite(particle)) and np.all(np.isfinite(seen))):
        where = tracker.where_lost(kicked, turns, ring.pinger)
        raise BeamLost(
            f"the beam is lost in lattice element {where!r} within {turns} turns "
            f"after a kick of {kick[0]:g}, {kick[1]:g} rad"
        )
    return seen[:, inverse]
