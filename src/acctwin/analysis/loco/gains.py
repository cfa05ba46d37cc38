"""From the response of the model to what imperfect BPMs and correctors would show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray


@dataclass(frozen=True)
class Linear:
    """What the model says at one set of strengths; x at all monitors, then y.

    Attributes:
        direct: d(orbit)/d(actuator), (2·n_monitors, n_actuators).
        crossed: The same of an actuator that is turned by 90° from x to y; 0 for one
            that cannot roll, such as the RF.
        dispersion: d(orbit)/dδ [m], (2·n_monitors,).
    """

    direct: FloatArray
    crossed: FloatArray
    dispersion: FloatArray


@dataclass(frozen=True)
class Gains:
    """What BPMs and actuators make of the truth.

    Attributes:
        bpm: Reading = bpm·(x, y): gains on the diagonal, (n_monitors, 2, 2).
        kick: Kick of an actuator over what it is set to, (n_actuators,).
        roll: Kick in the other plane, positive from x to y [rad], (n_actuators,).
        energy: δ per unit of the actuator, (n_actuators,).
    """

    bpm: FloatArray
    kick: FloatArray
    roll: FloatArray
    energy: FloatArray

    @classmethod
    def ideal(cls, monitors: int, actuators: int) -> Gains:
        """Return perfect ones."""
        zeros = np.zeros(actuators)
        bpm = np.tile(np.eye(2), (monitors, 1, 1))
        return cls(bpm, np.ones(actuators), zeros, zeros.copy())


def kicked(linear: Linear, gains: Gains) -> FloatArray:
    """Return what imperfect actuators do to the true orbit, (2·n_mon, n_act)."""
    shift = np.outer(linear.dispersion, gains.energy)
    return linear.direct * gains.kick + linear.crossed * gains.roll + shift


def shown(bpm: FloatArray, orbits: FloatArray) -> FloatArray:
    """Return what imperfect BPMs show.

    Args:
        bpm: (n_monitors, 2, 2).
        orbits: x at all monitors, then y, (…, 2·n_monitors, n).
    """
    count = len(bpm)
    x, y = orbits[..., :count, :], orbits[..., count:, :]
    gain = bpm[..., None]
    parts = [gain[:, plane, 0] * x + gain[:, plane, 1] * y for plane in (0, 1)]
    return np.concatenate(parts, axis=-2)
