"""Steps of a fit from its normal equations: three solvers with one face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import linalg as scipy_linalg  # type: ignore[reportMissingTypeStubs]
from scipy.sparse import linalg as scipy_sparse  # type: ignore[reportMissingTypeStubs]

from acctwin.errors import PlanError
from acctwin.names import FloatArray

linalg: Any = scipy_linalg
sparse: Any = scipy_sparse

#: ``gauss_newton``: singular values below a cut are left out. ``levenberg_marquardt``:
#: damped by a multiple of the unit matrix; ``scaled_lm``: by one of the diagonal.
Solver: TypeAlias = Literal["gauss_newton", "levenberg_marquardt", "scaled_lm"]

#: Data that leave more than this part of the variance known before tell less than it.
TOLD = 0.5
#: How many combinations of gains are looked at first.
FIRST_UNKNOWN = 4


@dataclass(frozen=True)
class Reduced:
    """What the strengths do to the data that no gain could do.

    The gains are eliminated exactly, so that singular values are those of strengths.

    Args:
        matrix: J'J with priors, (n, n): strengths first.
        gradient: J'r with priors, (n,).
        strengths: How many strengths there are.
        cut: Singular values below this part of the largest are left out.
        prior: Standard deviation of what is known of each gain beforehand, (n_gains,).
    """

    matrix: FloatArray
    gradient: FloatArray
    strengths: int
    cut: float
    prior: FloatArray

    @cached_property
    def singular(self) -> FloatArray:
        """Singular values over the largest, decreasing, (n_strengths,)."""
        values = np.sqrt(np.maximum(self._spectrum[0][::-1], 0.0))
        return values / values[0] if len(values) else values

    @property
    def kept(self) -> int:
        """How many singular values are kept."""
        return int((self.singular > self.cut).sum())

    @property
    def dropped(self) -> FloatArray:
        """Combinations of strengths that the data do not tell, (n_dropped, n).

        Each in units of what changes the data by as much for each strength.
        """
        return self._spectrum[1][:, : self.strengths - self.kept].T

    def step(self) -> FloatArray:
        """Return the change of all parameters, (n,)."""
        g_strengths, g_gains = np.split(self.gradient, [self.strengths])
        of_gains = self._solve_gains(g_gains)
        strengths = self._pseudo_inverse() @ (g_strengths - self._mixed @ of_gains)
        gains = of_gains - self._from_strengths @ strengths
        return np.concatenate([strengths, gains])

    def sigma(self) -> FloatArray:
        """Return standard errors of all parameters, along what the data tell, (n,)."""
        spread = self._from_strengths
        strengths = self._pseudo_inverse()
        from_strengths = np.einsum("gs,gs->g", spread @ strengths, spread)
        own = np.diag(self._solve_gains(np.eye(len(self.prior))))
        _, known_before = self._unknown
        gains = own + from_strengths - known_before
        return np.sqrt(np.concatenate([np.diag(strengths), np.maximum(gains, 0.0)]))

    @property
    def unknown(self) -> FloatArray:
        """Combinations of gains of which the data tell less than was known before.

        Such as all vertical BPM gains against all vertical kicks, (n_unknown,
        n_gains), in units of what was known before.
        """
        return self._unknown[0]

    @cached_property
    def _unknown(self) -> tuple[FloatArray, FloatArray]:
        """Those combinations, and their part of the variance of each gain."""
        count = len(self.prior)
        known = np.where(np.isfinite(self.prior), self.prior, 0.0)
        scale = np.divide(1.0, known, out=np.zeros(count), where=known > 0)
        spread, strengths = self._from_strengths, self._pseudo_inverse()

        def variance(vector: FloatArray) -> FloatArray:
            """Over what was known before: 1 where the data tell nothing."""
            start = scale * vector.ravel()
            return scale * (
                self._solve_gains(start) + spread @ (strengths @ (spread.T @ start))
            )

        found, size = 0, min(FIRST_UNKNOWN, count - 1)
        vectors, values = np.zeros((count, 0)), np.zeros(0)
        while found == len(values) and size > found:
            whole = sparse.LinearOperator((count, count), matvec=variance)
            start = np.ones(count)
            values, vectors = sparse.eigsh(whole, size, which="LA", v0=start)
            found, size = int((values > TOLD).sum()), min(4 * size, count - 1)
        few: FloatArray = vectors[:, values > TOLD]
        return few.T, (known**2) * (few**2 @ values[values > TOLD])

    @cached_property
    def _mixed(self) -> FloatArray:
        return self.matrix[: self.strengths, self.strengths :]

    @cached_property
    def _gain_factor(self) -> Any:
        return _cholesky(self.matrix[self.strengths :, self.strengths :])

    def _solve_gains(self, right: FloatArray) -> FloatArray:
        return _solve(self._gain_factor, right)

    @cached_property
    def _from_strengths(self) -> FloatArray:
        """How gains follow strengths, with the sign changed, (n_gains, n_strengths)."""
        return self._solve_gains(self._mixed.T)

    @cached_property
    def _scale(self) -> FloatArray:
        diagonal = np.diag(self.matrix)[: self.strengths]
        if np.any(diagonal <= 0):
            raise PlanError("a strength of the fit changes nothing that was measured")
        return 1 / np.sqrt(diagonal)

    @cached_property
    def _spectrum(self) -> tuple[FloatArray, FloatArray]:
        """Eigenvalues, increasing, and eigenvectors of the scaled matrix."""
        n = self.strengths
        reduced = self.matrix[:n, :n] - self._mixed @ self._from_strengths
        scaled = reduced * self._scale * self._scale[:, None]
        values, vectors = np.linalg.eigh((scaled + scaled.T) / 2)
        return values, vectors

    def _pseudo_inverse(self) -> FloatArray:
        values, vectors = self._spectrum
        first = self.strengths - self.kept
        kept = vectors[:, first:] * self._scale[:, None]
        return (kept / values[first:]) @ kept.T


def damped_step(
    matrix: FloatArray, gradient: FloatArray, damping: float, *, scaled: bool
) -> FloatArray:
    """Return the step of a Levenberg-Marquardt iteration, (n,).

    Args:
        matrix: J'J with priors.
        gradient: J'r with priors.
        damping: λ.
        scaled: Whether λ multiplies the diagonal (Marquardt), or the unit matrix
            times the mean of the diagonal (Levenberg).
    """
    diagonal = np.diag(matrix)
    added = damping * (diagonal if scaled else np.full(len(matrix), diagonal.mean()))
    return _solve(_cholesky(matrix + np.diag(added)), gradient)


def _cholesky(matrix: FloatArray) -> Any:
    """Return the factor of a positive matrix, None of an empty one."""
    return linalg.cho_factor(matrix) if len(matrix) else None


def _solve(factor: Any, right: FloatArray) -> FloatArray:
    if factor is None:
        return right
    return np.asarray(linalg.cho_solve(factor, right), dtype=np.float64)
