"""How far the beam moves between a BPM and the quadrupole beside it.

No BPM is where its quadrupole is. Between the two the beam moves by the distance times
its angle, ten micrometres for ten centimetres and a tenth of a milliradian. The angle
is estimated from what is known nearby: the readings of the BPMs around (which are off
by their own offsets), and the distance of the beam from the centres of the quadrupoles
that were modulated (which are misaligned). All of it enters with its own uncertainty:
a Gaussian process, whose two unknown spreads are found from the readings themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy import optimize as scipy_optimize  # type: ignore[reportMissingTypeStubs]

from acctwin.analysis.bba_optics import (
    Sites,
    closed_orbit,
    thick_lever,
    thick_share,
    trajectory,
)
from acctwin.names import FloatArray, IntArray

#: scipy has no types that would say what these are.
_optimize = cast("Any", scipy_optimize)

#: BPMs on each side that are looked at.
REACH = 5
#: How well the design knows a corrector's kick, relative.
KICK_ERROR = 0.02
#: Kicks of unknown origin at each quadrupole [rad].
STRAY = 1e-6
#: Position [m] and angle [rad] that the beam may have anywhere.
WIDE = 5e-3
#: Relative momentum offset that it may have.
OFF_ENERGY = 1e-3


@dataclass(frozen=True)
class Ring:
    """One plane of the design, and what the correctors are set to.

    Attributes:
        bpms: The BPMs, in s order.
        quadrupoles: The quadrupoles, in s order, at their middle.
        length: Of each quadrupole [m], 0 if it is thin, (n_quadrupoles,).
        strength: K of each in this plane, positive if it focuses [1/m²], integrated
            if it is thin [1/m], (n_quadrupoles,).
        correctors: Correctors of this plane.
        kicks: Their setpoints [rad], (n_correctors,).
        tune: Whole tune.
        circumference: [m].
    """

    bpms: Sites
    quadrupoles: Sites
    length: FloatArray
    strength: FloatArray
    correctors: Sites
    kicks: FloatArray
    tune: float
    circumference: float

    @property
    def focusing(self) -> FloatArray:
        """|K L| of each quadrupole [1/m]."""
        thick = np.where(self.length > 0.0, self.length, 1.0)
        return np.abs(self.strength) * thick

    def share(self, quadrupole: int) -> float:
        """Return the mean position in a quadrupole for a unit of reading beside it."""
        length = self.length[quadrupole]
        return thick_share(length, self.strength[quadrupole])

    def levers(self, bpm: int, quadrupole: int) -> tuple[float, FloatArray]:
        """Return what angle and correctors do to the position in a quadrupole.

        Only drifts and correctors are expected between the BPM and the quadrupole.

        Returns:
            d(x in the quadrupole − x in the BPM)/d(x' at the BPM) [m], and the same by
            the kick of each corrector [m/rad], (n_correctors,).
        """
        way = self._apart(self.quadrupoles.s[quadrupole] - self.bpms.s[bpm])
        length = self.length[quadrupole]
        gap = abs(way) - length / 2
        lever = thick_lever(gap, length, self.strength[quadrupole])
        to_corrector = self._apart(self.correctors.s - self.bpms.s[bpm])
        is_between = (to_corrector * np.sign(way) > 0.0) & (abs(to_corrector) < gap)
        return (
            float(np.sign(way) * lever),
            np.where(is_between, lever - np.abs(to_corrector), 0.0),
        )

    def _apart(self, way: FloatArray) -> FloatArray:
        """Return a way along s, the short way around the ring."""
        half = self.circumference / 2
        return (way + half) % self.circumference - half


@dataclass(frozen=True)
class Distances:
    """How far the beam was from the centres of some quadrupoles.

    Attributes:
        which: Index of each quadrupole, (n,).
        distance: Beam minus centre [m], (n,).
        sigma: Standard error [m], (n,).
    """

    which: IntArray
    distance: FloatArray
    sigma: FloatArray


@dataclass(frozen=True)
class Spreads:
    """What makes the orbit and its readings, rms [m].

    Attributes:
        centre: Of the quadrupoles about the axis.
        offset: Of the BPMs.
    """

    centre: float
    offset: float


def find_spreads(ring: Ring, reading: FloatArray) -> Spreads:
    """Find how far quadrupoles and BPMs are off, from the orbit they make.

    Misaligned quadrupoles make smooth orbits, offsets of BPMs do not: the spreads are
    those for which the readings are most likely.

    Args:
        ring: The plane.
        reading: Of all BPMs [m], (n_bpms,).
    """
    made, _ = closed_orbit(ring.bpms, ring.correctors, ring.tune)
    left = reading - made @ ring.kicks
    shape, _ = closed_orbit(ring.bpms, ring.quadrupoles, ring.tune)
    shape = shape * ring.focusing
    powers, modes = np.linalg.eigh(shape @ shape.T)
    powers, seen = np.maximum(powers, 0.0), np.square(modes.T @ left)

    def unlikely(logs: FloatArray) -> float:
        variance = np.exp(logs[0]) * powers + np.exp(logs[1])
        return float(np.sum(np.log(variance) + seen / variance))

    total = max(float(np.mean(seen)), 1e-18)
    guess = np.log([total / max(float(powers.mean()), 1e-12), total]) - np.log(2.0)
    found: FloatArray = _optimize.minimize(unlikely, guess, method="Nelder-Mead").x
    return Spreads(float(np.exp(found[0] / 2)), float(np.exp(found[1] / 2)))


def way_between(
    ring: Ring,
    reading: FloatArray,
    known: Distances,
    spreads: Spreads,
    bpm: int,
    quadrupole: int,
) -> tuple[float, float]:
    """Return the position in a quadrupole minus that in a BPM [m], and its error.

    Args:
        ring: The plane.
        reading: Of all BPMs [m], (n_bpms,).
        known: Quadrupoles that were modulated.
        spreads: Of :func:`find_spreads`.
        bpm: Index of the BPM.
        quadrupole: Index of the quadrupole, near it.
    """
    near = _neighbourhood(ring, bpm)
    there = np.flatnonzero(np.isin(known.which, near.quadrupoles))
    places = ring.quadrupoles[known.which[there]].after(near.begin, ring.tune)
    kicked = ring.quadrupoles[near.quadrupoles].joined(ring.correctors[near.correctors])
    kicked = kicked.after(near.begin, ring.tune)
    start, seen = ring.bpms[near.bpms[:1]], ring.bpms[near.bpms]
    seen = seen.after(near.begin, ring.tune)
    rows, angles = trajectory(seen, kicked, start)
    rows = np.vstack([rows, trajectory(places, kicked, start)[0]])
    lever, by_kicks = ring.levers(bpm, quadrupole)
    count = len(near.quadrupoles)
    wanted = lever * angles[near.bpms == bpm][0]
    wanted[3 + count :] += by_kicks[near.correctors]
    kicks = ring.kicks[near.correctors]
    mean = np.concatenate([np.zeros(3 + count), kicks])
    stray = np.hypot(ring.focusing[near.quadrupoles] * spreads.centre, STRAY)
    unsure = KICK_ERROR * np.abs(kicks) + 1e-12
    prior = np.square(np.concatenate([[WIDE, WIDE, OFF_ENERGY], stray, unsure]))
    noise = np.concatenate([
        np.full(len(near.bpms), spreads.offset),
        np.hypot(spreads.centre, known.sigma[there]),
    ])
    given = np.concatenate([reading[near.bpms], known.distance[there]])
    covariance = (rows * prior) @ rows.T + np.diag(np.square(noise))
    weights = np.asarray(
        np.linalg.solve(covariance, rows @ (prior * wanted)), dtype=np.float64
    )
    way = wanted @ mean + weights @ (given - rows @ mean)
    variance = wanted @ (prior * wanted) - weights @ (rows @ (prior * wanted))
    return float(way), float(np.sqrt(max(variance, 0.0)))


@dataclass(frozen=True)
class _Near:
    """What is near a BPM: indices, and the phase where it begins."""

    bpms: IntArray
    quadrupoles: IntArray
    correctors: IntArray
    begin: float


def _neighbourhood(ring: Ring, bpm: int) -> _Near:
    count = len(ring.bpms)
    reach = min(REACH, (count - 1) // 2)
    bpms = (bpm + np.arange(-reach, reach + 1)) % count
    begin = float(ring.bpms.phase[bpms[0]])
    length = float(ring.bpms[bpms[-1:]].after(begin, ring.tune).phase[0])

    def inside(sites: Sites) -> IntArray:
        return np.flatnonzero(sites.after(begin, ring.tune).phase <= length)

    return _Near(bpms, inside(ring.quadrupoles), inside(ring.correctors), begin)
