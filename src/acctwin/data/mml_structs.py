"""Structures of Matlab, and what to say when something is missing in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from acctwin.errors import DataError
from acctwin.names import BoolArray, FloatArray, IntArray
from acctwin.profiles.mml.values import text

Struct: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Fields:
    """The fields of a structure, and what to say when one is missing.

    Attributes:
        file: Name of the file.
        name: Name of the structure.
        values: What it holds.
    """

    file: str
    name: str
    values: Struct

    def numbers(self, field: str) -> FloatArray:
        """Return a field as a list of numbers, (n,).

        Raises:
            DataError: It is missing, or empty, or holds no numbers.
        """
        return np.ravel(self.matrix(field))

    def matrix(self, field: str) -> FloatArray:
        """Return numbers as they are.

        Raises:
            DataError: They are missing, or empty, or no numbers.
        """
        found = self.values.get(field)
        if found is None:
            known = ", ".join(sorted(self.values)) or "nothing"
            raise DataError(
                f"{self.file}: {self.name} has no field {field}; it has {known}"
            )
        array = np.asarray(found)
        if array.dtype.kind not in "biuf" or not array.size:
            raise DataError(
                f"{self.file}: {self.name}.{field} is no list of numbers, or empty"
            )
        return array.astype(np.float64)

    def optional(self, field: str) -> FloatArray | None:
        """Return a list of numbers; None if there are none."""
        found = np.ravel(np.asarray(self.values.get(field, []), dtype=object))
        return self.numbers(field) if len(found) else None

    def indices(self, field: str) -> IntArray:
        """Return indices, from 0, (n,).

        Raises:
            DataError: They are missing, or no whole numbers from 1.
        """
        found = self.numbers(field)
        if (found < 1).any() or (found % 1 != 0).any():
            raise DataError(f"{self.file}: {self.name}.{field} are no indices from 1")
        return found.astype(np.int64) - 1

    def good(self, field: str, count: int) -> BoolArray:
        """Return which of some devices a list of places names; all without it.

        Raises:
            DataError: It names a place that there is not.
        """
        if field not in self.values:
            return np.ones(count, dtype=bool)
        result = np.zeros(count, dtype=bool)
        if np.size(self.values[field]):
            places = self.indices(field)
            if places.max() >= count:
                raise DataError(
                    f"{self.file}: {self.name}.{field} names place "
                    f"{places.max() + 1} of {count}"
                )
            result[places] = True
        return result

    def says(self, field: str, default: str) -> bool:
        """Tell whether a field is 'Yes'; without it, what LOCO takes."""
        return (text(self.values.get(field)) or default).lower() == "yes"

    def number(self, field: str, default: float) -> float:
        """Return a number, or what LOCO takes without it."""
        found = self.optional(field)
        return default if found is None else float(found[0])


def steps_of(value: Any) -> list[Struct]:
    """Return a struct array, an entry for each iteration."""
    items = cast("list[Any]", value) if isinstance(value, list) else [value]
    return [cast("Struct", item) for item in items if isinstance(item, dict)]
