"""The parameters of a fit: strengths, and what BPMs and actuators get wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.loco.gains import Gains
from acctwin.names import FloatArray, IntArray

#: ``bpm_gain`` and ``bpm_coupling``: the diagonal and the rest of a BPM's matrix;
#: ``kick_gain``, ``kick_roll``, ``energy``: see :class:`Gains`.
Block: TypeAlias = Literal[
    "strength", "bpm_gain", "bpm_coupling", "kick_gain", "kick_roll", "energy"
]
BPM_BLOCKS: tuple[Block, ...] = ("bpm_gain", "bpm_coupling")
ACTUATOR_BLOCKS: tuple[Block, ...] = ("kick_gain", "kick_roll", "energy")

#: Entries of a BPM's matrix in each block: row and column.
_ENTRIES = {"bpm_gain": ((0, 0), (1, 1)), "bpm_coupling": ((0, 1), (1, 0))}


@dataclass(frozen=True)
class Parameters:
    """What is fitted, in order: strengths, BPM entries, actuator entries.

    Attributes:
        strengths: Names of the strengths.
        bpm: Monitor, row and column of each entry of a BPM's matrix, (n_bpm, 3).
        actuator: Index in :data:`ACTUATOR_BLOCKS` and actuator of each, (n_act, 2).
        prior: Standard deviation of what is known beforehand of each parameter's
            change; inf: nothing, (n,).
    """

    strengths: tuple[str, ...]
    bpm: IntArray
    actuator: IntArray
    prior: FloatArray

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many strengths, BPM entries, actuator entries."""
        return len(self.strengths), len(self.bpm), len(self.actuator)

    @property
    def count(self) -> int:
        """How many in all."""
        return sum(self.counts)

    def split(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the strengths', BPMs' and actuators' part of a vector, (n,)."""
        n_strengths, n_bpm, _ = self.counts
        cuts = [n_strengths, n_strengths + n_bpm]
        strengths, bpm, actuator = np.split(values, cuts)
        return strengths, bpm, actuator

    def start(self, strengths: FloatArray, gains: Gains) -> FloatArray:
        """Return the present values of all parameters, (n,)."""
        monitor, row, column = self.bpm.T
        by_block = np.array([gains.kick, gains.roll, gains.energy])
        block, actuator = self.actuator.T
        parts = [strengths, gains.bpm[monitor, row, column], by_block[block, actuator]]
        return np.concatenate(parts)

    def gains(self, values: FloatArray, start: Gains) -> Gains:
        """Return gains with the fitted ones replaced.

        Args:
            values: Of all parameters, (n,).
            start: What is not fitted.
        """
        _, of_bpms, of_actuators = self.split(values)
        bpm = start.bpm.copy()
        bpm[tuple(self.bpm.T)] = of_bpms
        by_block = np.array([start.kick, start.roll, start.energy])
        by_block[tuple(self.actuator.T)] = of_actuators
        kick, roll, energy = by_block
        return replace(start, bpm=bpm, kick=kick, roll=roll, energy=energy)


def parameters_of(
    data: LocoData,
    strengths: Sequence[str],
    blocks: Sequence[Block],
    priors: dict[Block, float] | None = None,
) -> Parameters:
    """Return the parameters of a fit.

    The RF frequency is known, so it has no gain; it cannot roll.

    Args:
        data: What is fitted.
        strengths: Names of the strengths.
        blocks: What is fitted besides.
        priors: Standard deviation of what is known of each block; what is not named:
            0.1 for gains and couplings, nothing for strengths and energies.
    """
    known = {"bpm_gain": 0.1, "bpm_coupling": 0.1, "kick_gain": 0.1, "kick_roll": 0.1}
    known |= priors or {}
    monitors = np.arange(len(data.monitors))
    movable = np.flatnonzero(~data.has_rf)
    bpm, actuator = list[list[int]](), list[list[int]]()
    prior = [known.get("strength", np.inf)] * len(strengths)
    for block in BPM_BLOCKS:
        if block in blocks:
            found = [[b, *entry] for b in monitors for entry in _ENTRIES[block]]
            bpm += found
            prior += [known.get(block, np.inf)] * len(found)
    for index, block in enumerate(ACTUATOR_BLOCKS):
        if block in blocks:
            actuator += [[index, int(a)] for a in movable]
            prior += [known.get(block, np.inf)] * len(movable)
    return Parameters(
        tuple(strengths),
        np.array(bpm, dtype=np.int64).reshape(-1, 3),
        np.array(actuator, dtype=np.int64).reshape(-1, 2),
        np.array(prior),
    )
