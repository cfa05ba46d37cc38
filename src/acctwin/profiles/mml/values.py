"""Values of a .mat file: as plain Python, and as one number or row for each device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from acctwin.names import FloatArray


def plain(value: Any) -> Any:
    """Return a value of a .mat file as Matlab had it, without the wrapping.

    A struct becomes a dict, a struct array or a cell array a list, text a string, or
    a list of them. Numbers stay arrays of two dimensions, so that a row is a row.
    """
    if not isinstance(value, np.ndarray):
        return value
    array = cast("np.ndarray[Any, Any]", value)
    if array.dtype.names:
        structs = [
            {name: plain(item[name]) for name in array.dtype.names}
            for item in np.asarray(array).ravel(order="F")
        ]
        return structs[0] if len(structs) == 1 else structs
    if array.dtype.kind == "U":
        words = [str(word) for word in array.ravel()]
        return words[0] if len(words) == 1 else words
    if array.dtype == object:
        return [plain(item) for item in np.asarray(array).ravel(order="F")]
    return np.asarray(array)


def texts(value: Any) -> list[str]:
    """Return the words of a string, a character matrix, or a cell array of strings."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [item.strip() for item in items if isinstance(item, str)]


def text(value: Any) -> str:
    """Return one string; empty if there is none."""
    return (texts(value) or [""])[0]


def function_name(value: Any) -> str:
    """Return the name of a function that is given as text or as a handle."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return function_name(fields.get("function_handle", fields.get("function", "?")))
    return text(value).removeprefix("@")


def matrix(value: Any, rows: int) -> FloatArray | None:
    """Return numbers with a row for each device, (rows, k); None if they do not fit.

    A single row, or a single number, is for all devices.
    """
    if not isinstance(value, np.ndarray | float | int):
        return None
    given = np.atleast_2d(np.asarray(value))
    if given.dtype.kind not in "biuf" or given.ndim != 2 or not given.size:
        return None
    if len(given) not in (1, rows):
        return None
    return np.broadcast_to(given, (rows, given.shape[1])).astype(np.float64)


def column(value: Any, rows: int) -> list[float] | None:
    """Return a number for each device; None if they do not fit."""
    given = matrix(value, rows)
    if given is not None and given.shape[1] == rows > 1 and np.shape(value)[0] == 1:
        return [float(number) for number in given[0]]
    if given is None or given.shape[1] != 1:
        return None
    return [float(number) for number in given[:, 0]]


def pairs(value: Any, rows: int) -> list[tuple[float, float]] | None:
    """Return two numbers for each device, the lower first; None if they do not fit."""
    given = matrix(value, rows)
    if given is None or given.shape[1] != 2:
        return None
    return [(float(low), float(high)) for low, high in np.sort(given, axis=1)]


def indices(value: Any, rows: int) -> list[tuple[int, ...]] | None:
    """Return the lattice indices of each device, sorted; None if they do not fit.

    A device that has fewer than others is padded with NaN or 0 in Matlab.
    """
    if isinstance(value, list):
        cells = cast("list[Any]", value)
        lists = [np.ravel(item) for item in cells] if len(cells) == rows else None
    else:
        found = None if np.size(value) < rows else matrix(value, rows)
        lists = None if found is None else list(found)
        if lists and rows > 1 and np.shape(value) == (1, rows):
            lists = [np.array([number]) for number in lists[0]]
    if lists is None:
        return None
    return [
        tuple(sorted({int(i) for i in row if math.isfinite(i) and i >= 1}))
        for row in lists
    ]
