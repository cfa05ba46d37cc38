"""What becomes of an injected bunch."""

from __future__ import annotations

import numpy as np

from acctwin.model.compiled import CompiledRing
from acctwin.names import FloatArray
from acctwin.profiles.injection import InjectedBunch

#: The particles of a bunch are the same each time: what changes is the machine.
SEED = 0xB0C
START = np.array([0], dtype=np.uint32)


def injection_efficiency(
    ring: CompiledRing, orbit: FloatArray, bunch: InjectedBunch
) -> float:
    """Return which part of an injected bunch survives.

    A particle is lost when it leaves the lattice's apertures anywhere, or those of the
    bunch at the beginning of a turn.

    Args:
        ring: The compiled ring.
        orbit: Closed orbit at the beginning of the lattice, (6,).
        bunch: What is injected.

    Returns:
        0 to 1, in steps of one particle.
    """
    ring.tracker.invalidate()  # over many turns the cavities' frequency matters
    particles = np.asfortranarray(orbit[:, None] + particles_of(bunch))
    seen = ring.tracker.many(particles, START, bunch.turns)
    x, y = seen[0, :, 0], seen[2, :, 0]
    within = (np.abs(x) < bunch.aperture_x) & (np.abs(y) < bunch.aperture_y)
    is_there = np.isfinite(particles).all(axis=0)
    return float((within.all(axis=1) & is_there).mean())


def particles_of(bunch: InjectedBunch) -> FloatArray:
    """Return the particles of a bunch against the closed orbit, (6, n)."""
    rms = (
        bunch.size_x,
        bunch.divergence_x,
        bunch.size_y,
        bunch.divergence_y,
        bunch.energy_spread,
        bunch.length,
    )
    drawn = np.random.default_rng(SEED).normal(size=(6, bunch.particles))
    mean = np.array([bunch.x, bunch.xp, bunch.y, bunch.yp, 0.0, 0.0])
    return mean[:, None] + np.array(rms)[:, None] * drawn
