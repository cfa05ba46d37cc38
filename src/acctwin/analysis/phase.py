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
from acctwin.analysis.tune import TuneResult
from acctwin.analysis.turns import Oscillation
from acctwin.errors import DataError
from acctwin.names import FloatArray, IntArray

#: BPMs on either side that are combined; with more, errors of the magnets between them
#: count for more than noise.
REACH = 3
#: Pairs of BPMs are left out whose phase advance makes the formula diverge: this is the
#: least sine of a phase advance, and the least difference of two cotangents.
_LEAST = 0.2


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
        there = self.phase[others % count] + 2.0 * np.pi * self.tune * turns
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
        advances.append(phase + 2.0 * np.pi * np.round((known - phase) / 2.0 / np.pi))
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

    Args:
        measured: Phases.
        sigma: Standard errors of the measured phases [rad], (n,).
        design: Phases of the design.
        beta: The design's beta function [m], (n,).

    Returns:
        β [m], (n,), and its standard error: that of the phases, and the scatter of the
        pairs, which shows how far the optics between BPMs is not as in the design [m],
        (n,).

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
    found = np.array([
        _at(i, i + steps, measured, sigma, design, beta[i]) for i in range(count)
    ])
    return found[:, 0], found[:, 1]


def _at(
    one: int,
    others: IntArray,
    measured: Phases,
    sigma: FloatArray,
    design: Phases,
    beta: float,
) -> tuple[float, float]:
    """Return β and its error at one BPM; NaN if no pair near it can be used."""
    seen, known = measured.from_one(one, others), design.from_one(one, others)
    is_good = (np.abs(np.sin(seen)) > _LEAST) & (np.abs(np.sin(known)) > _LEAST)
    cot_seen, cot_known = 1.0 / np.tan(seen), 1.0 / np.tan(known)
    j, k = np.triu_indices(len(others), 1)
    difference = cot_known[j] - cot_known[k]
    used = is_good[j] & is_good[k] & (np.abs(difference) > _LEAST)
    if not used.any():
        return np.nan, np.nan
    j, k, difference = j[used], k[used], difference[used]
    values = beta * (cot_seen[j] - cot_seen[k]) / difference
    slopes = np.zeros((len(values), len(others) + 1))
    rows = np.arange(len(values))
    slope = -beta / np.sin(seen) ** 2
    slopes[rows, j], slopes[rows, k] = slope[j] / difference, -slope[k] / difference
    slopes[:, -1] = -slopes[:, :-1].sum(axis=1)
    errors = np.append(sigma[others % len(sigma)], sigma[one])
    weights = 1.0 / np.sum((slopes * errors) ** 2, axis=1)
    weights /= weights.sum()
    mean = float(weights @ values)
    error = float(np.sqrt(np.sum((weights @ slopes * errors) ** 2)))
    # Pairs that differ by more than their noise show that the design is not quite true.
    scatter = float(weights @ (values - mean) ** 2)
    return mean, float(np.hypot(error, np.sqrt(scatter)))
