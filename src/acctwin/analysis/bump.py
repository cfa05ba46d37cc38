"""Local orbit bumps: which correctors, which kicks, and how well it closes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from acctwin.analysis.orbit import OrbitResult, rms
from acctwin.names import PLANES, BoolArray, FloatArray, IntArray, Plane

#: Correctors that are considered on each side of the place.
REACH = 6
#: How much larger the largest kick may be where that makes the bump shorter.
_DEARER = 2.0
#: Which part of the way to its limits the design's kicks may use: closing takes more.
_ROOM = 0.8
#: A combination that misses what is wanted by more than this cannot make it.
_MISSES = 1e-6


@dataclass(frozen=True)
class BumpResult:
    """What a local bump did.

    Attributes:
        plane: ``"x"`` or ``"y"``.
        place: BPM or magnet that it is at.
        position: Change of the orbit that was asked for there [m]; None: free.
        angle: Change of its slope there [rad]; None: free.
        correctors: Correctors that were set: those that make it, and those of the
            other plane that help to close it.
        steps: Total change of each [rad], of the RF [Hz], (n,).
        setpoints: Where each is at the end, (n,).
        before: Orbit at the start.
        after: Orbit at the end (what would be predicted, for a preview).
        inside: Good BPMs between the first and the last corrector.
        iterations: How many times the correctors were set and left so.
        stopped: Why it ended, in words.
        is_preview: True when nothing was set.
        uid: Run that holds the readings.
    """

    plane: Plane
    place: str
    position: float | None
    angle: float | None
    correctors: tuple[str, ...]
    steps: FloatArray
    setpoints: FloatArray
    before: OrbitResult
    after: OrbitResult
    inside: tuple[str, ...]
    iterations: int
    stopped: str
    is_preview: bool
    uid: str = ""

    @property
    def change(self) -> FloatArray:
        """Change of the orbit at the BPMs, x and y [m], (2, n_bpm)."""
        before, after = self.before, self.after
        return np.stack([after.x - before.x, after.y - before.y])

    @property
    def is_inside(self) -> BoolArray:
        """Which BPMs are inside, (n_bpm,)."""
        chosen = set(self.inside)
        return np.array([name in chosen for name in self.before.names], dtype=np.bool_)

    @property
    def seen(self) -> float:
        """Change at the place [m]; NaN if it is not a good BPM."""
        if self.place not in self.before.names:
            return np.nan
        axis = PLANES.index(self.plane)
        return float(self.change[axis, self.before.names.index(self.place)])

    @property
    def amplitude(self) -> float:
        """What was asked for [m]; without a position the largest change inside."""
        inside = self.change[PLANES.index(self.plane), self.is_inside]
        return abs(self.position or 0.0) or float(np.abs(inside).max(initial=0.0))

    @property
    def leakage(self) -> float:
        """Rms of the change at all BPMs outside, both planes, over the amplitude."""
        return rms(self.change[:, ~self.is_inside]) / self.amplitude

    @property
    def leakage_max(self) -> float:
        """Largest change at a BPM outside, in either plane, over the amplitude."""
        return float(np.abs(self.change[:, ~self.is_inside]).max()) / self.amplitude


@dataclass(frozen=True)
class BumpOptics:
    """Optics of one plane, seen from the place of a bump.

    Attributes:
        phase: Phase advance of the correctors from the place [rad], negative before
            it, (n,).
        beta: At the correctors [m], (n,).
        room: How far each may be moved either way [rad], (n,).
        wanted: √β-normalised position and momentum at the place, NaN where it is
            free, (2,).
    """

    phase: FloatArray
    beta: FloatArray
    room: FloatArray
    wanted: FloatArray


def phase_from(phase: FloatArray, origin: float, tune: float) -> FloatArray:
    """Return phase advances from a place in a ring, −πQ to πQ.

    Args:
        phase: Phase advances from the beginning of the ring [rad], (n,).
        origin: That of the place [rad].
        tune: Whole tune Q.
    """
    turn = 2 * np.pi * tune
    return np.mod(phase - origin + turn / 2, turn) - turn / 2


def normalised(
    position: float | None, angle: float | None, beta: float, alpha: float
) -> FloatArray:
    """Return x/√β and (αx + βx')/√β, NaN where it is free, (2,).

    With a free position the momentum is that of x = 0: it only serves to choose.
    """
    x = np.nan if position is None else position / np.sqrt(beta)
    if angle is None:
        return np.array([x, np.nan])
    return np.array([x, (alpha * (position or 0.0) + beta * angle) / np.sqrt(beta)])


def choose_correctors(optics: BumpOptics, count: int) -> IntArray:
    """Choose the correctors of a closed bump.

    Of all combinations of the nearest correctors it is the shortest bump, in phase,
    whose largest kick is at most twice the smallest possible, and of those the ones
    that the limits allow, if there are any.

    Args:
        optics: Of the candidates.
        count: How many.

    Returns:
        Their positions among the candidates, in order of phase; none if no
        combination makes the bump.
    """
    found = [
        (
            np.abs(kicks).max(),
            optics.room[chosen].min(),
            np.ptp(optics.phase[chosen]),
            chosen,
        )
        for chosen in _combinations(optics.phase, count)
        if (kicks := _kicks(optics, chosen)) is not None
    ]
    if not found:
        return np.zeros(0, dtype=np.int64)
    allowed = [item for item in found if item[0] <= _ROOM * item[1]] or found
    least = min(kick for kick, *_ in allowed)
    affordable = [item for item in allowed if item[0] <= _DEARER * least]
    return min(affordable, key=lambda item: item[2])[3]


def solve_bump(
    outside: FloatArray,
    target: FloatArray,
    wanted: FloatArray,
    residual: FloatArray | None = None,
    cutoff: float = 3e-3,
) -> FloatArray:
    """Solve for kicks that move a place as wanted and nothing outside.

    Minimises |R_out Δ + r|² over all Δ with T Δ = t exactly, where knobs are scaled
    so that each does as much outside.

    Args:
        outside: Response outside the bump R_out, (n_outside, n).
        target: Response at the place T, (n_wanted, n).
        wanted: Change there t, (n_wanted,).
        residual: What there is outside already r [m], (n_outside,); default 0.
        cutoff: Singular values of the rest below this fraction of the largest are
            dropped.

    Returns:
        Kicks Δ, (n,).
    """
    size = np.sqrt(np.mean(np.square(outside), axis=0))
    scale = 1.0 / np.where(size > 0.0, size, 1.0)
    outside, target = outside * scale, target * scale
    exact = np.linalg.lstsq(target, wanted, rcond=None)[0]
    _, values, right = np.linalg.svd(target)
    free = right[len(values) :].T
    left = outside @ exact + (0.0 if residual is None else residual)
    rest = np.linalg.lstsq(outside @ free, -left, rcond=cutoff)[0]
    return scale * (exact + free @ rest)


def _combinations(phase: FloatArray, count: int) -> Iterator[IntArray]:
    """Yield sets of the nearest correctors, some before and some behind the place."""
    order = np.argsort(phase, kind="stable")
    before = order[phase[order] < 0.0][-REACH:]
    behind = order[phase[order] >= 0.0][:REACH]
    for chosen in combinations([*before.tolist(), *behind.tolist()], count):
        if phase[chosen[0]] < 0.0 <= phase[chosen[-1]]:
            yield np.array(chosen, dtype=np.int64)


def _kicks(optics: BumpOptics, chosen: IntArray) -> FloatArray | None:
    """Return the smallest kicks of a closed bump, None if there are none.

    Behind a kick θ at the phase φ_j the normalised orbit is √β_j θ sin(φ − φ_j), and
    its derivative √β_j θ cos(φ − φ_j); behind the last one both are to be 0.
    """
    phase, size = optics.phase[chosen], np.sqrt(optics.beta[chosen])
    wave = size * np.array([-np.sin(phase), np.cos(phase)])
    is_asked = ~np.isnan(optics.wanted)
    rows = np.vstack([(wave * (phase < 0.0))[is_asked], wave])
    wanted = np.append(optics.wanted[is_asked], [0.0, 0.0])
    kicks = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    missed = np.abs(rows @ kicks - wanted).max()
    return kicks if missed <= _MISSES * np.abs(wanted).max() else None
