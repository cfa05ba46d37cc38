"""Imperfections of a simulated machine, drawn from a seed.

Each kind of error of each device has its own random stream, seeded by the machine's
seed and the names of the kind and of the device, so that adding or removing devices
changes nothing for the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from acctwin.model.engine import Misalignment
from acctwin.names import FloatArray
from acctwin.profiles.imperfections import MagnetSpread
from acctwin.profiles.profile import ElementRef, Profile


@dataclass(frozen=True)
class Errors:
    """What was drawn for one machine.

    Attributes:
        misalignments: One for each distinct set of lattice elements.
        scale: Strength in the machine against setpoint, (n_magnets,).
        bpm_gain: Scale of each plane, 1 is ideal, (n_bpms, 2).
        bpm_roll: Rotation about the beam axis [rad], (n_bpms,).
        bpm_offset: Electric centre of each monitor [m], (n_bpms, 2).
        bpm_noise: Rms noise of one reading [m].
        tune_noise: Rms noise of one reading of a tune.
        current_noise_a: Rms noise of one reading of the beam current [A].
        bpm_noise_turn: Rms noise of one turn of a turn-by-turn record [m].
        emittance_noise: Rms relative noise of one reading of an emittance.
        injection_noise: Rms noise of one reading of the injection efficiency.
        lifetime_noise: Relative rms noise of one reading of the lifetime.
    """

    misalignments: tuple[Misalignment, ...]
    scale: FloatArray
    bpm_gain: FloatArray
    bpm_roll: FloatArray
    bpm_offset: FloatArray
    bpm_noise: float
    tune_noise: float
    current_noise_a: float
    bpm_noise_turn: float
    emittance_noise: float
    injection_noise: float = 0.0
    lifetime_noise: float = 0.0


def draw(profile: Profile, seed: int | None) -> Errors:
    """Draw the imperfections of a machine.

    Args:
        profile: The machine; its imperfections are rms values.
        seed: The same seed gives the same machine; None gives the ideal one, whose
            instruments are without noise.
    """
    if seed is None:
        return _ideal(profile)
    spread = profile.imperfections
    names = [row.name for row in profile.bpms]

    def bpms(kind: str, rms: float) -> FloatArray:
        return rms * _normal(seed, kind, names, spread.cut)

    bpm = spread.bpms
    return Errors(
        misalignments=_misalignments(profile, seed),
        scale=1.0 + _scales(profile, seed),
        bpm_gain=1.0
        + np.column_stack([bpms("gain x", bpm.gain), bpms("gain y", bpm.gain)]),
        bpm_roll=bpms("bpm roll", bpm.roll),
        bpm_offset=np.column_stack([
            bpms("offset x", bpm.offset),
            bpms("offset y", bpm.offset),
        ]),
        bpm_noise=bpm.noise,
        tune_noise=spread.tune_noise,
        current_noise_a=spread.current_noise_a,
        bpm_noise_turn=bpm.noise_turn,
        emittance_noise=spread.emittance_noise,
        injection_noise=spread.injection_noise,
        lifetime_noise=spread.lifetime_noise,
    )


def _ideal(profile: Profile) -> Errors:
    count = len(profile.bpms)
    return Errors(
        misalignments=(),
        scale=np.ones(len(profile.magnets)),
        bpm_gain=np.ones((count, 2)),
        bpm_roll=np.zeros(count),
        bpm_offset=np.zeros((count, 2)),
        bpm_noise=0.0,
        tune_noise=0.0,
        current_noise_a=0.0,
        bpm_noise_turn=0.0,
        emittance_noise=0.0,
    )


def _misalignments(profile: Profile, seed: int) -> tuple[Misalignment, ...]:
    spreads: dict[ElementRef, MagnetSpread] = {}
    for row in profile.magnets:
        for spread in _spreads(profile, row.families):
            if (spread.dx or spread.dy or spread.roll) and row.element not in spreads:
                spreads[row.element] = spread
    names = [f"{ref.family}[{ref.index}:{ref.count}]" for ref in spreads]
    cut = profile.imperfections.cut
    dx, dy, roll = (_normal(seed, kind, names, cut) for kind in ("dx", "dy", "roll"))
    return tuple(
        Misalignment(
            ref,
            float(spread.dx * dx[i]),
            float(spread.dy * dy[i]),
            float(spread.roll * roll[i]),
        )
        for i, (ref, spread) in enumerate(spreads.items())
    )


def _scales(profile: Profile, seed: int) -> FloatArray:
    rms = np.zeros(len(profile.magnets))
    for i, row in enumerate(profile.magnets):
        scales = [s.scale for s in _spreads(profile, row.families) if s.scale]
        rms[i] = scales[0] if scales else 0.0
    names = [row.name for row in profile.magnets]
    return rms * _normal(seed, "scale", names, profile.imperfections.cut)


def _spreads(profile: Profile, families: tuple[str, ...]) -> list[MagnetSpread]:
    """Return the spreads of some families, in the profile's order."""
    found = profile.imperfections.magnets
    return [spread for spread in found if set(spread.families) & set(families)]


def _normal(seed: int, kind: str, names: Iterable[str], cut: float) -> FloatArray:
    """Return a normal deviate for each name, drawn again where beyond ``cut``."""
    return np.array([_deviate(seed, kind, name, cut) for name in names])


def _deviate(seed: int, kind: str, name: str, cut: float) -> float:
    stream = np.random.default_rng([seed, zlib.crc32(f"{kind} {name}".encode())])
    value = stream.standard_normal()
    while abs(value) > cut:
        value = stream.standard_normal()
    return float(value)
