"""How the Touschek lifetime of the simulated beam is found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Touschek:
    """How the Touschek lifetime of the simulated beam is found.

    Attributes:
        bunches: How many bunches share the current, alike.
        places: At how many places the momentum acceptance is tracked.
        turns: Turns that a particle must survive.
        momentum: Largest relative momentum deviation that is tried; the acceptance is
            found to a fortieth of it.
    """

    bunches: int
    places: int = 8
    turns: int = 100
    momentum: float = 0.06
