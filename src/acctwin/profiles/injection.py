"""What is injected into a machine."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class InjectedBunch:
    """What is injected, at the beginning of the lattice, against the closed orbit.

    Attributes:
        x: Mean horizontal position [m].
        xp: Mean horizontal angle [rad].
        y: Mean vertical position [m].
        yp: Mean vertical angle [rad].
        size_x: Rms horizontal size [m].
        divergence_x: Rms horizontal divergence [rad].
        size_y: Rms vertical size [m].
        divergence_y: Rms vertical divergence [rad].
        energy_spread: Rms, relative.
        length: Rms bunch length [m].
        aperture_x: Horizontal half-aperture there [m]: outside it is lost.
        aperture_y: Vertical half-aperture there [m].
        particles: How many are tracked for a shot.
        turns: For so many turns.
    """

    x: float
    xp: float = 0.0
    y: float = 0.0
    yp: float = 0.0
    size_x: float = 0.0
    divergence_x: float = 0.0
    size_y: float = 0.0
    divergence_y: float = 0.0
    energy_spread: float = 0.0
    length: float = 0.0
    aperture_x: float = math.inf
    aperture_y: float = math.inf
    particles: int = 50
    turns: int = 100
