"""Whether small motion about a closed orbit stays small."""

from __future__ import annotations

import numpy as np

from acctwin.errors import BeamLost
from acctwin.names import FloatArray

#: Growth in one turn that is still taken for numerical noise.
ALLOWED_GROWTH = 5e-5
PLANES = ("horizontal", "vertical", "longitudinal")


def check_stable(matrix: FloatArray) -> None:
    """Do nothing if motion is stable.

    Args:
        matrix: One-turn matrix, (4, 4) or (6, 6).

    Raises:
        BeamLost: Some motion grows; the message says in which plane, and how fast.
    """
    factors, vectors = np.linalg.eig(matrix)
    growth = np.abs(factors)
    worst = int(np.argmax(growth))
    if growth[worst] <= 1.0 + ALLOWED_GROWTH:
        return
    plane = _plane(vectors[:, worst])
    block = slice(2 * plane, 2 * plane + 2)
    trace = abs(float(np.trace(matrix[block, block])))
    why = f"|trace| = {trace:.4g}, stable below 2" if trace >= 2.0 else "coupled"
    raise BeamLost(
        f"unstable optics: {PLANES[plane]} motion grows by a factor "
        f"{growth[worst]:.6g} in one turn ({why})"
    )


def _plane(vector: np.ndarray) -> int:
    """Return in which plane most of a normal mode is.

    Position and angle have different units, so each is compared with what the
    other planes have of its own kind.
    """
    size = np.abs(vector)
    positions, angles = size[0::2], size[1::2]
    if len(size) == 6:  # δ before c·t
        positions = np.array([size[0], size[2], size[5]])
        angles = np.array([size[1], size[3], size[4]])
    shares = [kind / max(kind.sum(), 1e-300) for kind in (positions, angles)]
    return int(np.argmax(shares[0] + shares[1]))
