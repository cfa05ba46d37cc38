"""Values of a .mat file as plain lists: Matlab squeezes, pads and mixes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from acctwin.names import FloatArray


def texts(value: Any) -> list[str]:
    """Return the words of a string, a character matrix, or a cell array of strings."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    found: list[str] = []
    for item in np.asarray(value, dtype=object).ravel().tolist():
        found += [item.strip()] if isinstance(item, str) else []
    return found


def text(value: Any) -> str:
    """Return one string; empty if there is none."""
    return (texts(value) or [""])[0]


def matrix(value: Any, rows: int) -> FloatArray | None:
    """Return numbers with a row for each device, (rows, k); None if they do not fit.

    A single row, or a single number, is for all devices.
    """
    if value is None or isinstance(value, str | Mapping):
        return None
    try:
        given = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if given.size == 0:
        return None
    if given.ndim == 0:
        return np.full((rows, 1), float(given))
    if given.ndim == 1:
        given = given.reshape(rows, -1) if given.size % rows == 0 else given[None, :]
        if len(given) == rows:
            return given
    if given.ndim != 2 or len(given) not in (1, rows):
        return None
    return np.repeat(given, rows, axis=0) if len(given) == 1 else given


def column(value: Any, rows: int) -> list[float] | None:
    """Return a number for each device; None if they do not fit."""
    given = matrix(value, rows)
    if given is None or given.shape[1] != 1:
        return None
    return [float(number) for number in given[:, 0]]


def pairs(value: Any, rows: int) -> list[tuple[float, float]] | None:
    """Return two numbers for each device, the lower first; None if they do not fit."""
    if rows > 1 and np.shape(value) == (2,) and rows != 2:
        value = [value]
    given = matrix(value, rows)
    if given is None or given.shape[1] != 2:
        return None
    return [(float(min(row)), float(max(row))) for row in given]


def indices(value: Any, rows: int) -> list[tuple[int, ...]] | None:
    """Return the lattice indices of each device, sorted; None if they do not fit.

    A device that has fewer than others is padded with NaN or 0 in Matlab.
    """
    if isinstance(value, np.ndarray) and value.dtype == object and len(value) == rows:
        lists = [np.atleast_1d(np.asarray(item, dtype=np.float64)) for item in value]
    else:
        given = matrix(value, rows)
        if given is None:
            return None
        lists = list(given)
    return [
        tuple(sorted({int(i) for i in item if math.isfinite(i) and i >= 1}))
        for item in lists
    ]
