"""Many quadrupoles modulated at once: which of them kicked the beam, and how much.

What all BPMs do is taken apart into one kick at each quadrupole with the design's
response (X. Huang, Phys. Rev. Accel. Beams 25, 052802 (2022), has the idea of finding
many centres at the same time from the orbit shift they induce together).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.analysis.bba import Centre
from acctwin.analysis.bba_optics import Sites, closed_orbit
from acctwin.errors import DataError
from acctwin.names import FloatArray

#: Largest condition number of the response to quadrupoles that are told apart.
MOST_ALIKE = 100.0


def tell_apart(
    bpms: Sequence[Sites],
    quadrupoles: Sequence[Sites],
    tunes: FloatArray,
    most: int,
) -> list[list[int]]:
    """Return groups of quadrupoles whose kicks can be told from each other.

    Neighbours of almost the same phase do the same to the orbit, so they are put into
    different groups: each goes into the first where it is not like the others.

    Args:
        bpms: All BPMs, in each plane.
        quadrupoles: The quadrupoles, in each plane.
        tunes: Whole tune of each plane.
        most: So many in a group at most.

    Returns:
        Indices of the quadrupoles, group by group.
    """
    shapes: list[FloatArray] = []
    for seen, kicked, tune in zip(bpms, quadrupoles, tunes, strict=True):
        response, _ = closed_orbit(seen, kicked, float(tune))
        shapes.append(response / np.linalg.norm(response, axis=0))
    groups: list[list[int]] = []
    for i in range(len(quadrupoles[0])):
        for group in groups:
            joined = [*group, i]
            if len(group) < most and all(
                np.linalg.cond(shape[:, joined]) < MOST_ALIKE for shape in shapes
            ):
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def induced_kicks(
    moved: FloatArray, bpms: Sites, quadrupoles: Sites, tune: float
) -> FloatArray:
    """Return the kick that each quadrupole gave when all were modulated.

    Args:
        moved: What the modulation did to each BPM, (n, n_bpms) [m].
        bpms: Where they are.
        quadrupoles: Those that were modulated.
        tune: Whole tune.

    Returns:
        Least-squares kicks [rad], (n, n_quadrupoles).
    """
    response, _ = closed_orbit(bpms, quadrupoles, tune)
    kicks, *_ = np.linalg.lstsq(response, moved.T, rcond=None)
    return np.asarray(kicks.T, dtype=np.float64)


def fit_centres(reading: FloatArray, kicks: FloatArray) -> list[Centre]:
    """Find where each quadrupole does not kick, from a line through its kicks.

    The error is the scatter about the line. It has few degrees of freedom for one
    quadrupole, so the scatter, in metres at the quadrupole, is taken from all.

    Args:
        reading: Of the BPM beside each quadrupole, (n, n_quadrupoles) [m].
        kicks: Of each quadrupole, (n, n_quadrupoles) [rad].

    Raises:
        DataError: Fewer than 3 places of the beam, or one quadrupole does nothing.
    """
    count = len(reading)
    if count < 3:
        raise DataError(f"a centre needs 3 places of the beam, found {count}")
    mean, level = reading.mean(axis=0), kicks.mean(axis=0)
    away = reading - mean
    spread = np.square(away).sum(axis=0)
    slope = (away * kicks).sum(axis=0) / np.where(spread > 0.0, spread, np.nan)
    if not (np.isfinite(slope).all() and np.all(slope != 0.0)):
        raise DataError("the beam was not moved at a quadrupole, or it does not kick")
    zero = -level / slope
    left = (kicks - level - away * slope) / slope
    scatter = np.square(left).sum() / (left.shape[1] * max(1, count - 2))
    sigma = np.sqrt(scatter * (1.0 / count + np.square(zero) / spread))
    return [
        Centre(float(m + z), float(s), kicks.shape[1])
        for m, z, s in zip(mean, zero, sigma, strict=True)
    ]
