"""Normal equations of a LOCO fit, without the Jacobian.

A strength changes the response by a product left·right of low rank, a BPM's gain by
one row, an actuator's by one column. So the scalar products of any two of their
derivatives are small sums: with J = L·H, ⟨J₁, J₂⟩ = Σ (L₁ᵀL₂)∘(H₁H₂ᵀ). For a ring of
1000 magnets and 300 BPMs the Jacobian would be gigabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.loco.gains import Gains, Linear, kicked, shown
from acctwin.analysis.loco.parameters import Parameters
from acctwin.names import FloatArray, IntArray

#: Elements whose products are formed at a time; bounds the memory.
CHUNK = 64


@dataclass(frozen=True)
class Normal:
    """J'J and J'r of the weighted residuals r.

    Attributes:
        matrix: (n, n).
        gradient: (n,).
        chi2: r'r, without priors.
    """

    matrix: FloatArray
    gradient: FloatArray
    chi2: float


@dataclass(frozen=True)
class _Terms:
    """Weighted derivatives.

    Attributes:
        factors: Of the strengths, weights included.
        row: Row that each BPM entry changes, (n_bpm,).
        rows: By how much, (n_bpm, n_actuators).
        column: Column that each actuator entry changes, (n_act,).
        columns: By how much, (2·n_monitors, n_act).
    """

    factors: Factors
    row: IntArray
    rows: FloatArray
    column: IntArray
    columns: FloatArray


def normal_equations(
    data: LocoData,
    linear: Linear,
    factors: Factors,
    gains: Gains,
    parameters: Parameters,
) -> Normal:
    """Form J'J and J'r.

    Args:
        data: What was measured.
        linear: The model at the present strengths.
        factors: Derivatives there, of the strengths that are fitted.
        gains: The present ones.
        parameters: What is fitted.
    """
    terms = _terms(data, linear, factors, gains, parameters)
    residuals = data.residuals(shown(gains.bpm, kicked(linear, gains)))
    matrix, gradient = _products(terms), _slopes(terms, residuals)
    rows, columns = np.nonzero(~data.good)
    if len(rows):
        left_out = _derivatives_at(terms, rows, columns)
        matrix -= left_out.T @ left_out
    return Normal(matrix, gradient, float((residuals**2).sum()))


def _terms(
    data: LocoData,
    linear: Linear,
    factors: Factors,
    gains: Gains,
    parameters: Parameters,
) -> _Terms:
    w, v = data.row_weight, data.column_weight
    orbits = kicked(linear, gains)
    monitor, plane, source = parameters.bpm.T
    count = len(data.monitors)
    row = plane * count + monitor
    rows = orbits[source * count + monitor] * v * w[row, None]
    block, column = parameters.actuator.T
    n_act = orbits.shape[1]
    dispersion = np.broadcast_to(linear.dispersion[:, None], (len(w), n_act))
    kinds = np.stack([linear.direct, linear.crossed, dispersion])
    changed = kinds[block, :, column].T
    weighted = Factors(
        factors.owner,
        shown(gains.bpm, factors.left) * w[:, None],
        factors.right * (gains.kick * v),
        factors.strengths,
    )
    columns = shown(gains.bpm, changed) * w[:, None] * v[column]
    return _Terms(weighted, row, rows, column, columns)


def _products(terms: _Terms) -> FloatArray:
    """Return the scalar products of all derivatives, (n, n)."""
    factors = terms.factors
    strengths = _strength_products(factors)
    with_rows = np.einsum(
        "eir,eri->ei", factors.left[:, terms.row], factors.right @ terms.rows.T
    )
    with_columns = np.einsum(
        "erj,erj->ej",
        factors.left.transpose(0, 2, 1) @ terms.columns,
        factors.right[:, :, terms.column],
    )
    same_row = terms.row[:, None] == terms.row
    same_column = terms.column[:, None] == terms.column
    rows = np.where(same_row, terms.rows @ terms.rows.T, 0.0)
    columns = np.where(same_column, terms.columns.T @ terms.columns, 0.0)
    mixed = terms.rows[:, terms.column] * terms.columns[terms.row]
    of_rows, of_columns = factors.sums(with_rows), factors.sums(with_columns)
    return np.block([
        [strengths, of_rows, of_columns],
        [of_rows.T, rows, mixed],
        [of_columns.T, mixed.T, columns],
    ])


def _strength_products(factors: Factors) -> FloatArray:
    """Return the scalar products of the strengths' derivatives, (n, n)."""
    count, rows, rank = factors.left.shape
    left = factors.left.transpose(1, 0, 2).reshape(rows, count * rank)
    right = factors.right.reshape(count * rank, -1)
    result = np.zeros((count, count))
    for begin in range(0, count, CHUNK):
        end = min(begin + CHUNK, count)
        part = slice(begin * rank, end * rank)
        product = (left[:, part].T @ left) * (right[part] @ right.T)
        result[begin:end] = product.reshape(end - begin, rank, count, rank).sum((1, 3))
    return factors.sums(factors.sums(result).T).T


def _slopes(terms: _Terms, residuals: FloatArray) -> FloatArray:
    """Return the scalar products of all derivatives with the residuals, (n,)."""
    factors = terms.factors
    count, _, rank = factors.left.shape
    right = factors.right.reshape(count * rank, -1)
    seen = (residuals @ right.T).reshape(-1, count, rank)
    strengths = np.einsum("ebr,ber->e", factors.left, seen)
    rows = (residuals[terms.row] * terms.rows).sum(axis=1)
    columns = (residuals[:, terms.column] * terms.columns).sum(axis=0)
    return np.concatenate([factors.sums(strengths), rows, columns])


def _derivatives_at(terms: _Terms, rows: IntArray, columns: IntArray) -> FloatArray:
    """Return all derivatives of some entries, (n_entries, n)."""
    factors = terms.factors
    strengths = np.einsum(
        "enr,ern->en", factors.left[:, rows], factors.right[:, :, columns]
    )
    of_bpms = np.where(rows[:, None] == terms.row, terms.rows[:, columns].T, 0.0)
    is_same = columns[:, None] == terms.column
    of_actuators = np.where(is_same, terms.columns[rows], 0.0)
    return np.hstack([factors.sums(strengths).T, of_bpms, of_actuators])
