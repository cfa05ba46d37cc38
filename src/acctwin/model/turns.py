"""One turn of some particles: the only place that calls pyAT's tracking.

pyAT keeps one cache of C structures per process. Reading 4000 elements into it
costs ten times what a turn costs, so it is read again only when something has
changed that the cache does not see. (When another lattice has been tracked
meanwhile, pyAT notices and reads this one by itself.)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from acctwin.model.pyat import Element, Lattice
from acctwin.names import FloatArray

NOWHERE = np.array([], dtype=np.uint32)


class Tracker:
    """Tracks particles once around a lattice.

    Args:
        ring: The lattice; its list of elements must not change.

    Attributes:
        turns: Turns so far, each of any number of particles.
        particle_turns: Particles tracked so far, each for one turn.
    """

    def __init__(self, ring: Lattice) -> None:
        self._ring = ring
        self._energy, self._particle = float(ring.energy), ring.particle
        self._call, self._call_element = _direct_calls() or (_public_turn, _public_pass)
        self._is_fresh = False
        self.turns = self.particle_turns = 0

    def turn(self, particles: FloatArray, places: np.ndarray = NOWHERE) -> FloatArray:
        """Track particles for one turn.

        Args:
            particles: Coordinates, (6, n), Fortran order; overwritten by those at
                the end of the turn, NaN for a lost particle.
            places: Where coordinates are wanted: entrances of elements, or the end;
                in increasing order, dtype uint32.

        Returns:
            Coordinates at the places, (6, n, n_places).
        """
        keep, self._is_fresh = self._is_fresh, True
        out = self._call(
            self._ring, particles, places, keep, self._energy, self._particle
        )
        self.turns += 1
        self.particle_turns += particles.shape[1]
        return out[:, :, :, 0]

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self._ring)

    def invalidate(self) -> None:
        """Have the lattice read again before the next turn."""
        self._is_fresh = False

    def through(self, element: int, start: FloatArray) -> FloatArray:
        """Track one particle through one element, with its present strengths.

        Args:
            element: Index of the element.
            start: Coordinates at its entrance, (6,).

        Returns:
            Coordinates at its exit, (6,).
        """
        particle = np.array(start[:, None], order="F")
        self._call_element(self._ring[element], particle, self._energy, self._particle)
        return particle[:, 0]

    def where_lost(self, start: FloatArray) -> str | None:
        """Return in which element a particle is lost, or None if it survives.

        Args:
            start: Coordinates at the beginning of the lattice, (6,).
        """
        self.invalidate()
        _, _, data = self._ring.track(start.copy(), losses=True)
        lost = data["loss_map"]
        if not lost["islost"][0]:
            return None
        return str(self._ring[int(lost["elem"][0])].FamName)


Turn = Callable[[Lattice, FloatArray, np.ndarray, bool, float, Any], FloatArray]
Pass = Callable[[Element, FloatArray, float, Any], None]


def _direct_calls() -> tuple[Turn, Pass] | None:
    """Return pyAT's C functions, quicker than the public ones, if they exist."""
    try:
        module = importlib.import_module("at.tracking.atpass")
        atpass, elempass = module.atpass, module.elempass
    except (ImportError, AttributeError):
        return None

    def turn(
        ring: Lattice,
        particles: FloatArray,
        places: np.ndarray,
        keep: bool,
        energy: float,
        particle: Any,
    ) -> FloatArray:
        return atpass(
            ring,
            particles,
            1,
            refpts=places,
            reuse=keep,
            energy=energy,
            particle=particle,
        )

    def through(
        element: Element, particles: FloatArray, energy: float, particle: Any
    ) -> None:
        elempass(element, particles, energy=energy, particle=particle)

    return turn, through


def _public_turn(
    ring: Lattice,
    particles: FloatArray,
    places: np.ndarray,
    keep: bool,
    energy: float,
    particle: Any,
) -> FloatArray:
    del energy, particle
    out, _, _ = ring.track(particles, refpts=places, in_place=True, keep_lattice=keep)
    return out


def _public_pass(
    element: Element, particles: FloatArray, energy: float, particle: Any
) -> None:
    element.track(particles, in_place=True, energy=energy, particle=particle)
