"""Turns of some particles: the only place that calls pyAT's tracking.

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
    """Tracks particles around a lattice.

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

    def turn(
        self, particles: FloatArray, places: np.ndarray = NOWHERE, first: int = 0
    ) -> FloatArray:
        """Track particles for one turn, or for the rest of one.

        Args:
            particles: Coordinates, (6, n), Fortran order; overwritten by those at
                the end of the turn, NaN for a lost particle.
            places: Where coordinates are wanted: entrances of elements, or the end;
                in increasing order, none before ``first``, dtype uint32.
            first: Index of the element at whose entrance the particles are.

        Returns:
            Coordinates at the places, (6, n, n_places).
        """
        return self._track(particles, places, 1, first)[:, :, :, 0]

    def many(self, particles: FloatArray, places: np.ndarray, turns: int) -> FloatArray:
        """Track particles for many turns, in one call.

        Args:
            particles: As for :meth:`turn`.
            places: As for :meth:`turn`.
            turns: How many turns.

        Returns:
            Coordinates at the places in each turn, (6, n, n_places, turns).
        """
        return self._track(particles, places, turns, 0)

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
        return self.beam_through(element, start[:, None])[:, 0]

    def beam_through(self, element: int, start: FloatArray) -> FloatArray:
        """Track particles through one element, with its present strengths.

        Args:
            element: Index of the element.
            start: Coordinates at its entrance, (6, n).

        Returns:
            Coordinates at its exit, (6, n).
        """
        beam = np.array(start, order="F")
        self._call_element(self._ring[element], beam, self._energy, self._particle)
        return beam

    def where_lost(
        self, start: FloatArray, turns: int = 1, first: int = 0
    ) -> str | None:
        """Return in which element a particle is lost, or None if it survives.

        Args:
            start: Coordinates where it starts, (6,).
            turns: How many turns it is tracked.
            first: Index of the element at whose entrance it starts.
        """
        self.invalidate()
        _, _, data = self._ring.track(
            start.copy(), nturns=turns, losses=True, start_elem=first
        )
        lost = data["loss_map"]
        if not lost["islost"][0]:
            return None
        return str(self._ring[int(lost["elem"][0])].FamName)

    def _track(
        self, particles: FloatArray, places: np.ndarray, turns: int, first: int
    ) -> FloatArray:
        keep, self._is_fresh = self._is_fresh, True
        self.turns += turns
        self.particle_turns += turns * particles.shape[1]
        options = {"energy": self._energy, "particle": self._particle}
        return self._call(self._ring, particles, places, turns, first, keep, options)


Turn = Callable[
    [Lattice, FloatArray, np.ndarray, int, int, bool, dict[str, Any]], FloatArray
]
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
        turns: int,
        first: int,
        keep: bool,
        options: dict[str, Any],
    ) -> FloatArray:
        return atpass(
            ring,
            particles,
            turns,
            refpts=places,
            reuse=keep,
            start_elem=first,
            **options,
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
    turns: int,
    first: int,
    keep: bool,
    options: dict[str, Any],
) -> FloatArray:
    del options  # the lattice knows
    out, _, _ = ring.track(
        particles,
        nturns=turns,
        refpts=places,
        in_place=True,
        keep_lattice=keep,
        start_elem=first,
    )
    return out


def _public_pass(
    element: Element, particles: FloatArray, energy: float, particle: Any
) -> None:
    element.track(particles, in_place=True, energy=energy, particle=particle)
