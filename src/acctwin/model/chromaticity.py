"""Chromaticity and slip factor: what a little more or less energy does.

In 6D the energy is moved with the RF frequency, as on a real machine; in 4D δ is
given. Both sides are tracked together.
"""

from __future__ import annotations

import numpy as np

from acctwin.errors import BeamLost
from acctwin.model.compiled import CompiledRing
from acctwin.model.matrices import STEP_DP, STEP_XY, TurnMap
from acctwin.model.optics import fractional_tunes
from acctwin.model.stability import check_stable
from acctwin.names import FloatArray

MOMENTUM_STEP = 1e-4  #: Between the two sides.
TOLERANCE = 1e-9
MOST_TURNS = 30


def chromaticity_of(ring: CompiledRing, maps: TurnMap) -> FloatArray:
    """Return dQ/dδ in x and y, (2,).

    Args:
        ring: The compiled ring.
        maps: Maps about its closed orbit.

    Raises:
        BeamLost: There is no stable closed orbit on one of the sides.
    """
    sides = _off_momentum(ring, maps)
    n = maps.dimensions
    steps = np.array([STEP_XY] * 4 + [STEP_DP] * 2)[:n]
    beam = np.asfortranarray(np.repeat(sides, 2 * n, axis=1))
    for side in (0, 1):
        for k in range(n):
            beam[k, 2 * n * side + k] += steps[k] / 2
            beam[k, 2 * n * side + n + k] -= steps[k] / 2
    ring.tracker.turn(beam)
    if not np.all(np.isfinite(beam)):
        raise BeamLost("a particle off energy is lost: no chromaticity")
    tunes = []
    for part in (beam[:n, : 2 * n], beam[:n, 2 * n :]):
        matrix = (part[:, :n] - part[:, n:]) / steps
        check_stable(matrix)
        tunes.append(fractional_tunes(matrix))
    change = (tunes[0] - tunes[1] + 0.5) % 1.0 - 0.5
    return change / (sides[4, 0] - sides[4, 1])


def slip_factor_of(ring: CompiledRing, maps: TurnMap) -> float:
    """Return η = αc − 1/γ²: how much longer, relatively, a turn takes for more δ.

    pyAT tracks every particle at the speed of light, so its path gives αc alone. In 6D
    that is the change of the path which a change of the RF frequency enforces over
    that of the energy.

    Args:
        ring: The compiled ring.
        maps: Maps about its closed orbit.
    """
    layout = ring.layout
    if maps.dimensions == 6:
        slope = ring.lengthening_slope()
        longer = slope[5] / (maps.closing @ slope)[4]
    else:
        moved = -maps.closing @ maps.momentum[-1]
        longer = maps.path[:4] @ moved + maps.path[4]
    return float(longer / layout.circumference - 1 / layout.gamma**2)


def _off_momentum(ring: CompiledRing, maps: TurnMap) -> FloatArray:
    """Return the closed orbits at the beginning above and below, (6, 2)."""
    n, sign = maps.dimensions, np.array([0.5, -0.5])
    gap = np.repeat(ring.lengthening()[:, None], 2, axis=1)
    beam = np.stack([maps.start, maps.start], axis=1)
    if n == 6:
        slope = ring.lengthening_slope()
        per_hertz = maps.closing @ slope
        shift = sign * MOMENTUM_STEP / per_hertz[4]
        gap += slope[:, None] * shift
        beam += per_hertz[:, None] * shift
    else:
        delta = sign * MOMENTUM_STEP
        beam[:4] -= (maps.closing @ maps.momentum[-1])[:, None] * delta
        beam[4] += delta
    for _ in range(MOST_TURNS):
        end = np.array(beam, order="F")
        ring.tracker.turn(end)
        step = -maps.closing @ (end - beam - gap)[:n]
        if not np.all(np.isfinite(step)):
            raise BeamLost("the beam off energy is lost: no chromaticity")
        beam[:n] += step
        if np.abs(step[:5]).max() < TOLERANCE:
            return beam
    raise BeamLost("no closed orbit off energy: no chromaticity")
