"""Linear optics everywhere, from the maps of one turn.

Normal modes after A. Wolski, Phys. Rev. ST Accel. Beams 9, 024001 (2006): coupled,
and with the true inverse of the mode matrices, so that damping is exact too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from at.lattice import AtError
from at.physics.amat import a_matrix, jmat, jmatswap

from acctwin.errors import BeamLost
from acctwin.model.engine import Optics
from acctwin.model.matrices import TurnMap
from acctwin.names import FloatArray


@dataclass(frozen=True)
class Modes:
    """Normal modes of a ring.

    Attributes:
        frame: Standardised mode matrix A at the beginning, (n, n).
        phase: Phase advance from the beginning to every boundary [rad],
            (n_elements + 1, 2).
        tunes: qx, qy with integer part, and qs (0 in 4D), (3,).
    """

    frame: FloatArray
    phase: FloatArray
    tunes: FloatArray


def modes_of(maps: TurnMap) -> Modes:
    """Return the normal modes of a stable ring.

    Raises:
        BeamLost: Two modes cannot be told apart.
    """
    frame, factors = _mode_matrix(maps.matrix)
    frame = _standardised(frame)
    planes = [maps.transfer[:, 2 * k] @ frame[:, 2 * k : 2 * k + 2] for k in (0, 1)]
    angle = np.column_stack([np.arctan2(p[:, 1], p[:, 0]) for p in planes])
    phase = np.unwrap(angle, axis=0)
    tunes = np.append(phase[-1] / (2 * np.pi), 0.0)
    if maps.dimensions == 6:
        fraction = float(np.angle(factors[2])) / (2 * np.pi) % 1.0
        tunes[2] = min(fraction, 1.0 - fraction)
    return Modes(frame, phase, tunes)


def optics_at(
    maps: TurnMap, modes: Modes, places: np.ndarray | slice, s: FloatArray
) -> Optics:
    """Return the optics at some element boundaries.

    Args:
        maps: Maps about the closed orbit.
        modes: From :func:`modes_of`.
        places: Indices of the boundaries.
        s: Their positions [m], (n_places,).
    """
    beta, alpha = _twiss(maps.transfer[places] @ modes.frame)
    return Optics(
        s=s,
        beta=beta,
        alpha=alpha,
        phase=modes.phase[places],
        dispersion=_dispersion(maps)[places],
        orbit=maps.orbit[places],
        tunes=modes.tunes[:2].copy(),
    )


def fractional_tunes(matrix: FloatArray) -> FloatArray:
    """Return qx, qy in [0, 1) of a stable one-turn matrix, (2,)."""
    _, factors = _mode_matrix(matrix)
    return (np.angle(factors[:2]) / (2 * np.pi)) % 1.0


def _mode_matrix(matrix: FloatArray) -> tuple[FloatArray, np.ndarray]:
    try:
        return a_matrix(matrix)
    except AtError as error:
        raise BeamLost("unstable optics: a tune is on a resonance") from error


def _standardised(frame: FloatArray) -> FloatArray:
    """Turn each mode so that its position depends on the first coordinate only."""
    result = frame.copy()
    for k in range(len(frame) // 2):
        pair = slice(2 * k, 2 * k + 2)
        angle = -np.arctan2(frame[2 * k, 2 * k + 1], frame[2 * k, 2 * k])
        cos, sin = np.cos(angle), np.sin(angle)
        result[:, pair] = frame[:, pair] @ np.array([[cos, sin], [-sin, cos]])
    return result


def _twiss(frames: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return β and α, each (n_places, 2), from mode matrices A, (n_places, n, n).

    They are in the first column of R = A·S·I_k·A⁻¹·Sᵀ of the mode k of each plane.
    """
    count = frames.shape[1] // 2
    swap, wanted = jmatswap(count), jmat(count).T[:, [0, 2]]
    back = np.linalg.solve(
        frames, np.broadcast_to(wanted, (len(frames), *wanted.shape))
    )
    columns = []
    for k in (0, 1):
        pair = slice(2 * k, 2 * k + 2)
        turned = back[:, pair, k] @ swap[pair, pair].T
        columns.append(np.einsum("nij,nj->ni", frames[:, pair, pair], turned))
    beta, alpha = np.stack(columns, axis=2).transpose(1, 0, 2)
    return beta, -alpha


def _dispersion(maps: TurnMap) -> FloatArray:
    """Return how the closed orbit moves with energy, (n_elements + 1, 4).

    In 6D the RF frequency moves the energy, by the same δ all around the ring; this
    is what a measurement sees. (The synchrotron mode, which pyAT shows, differs from
    it by the square of the synchrotron tune.)
    """
    if maps.dimensions == 6:
        moved = maps.closing[:, 5]
        return maps.transfer[:, :4] @ (moved / moved[4])
    start = -maps.closing @ maps.momentum[-1]
    return maps.transfer @ start + maps.momentum
