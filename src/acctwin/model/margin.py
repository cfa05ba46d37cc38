"""Whether the optics have changed so little that earlier maps will still do.

Motion becomes unstable only where two eigenvalues of the one-turn matrix meet. As
long as they have moved by much less than the distance between them, no resonance has
been crossed, and the maps of the earlier state close the orbit.
"""

from __future__ import annotations

import numpy as np

from acctwin.model.compiled import CompiledRing
from acctwin.model.matrices import TurnMap
from acctwin.names import FloatArray

#: Of the distance between eigenvalues: more than this is not known well enough from
#: a change of the matrix to first order.
FRACTION = 0.2
GRADIENTS = ("b1", "a1")


def is_near(ring: CompiledRing, maps: TurnMap, change: FloatArray) -> bool:
    """Tell whether the optics are still near those of the maps.

    Args:
        ring: The compiled ring.
        maps: Of an earlier state.
        change: Of the strengths since then, (n_knobs,).

    Returns:
        Whether no resonance is near what the optics have become; also False where
        something else than steerers, the RF and gradients was changed.
    """
    moved = np.flatnonzero((change != 0.0) & ~ring.is_kick)
    if not len(moved):
        return True
    if any(ring.components[knob] not in GRADIENTS for knob in moved):
        return False
    before = np.linalg.eigvals(maps.matrix)
    after = np.linalg.eigvals(
        maps.matrix + matrix_change(ring, maps, moved, change[moved])
    )
    gaps = np.abs(before[:, None] - before)
    np.fill_diagonal(gaps, np.inf)
    shift = np.abs(after[:, None] - before).min(axis=1).max()
    return bool(shift < FRACTION * gaps.min())


def matrix_change(
    ring: CompiledRing, maps: TurnMap, knobs: np.ndarray, change: FloatArray
) -> FloatArray:
    """Return how gradients change the one-turn matrix, to first order, (n, n).

    A kick proportional to the position, K, in front of an element whose transfer
    matrix from the beginning is T: M·T⁻¹·K·T; half of it in front, half behind.
    """
    n = maps.dimensions
    elements, kicks = list[int](), list[FloatArray]()
    for knob, value in zip(knobs.tolist(), change.tolist(), strict=True):
        for channel in ring.channels[knob]:
            length = ring.ring[channel.element].Length or 1.0
            kick = np.zeros((n, n))
            if ring.components[knob] == "b1":
                kick[1, 0], kick[3, 2] = -1.0, 1.0
            else:
                kick[1, 2] = kick[3, 0] = 1.0
            elements.append(channel.element)
            kicks.append(0.5 * channel.gain * value * length * kick)
    places, half = np.array(elements), np.array(kicks)
    total = np.zeros((n, n))
    for boundary in (places, places + 1):
        transfer = maps.transfer[boundary]
        total += (np.linalg.inv(transfer) @ half @ transfer).sum(axis=0)
    return maps.matrix @ total
