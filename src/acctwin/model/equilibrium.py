"""Equilibrium of the beam with radiation, by pyAT's Ohmi envelope."""

from __future__ import annotations

import at
import numpy as np

from acctwin.errors import EngineError
from acctwin.model.compiled import CompiledRing
from acctwin.model.engine import Equilibrium
from acctwin.model.matrices import TurnMap


def equilibrium_of(ring: CompiledRing, maps: TurnMap) -> Equilibrium:
    """Return emittances and the like.

    Args:
        ring: The compiled ring.
        maps: Maps about its closed orbit.

    Raises:
        EngineError: The cavities cannot make up the energy loss.
    """
    if not ring.has_rf:
        raise EngineError(
            "no equilibrium: this lattice has no cavity that can make up the energy "
            "loss, so there is no bunch"
        )
    copy = ring.ring.deepcopy()
    envelope, modes, _ = at.ohmi_envelope(copy, orbit=maps.start.copy())
    loss = at.get_energy_loss(
        copy, method=at.ELossMethod.TRACKING, orbit6=maps.start.copy()
    )
    turn_time = ring.layout.circumference / (ring.layout.beta * at.constants.clight)
    copy.disable_6d()
    compaction = copy.get_mcf()
    return Equilibrium(
        emittances=np.array(modes.mode_emittances[:2]),
        energy_spread=float(np.sqrt(envelope.r66[4, 4])),
        bunch_length=float(np.sqrt(envelope.r66[5, 5])),
        energy_loss=float(loss),
        momentum_compaction=float(compaction),
        damping_times=turn_time / np.array(modes.damping_rates),
    )
