"""How long a stored beam lives: particles of a bunch knock each other out of it."""

from __future__ import annotations

import at
import numpy as np

from acctwin.model.compiled import CompiledRing
from acctwin.model.engine import Equilibrium
from acctwin.model.turns import NOWHERE
from acctwin.names import BoolArray, FloatArray, IntArray
from acctwin.profiles.touschek import Touschek

#: What the opening angle of the radiation leaves of the vertical emittance where
#: nothing couples the planes, about [m rad].
LEAST_EMITTANCE = 1e-13
#: In so many steps the momentum acceptance is found, one after the other.
COARSE, FINE = 8, 5
#: At so many elements the rate of scattering is computed, or a few more.
SCATTERING = 250


def touschek_lifetime(
    ring: CompiledRing,
    start: FloatArray,
    equilibrium: Equilibrium,
    bunch_current: float,
    how: Touschek,
) -> float:
    """Return the Touschek lifetime, by Piwinski's formula as pyAT has it.

    Args:
        ring: The compiled ring.
        start: Closed orbit at the beginning of the lattice, (6,).
        equilibrium: Emittances, energy spread, bunch length; currents do not change
            them.
        bunch_current: Current in a bunch [A].
        how: How the momentum acceptance is found.

    Returns:
        It [s], by amplitude: -dI/dt = I / lifetime now.
    """
    places = _places(ring, how.places)
    tracked = momentum_acceptance(ring, start, places, how)
    height = bucket_height(ring, equilibrium)
    long = np.flatnonzero([element.Length > 0.0 for element in ring.ring])
    elements = long[:: max(1, len(long) // SCATTERING)]
    positions, where = ring.boundaries[places], ring.boundaries[elements]
    length = ring.layout.circumference
    acceptance = np.stack(
        [np.interp(where, positions, side, period=length) for side in tracked.T], axis=1
    )
    horizontal, vertical = equilibrium.emittances
    lifetime, _, _ = at.get_lifetime(
        ring.ring.deepcopy(),
        max(vertical, LEAST_EMITTANCE),
        bunch_current,
        emitx=horizontal,
        sigs=equilibrium.bunch_length,
        sigp=equilibrium.energy_spread,
        momap=np.clip(acceptance, -height, height),
        refpts=elements,
        interpolate=False,
        epsabs=0.0,
        epsrel=1e-3,
    )
    return float(lifetime)


def momentum_acceptance(
    ring: CompiledRing, start: FloatArray, places: IntArray, how: Touschek
) -> FloatArray:
    """Return up to which momentum deviation particles survive.

    They begin on the closed orbit. The first that is lost on the way outwards counts:
    beyond it there may be islands where particles survive. First steps of an eighth of
    the range are tried, then the step in which one was lost in fifths.

    Args:
        ring: The compiled ring.
        start: Closed orbit at the beginning of the lattice, (6,).
        places: Indices of elements, at whose entrances particles begin.
        how: How it is found.

    Returns:
        The largest that survives, positive and negative, (n_places, 2).
    """
    ring.tracker.invalidate()  # over many turns the cavities' frequency matters
    orbit = np.asfortranarray(start[:, None])
    on_orbit = ring.tracker.turn(orbit, places.astype(np.uint32))[:, 0, :]
    signs = np.array([1.0, -1.0])

    def outwards(begin: FloatArray, step: float, count: int) -> FloatArray:
        deviations = begin[:, :, None] + step * np.arange(1, count + 1)
        momenta = signs[:, None] * deviations
        survive = _survive(ring, on_orbit, places, momenta, how.turns)
        return begin + step * np.cumprod(survive, axis=2).sum(axis=2)

    step = how.momentum / COARSE
    found = outwards(np.zeros((len(places), 2)), step, COARSE)
    found = outwards(found, step / FINE, FINE - 1)
    return signs * np.minimum(found, how.momentum)


def bucket_height(ring: CompiledRing, equilibrium: Equilibrium) -> float:
    """Return the largest relative momentum deviation in the RF bucket.

    H. Wiedemann, Particle Accelerator Physics, 4th ed., section 9.3: with the voltage
    V, overvoltage q = eV/U₀, harmonic number h, slip factor η and energy E,
    δ² = 2 U₀ (√(q²-1) - arccos(1/q)) / (π h |η| E).
    """
    lattice = ring.ring
    loss, energy = equilibrium.energy_loss, float(lattice.energy)
    over = float(lattice.get_rf_voltage()) / loss
    gamma = float(lattice.gamma)
    slip = abs(equilibrium.momentum_compaction - 1.0 / gamma**2)
    harmonic = float(lattice.harmonic_number)
    shape = np.sqrt(over**2 - 1.0) - np.arccos(1.0 / over)
    return float(np.sqrt(2.0 * loss * shape / (np.pi * harmonic * slip * energy)))


def _survive(
    ring: CompiledRing,
    on_orbit: FloatArray,
    places: IntArray,
    momenta: FloatArray,
    turns: int,
) -> BoolArray:
    """Return which particles survive, as the deviations, (n_places, 2, n)."""
    beams: list[FloatArray] = []
    for place, orbit, deviations in zip(places, on_orbit.T, momenta, strict=True):
        beam = np.repeat(orbit[:, None], deviations.size, axis=1)
        beam[4] += deviations.ravel()
        beam = np.asfortranarray(beam)
        ring.tracker.turn(beam, first=int(place))
        beams.append(beam)
    every = np.asfortranarray(np.concatenate(beams, axis=1))
    ring.tracker.many(every, NOWHERE, turns)
    lost = np.isnan(every).sum(axis=0)
    return lost.reshape(momenta.shape) == 0


def _places(ring: CompiledRing, count: int) -> IntArray:
    """Return elements whose entrances are evenly spread around the ring."""
    wanted = np.arange(count) * ring.layout.circumference / count
    return np.unique(np.searchsorted(ring.boundaries[:-1], wanted))
