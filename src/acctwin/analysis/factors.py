"""How strengths change an orbit response, without a number for each of its elements.

A gradient in one element changes the response by a product of what monitors see of a
change there and what actuators do to the orbit there: a matrix of low rank. For a
large ring the factors are a hundred times smaller than the derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class Factors:
    """d(orbit response)/d(strength): for each strength a sum of left·right.

    Attributes:
        owner: Which strength each element belongs to, (n_elements,), increasing.
        left: x at all monitors, then y, (n_elements, 2·n_monitors, rank).
        right: (n_elements, rank, n_actuators).
        strengths: How many strengths there are.
    """

    owner: IntArray
    left: FloatArray
    right: FloatArray
    strengths: int

    @property
    def is_single(self) -> bool:
        """Whether each strength is that of one element."""
        return np.array_equal(self.owner, np.arange(self.strengths))

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum over the elements of each strength, (n_elements, …) to (n, …)."""
        if self.is_single:
            return values
        result = np.zeros((self.strengths, *values.shape[1:]))
        np.add.at(result, self.owner, values)
        return result

    def dense(self) -> FloatArray:
        """Return all derivatives, (2·n_monitors, n_actuators, n_strengths)."""
        products = self.sums(self.left @ self.right)
        return np.ascontiguousarray(products.transpose(1, 2, 0))


def joined(first: Factors, second: Factors) -> Factors:
    """Return the factors of the strengths of both."""
    rank = max(first.left.shape[2], second.left.shape[2])
    parts = [_padded(part, rank) for part in (first, second)]
    return Factors(
        np.concatenate([first.owner, second.owner + first.strengths]),
        np.concatenate([left for left, _ in parts]),
        np.concatenate([right for _, right in parts]),
        first.strengths + second.strengths,
    )


def merged(first: Factors, second: Factors) -> Factors:
    """Return the factors of the same strengths, each in one of them.

    Args:
        first: Of some strengths.
        second: Of the others.
    """
    both = joined(first, second)
    owner = np.concatenate([first.owner, second.owner])
    order = np.argsort(owner, kind="stable")
    left, right = both.left[order], both.right[order]
    return Factors(owner[order], left, right, first.strengths)


def _padded(factors: Factors, rank: int) -> tuple[FloatArray, FloatArray]:
    more = rank - factors.left.shape[2]
    return (
        np.pad(factors.left, ((0, 0), (0, 0), (0, more))),
        np.pad(factors.right, ((0, 0), (0, more), (0, 0))),
    )
