"""How a beam position monitor reports a position.

    reading = gain · (R(roll) · position − offset)

R(roll) turns the beam axis frame into the monitor's, which is rolled by ``roll``
from x towards y. The offset is the position of the electric centre in the
monitor's frame. Noise is added by whoever has it.
"""

from __future__ import annotations

import numpy as np

from acctwin.names import FloatArray


def to_reading(
    position: FloatArray, gain: FloatArray, roll: FloatArray, offset: FloatArray
) -> FloatArray:
    """Return what the monitors report for a beam at some positions.

    Args:
        position: x, y of the beam [m], (n, 2), or (n_turns, n, 2).
        gain: Scale of each plane, (n, 2); 1 is ideal.
        roll: Rotation of each monitor [rad], (n,).
        offset: Electric centre of each monitor [m], (n, 2).

    Returns:
        Readings [m], shaped like the positions.
    """
    return gain * (_rotate(position, roll) - offset)


def to_position(
    reading: FloatArray, gain: FloatArray, roll: FloatArray, offset: FloatArray
) -> FloatArray:
    """Return the beam positions behind some readings; undoes :func:`to_reading`."""
    return _rotate(reading / gain + offset, -roll)


def _rotate(position: FloatArray, roll: FloatArray) -> FloatArray:
    cos, sin = np.cos(roll), np.sin(roll)
    x, y = position[..., 0], position[..., 1]
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=-1)
