"""Magnetic rigidity: what turns a field into a strength."""

from __future__ import annotations

import math

from acctwin.errors import CalibrationError

SPEED_OF_LIGHT = 299_792_458.0
ELECTRON_REST_MASS_EV = 0.510_998_950_69e6


def rigidity(energy_ev: float, rest_mass_ev: float = ELECTRON_REST_MASS_EV) -> float:
    """Return Bρ = p/e [T m] of a particle of one elementary charge.

    Args:
        energy_ev: Total energy, rest mass included [eV].
        rest_mass_ev: Rest mass [eV]; default: the electron's.

    Raises:
        CalibrationError: The energy is not above the rest mass.
    """
    if not (math.isfinite(energy_ev) and energy_ev > rest_mass_ev >= 0):
        raise CalibrationError(
            f"energy {energy_ev:g} eV is not above the rest mass {rest_mass_ev:g} eV"
        )
    momentum_ev = math.sqrt((energy_ev - rest_mass_ev) * (energy_ev + rest_mass_ev))
    return momentum_ev / SPEED_OF_LIGHT
