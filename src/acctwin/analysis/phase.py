"""Beta functions from phase advances between BPMs.

The phase of an oscillation does not depend on the scale of a BPM. With the optics
between three BPMs as in the design (P. Castro et al., PAC 1993, p. 2103),

    β_i = β_i,design (cot φ_ij − cot φ_ik) / (cot φ_ij,design − cot φ_ik,design).

Every pair j, k of the BPMs near i gives a value; the mean is weighted by their errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.analysis.beta import BetaResult, PhaseAdvance, Places, beta_result
from acctwin.analysis.tune import TuneResult, nearest_whole
from acctwin.analysis.turns import Oscillation
from acctwin.errors import DataError
from acctwin.names import FloatArray, IntArray

#: BPMs on either side that are combined; with more, errors of the magnets between them
#: count for more than noise.
REACH = 3
#: Pairs of BPMs are left out whose phase advance makes the formula diverge: this is the
#: least sine of a phase advance, and the least difference of two cotangents.
_LEAST = 0.2
_TURN = 2.0 * np.pi


@dataclass(frozen=True)
class Phases:
    """Phases of one plane at BPMs around the ring, measured or of the design.

    Attributes:
        phase: [rad], (n,).
        tune: Whole tune, to go on past the end of the ring.
    """

    phase: FloatArray
    tune: float

    def from_one(self, one: int, others: IntArray) -> FloatArray:
        """Return phase advances from a BPM to others, which may be past the end."""
        count = len(self.phase)
        turns = np.floor_divide(others, count)
        there = self.phase[others % count] + _TURN * self.tune * turns
        return there - self.phase[one]


def beta_of_records(
    records: Sequence[tuple[Oscillation, Oscillation]],
    tune: TuneResult,
    places: Places,
    uid: str = "",
) -> BetaResult:
    """Return beta functions and phase advances from turn-by-turn records.

    Args:
        records: Horizontal and vertical oscillation of each, at the BPMs.
        tune: The tunes of these records.
        places: The BPMs.
        uid: Run that holds the records.

    Raises:
        DataError: Too few BPMs.
    """
    betas: list[FloatArray] = []
    errors: list[FloatArray] = []
    advances: list[FloatArray] = []
    spreads: list[FloatArray] = []
    for axis, whole in enumerate(tune.tunes.tolist()):
        phase, sigma = _mean_phase([record[axis] for record in records], whole % 1.0)
        known = places.phase[:, axis]
        design = Phases(known, float(places.tunes[axis]))
        beta, error = beta_of_phases(
            Phases(phase, whole), sigma, design, places.beta[:, axis]
        )
        known = known - known[0]
        advances.append(nearest_whole(phase / _TURN, known / _TURN) * _TURN)
        spread = np.hypot(sigma, sigma[0])
        spread[0] = 0.0
        spreads.append(spread)
        betas.append(beta)
        errors.append(error)
    model = (places.phase - places.phase[0]).T
    return beta_result(
        places,
        np.column_stack(betas),
        np.column_stack(errors),
        "turns",
        PhaseAdvance(*advances, *spreads, *model),
        uid,
    )


def _mean_phase(
    oscillations: Sequence[Oscillation], fraction: float
) -> tuple[FloatArray, FloatArray]:
    """Return phases from the first BPM on, and the error of each BPM's, (n,) both."""
    unit = np.array([one.amplitude / np.abs(one.amplitude) for one in oscillations])
    variance = np.array([one.sigma_phase**2 for one in oscillations])
    phase = np.asarray(np.angle(np.sum(unit / unit[:, :1], axis=0)), dtype=np.float64)
    # A tune above the half-integer is seen as 1 − Q, with all phases turned round.
    sign = 1.0 if fraction < 0.5 else -1.0
    return sign * phase, np.sqrt(np.sum(variance, axis=0)) / len(oscillations)


def beta_of_phases(
    measured: Phases, sigma: FloatArray, design: Phases, beta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the beta function at BPMs, in one plane.

    Pairs of neighbours that disagree by more than noise explains show by how much the
    optics between the BPMs is not as in the design. This is taken as an error of every
    phase, where it is larger than that of the noise; what all pairs share is not seen,
    and may be about as much again.

    Args:
        measured: Phases.
        sigma: Standard errors of the measured phases [rad], (n,).
        design: Phases of the design.
        beta: The design's beta function [m], (n,).

    Returns:
        β [m], (n,), and its standard error [m], (n,); NaN for a BPM near which no two
        others have usable phase advances.

    Raises:
        DataError: Too few BPMs.
    """
    count = len(beta)
    reach = min(REACH, (count - 1) // 2)
    if reach < 1:
        raise DataError(
            f"beta from phases: {count} BPMs found, wanted at least 3 in a row"
        )
    steps = np.concatenate([np.arange(-reach, 0), np.arange(1, reach + 1)])
    pairs = [_pairs(i, i + steps, measured, design, beta[i]) for i in range(count)]
    inconsistent = [one.disagreement() for one in pairs if len(one.values) > 1]
    common = float(np.sqrt(np.mean(inconsistent))) if inconsistent else 0.0
    errors = np.maximum(sigma, common)
    found = np.array([one.mean(errors) for one in pairs])
    return found[:, 0], found[:, 1]


@dataclass(frozen=True)
class _Pairs:
    """What the pairs of BPMs near one say about beta there.

    Attributes:
        values: β [m], (n_pairs,).
        slopes: d(value)/d(phase) [m/rad], (n_pairs, n_places).
        places: BPMs, the one itself last, (n_places,).
    """

    values: FloatArray
    slopes: FloatArray
    places: IntArray

    def disagreement(self) -> float:
        """Return the mean square error of phases that would explain the scatter."""
        size = np.sum(self.slopes**2, axis=1)
        weights = 1.0 / size
        mean = float(weights @ self.values / np.sum(weights))
        freedom = len(self.values) - 1
        return float(np.sum((self.values - mean) ** 2 / size) / freedom)

    def mean(self, errors: FloatArray) -> tuple[float, float]:
        """Return the weighted mean and its error; NaN if there are no pairs.

        Args:
            errors: Of the phases of all BPMs [rad], (n_bpm,).
        """
        if not len(self.values):
            return np.nan, np.nan
        spread = self.slopes * errors[self.places]
        weights = 1.0 / np.sum(spread**2, axis=1)
        weights /= np.sum(weights)
        return float(weights @ self.values), float(np.linalg.norm(weights @ spread))


def _pairs(
    one: int, others: IntArray, measured: Phases, design: Phases, beta: float
) -> _Pairs:
    seen, known = measured.from_one(one, others), design.from_one(one, others)
    is_good = (np.abs(np.sin(seen)) > _LEAST) & (np.abs(np.sin(known)) > _LEAST)
    near, places = others[is_good], len(design.phase)
    seen, known = seen[is_good], known[is_good]
    cot_seen, cot_known = 1.0 / np.tan(seen), 1.0 / np.tan(known)
    j, k = np.triu_indices(len(near), 1)
    used = np.abs(cot_known[j] - cot_known[k]) > _LEAST
    j, k = j[used], k[used]
    difference = cot_known[j] - cot_known[k]
    slope, rows = -beta / np.sin(seen) ** 2, np.arange(len(j))
    slopes = np.zeros((len(j), len(near) + 1))
    slopes[rows, j], slopes[rows, k] = slope[j] / difference, -slope[k] / difference
    slopes[:, -1] = -slopes[:, :-1].sum(axis=1)
    values = beta * (cot_seen[j] - cot_seen[k]) / difference
    return _Pairs(values, slopes, np.append(near, one) % places)
