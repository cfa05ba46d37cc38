"""A sparse matrix as three arrays: which supply feeds which magnet, and how much.

It does the little that is needed here, in a few microseconds, without the 0.15 s that
importing scipy's sparse matrices takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from acctwin.errors import CalibrationError
from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Links:
    """Entries of a matrix; entries at the same place add up.

    Attributes:
        rows: Row of each entry, (k,).
        columns: Column of each entry, (k,).
        values: Each entry, (k,).
        shape: Numbers of rows and columns.
    """

    rows: IntArray
    columns: IntArray
    values: FloatArray
    shape: tuple[int, int]

    @classmethod
    def of(
        cls, entries: Iterable[tuple[int, int, float]], shape: tuple[int, int]
    ) -> Links:
        """Return the matrix of entries (row, column, value).

        Raises:
            CalibrationError: An entry is outside the shape, or not finite.
        """
        found = np.array(list(entries), dtype=np.float64).reshape(-1, 3)
        places = found[:, :2].astype(np.int64)
        if not np.isfinite(found).all():
            raise CalibrationError("a weight is not a finite number")
        if (places < 0).any() or (places >= shape).any():
            raise CalibrationError(f"a weight is outside the shape {shape}")
        return cls(places[:, 0].copy(), places[:, 1].copy(), found[:, 2].copy(), shape)

    def times(self, vector: FloatArray) -> FloatArray:
        """Return matrix · vector, (n_rows,)."""
        products = self.values * vector[self.columns]
        total = np.bincount(self.rows, weights=products, minlength=self.shape[0])
        return total.astype(np.float64, copy=False)

    def scaled(self, rows: FloatArray, columns: FloatArray) -> Links:
        """Return diag(rows) · matrix · diag(columns)."""
        values = rows[self.rows] * self.values * columns[self.columns]
        return Links(self.rows, self.columns, values, self.shape)

    def dense(self) -> FloatArray:
        """Return the whole matrix, shape ``shape``."""
        matrix = np.zeros(self.shape)
        np.add.at(matrix, (self.rows, self.columns), self.values)
        return matrix

    def entries(self) -> list[tuple[int, int, float]]:
        """Return the entries (row, column, value)."""
        return list(
            zip(
                self.rows.tolist(),
                self.columns.tolist(),
                self.values.tolist(),
                strict=True,
            )
        )
