"""How far a simulated machine is from its design: rms values to draw from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MagnetSpread:
    """Rms imperfections of the magnets of some families.

    Attributes:
        families: Families it applies to; rows that share lattice elements share
            their misalignment.
        dx: Horizontal misalignment [m].
        dy: Vertical misalignment [m].
        roll: Rotation about the beam axis [rad].
        scale: Relative error of strength against setpoint.
    """

    families: tuple[str, ...]
    dx: float = 0.0
    dy: float = 0.0
    roll: float = 0.0
    scale: float = 0.0


@dataclass(frozen=True)
class BpmSpread:
    """Rms imperfections of the BPMs.

    Attributes:
        offset: Electric against magnetic centre [m].
        gain: Relative error of the scale.
        roll: Rotation about the beam axis [rad].
        noise: Of one reading [m].
        noise_turn: Of one turn of a turn-by-turn record [m].
    """

    offset: float = 0.0
    gain: float = 0.0
    roll: float = 0.0
    noise: float = 0.0
    noise_turn: float = 0.0


@dataclass(frozen=True)
class Imperfections:
    """What a seed draws from: rms values, normal, cut at ``cut`` sigma."""

    magnets: tuple[MagnetSpread, ...] = ()
    bpms: BpmSpread = BpmSpread()
    tune_noise: float = 0.0
    current_noise_a: float = 0.0
    cut: float = 2.0
    emittance_noise: float = 0.0
    injection_noise: float = 0.0
    lifetime_noise: float = 0.0
