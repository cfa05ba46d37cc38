"""Arrays from outside: the right length, finite, and names in the complaint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from acctwin.errors import AcctwinError, CalibrationError, LimitError
from acctwin.names import FloatArray, IntArray


def numbers(
    values: ArrayLike, names: Sequence[str], what: str, unit: str = ""
) -> FloatArray:
    """Return setpoints, one finite number for each name, (n,).

    Raises:
        LimitError: It is something else.
    """
    return _finite(_array(values, what), names, what, unit, LimitError)


def parameters(
    values: ArrayLike, names: Sequence[str], what: str, unit: str = ""
) -> FloatArray:
    """Return one finite number for each name, (n,); one number stands for all.

    Raises:
        CalibrationError: It is something else.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 1:
        array = np.repeat(array.ravel(), len(names))
    return _finite(array, names, what, unit, CalibrationError)


def indices(which: ArrayLike, names: Sequence[str]) -> IntArray:
    """Return indices into names, (k,), none of them twice.

    Raises:
        LimitError: There is no such index, or it is there twice.
    """
    array = np.atleast_1d(np.asarray(which))
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise LimitError(f"wanted the indices of magnets, found {which!r}")
    if array.min() < 0 or array.max() >= len(names):
        raise LimitError(
            f"magnets are numbered 0 to {len(names) - 1}; "
            f"found {array.min()} to {array.max()}"
        )
    if len(array) > 1 and np.bincount(array).max() > 1:
        twice = names[int(np.argmax(np.bincount(array) > 1))]
        raise LimitError(f"{twice} is to be set twice at once; nothing was moved")
    return array.astype(np.int64, copy=False)


def _array(values: ArrayLike, what: str) -> FloatArray:
    try:
        return np.atleast_1d(np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise LimitError(f"{what}: {values!r} is not a number") from error


def _finite(
    array: FloatArray,
    names: Sequence[str],
    what: str,
    unit: str,
    error: type[AcctwinError],
) -> FloatArray:
    if array.shape != (len(names),):
        raise error(f"wanted a {what} for each of {len(names)}, found {array.shape}")
    if not np.isfinite(array).all():
        i = int(np.argmin(np.isfinite(array)))
        raise error(f"{names[i]}: {what} {array[i]} {unit}".rstrip() + " is no number")
    return array
