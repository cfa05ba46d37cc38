"""Documents as JSON, names for other programs, files that are whole or not there."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from acctwin.errors import DataError


def to_plain(value: Any) -> Any:
    """Return a document value as JSON knows it.

    Arrays are lists, and a number that JSON has not is a word: ``"NaN"``,
    ``"Infinity"``, ``"-Infinity"``.
    """
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("-" * (value < 0)) + "Infinity"
    if isinstance(value, complex):
        return to_plain([value.real, value.imag])
    if isinstance(value, bytes):
        return value.hex()
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a document value in JSON."""
    return json.dumps(to_plain(value), indent=indent, ensure_ascii=False)


def iso_time(time_s: float) -> str:
    """Return a time in ISO 8601, in UTC.

    Args:
        time_s: [s since 1970].
    """
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds")


def unique_names(
    keys: Iterable[str], valid: Callable[[str], str], taken: Iterable[str] = ()
) -> dict[str, str]:
    """Return a name for each key that another program takes, no name twice.

    Args:
        keys: The keys.
        valid: Returns a name that the program takes, for any key.
        taken: Names that are in use already.
    """
    used, found = set(taken), dict[str, str]()
    for key in keys:
        name, number = valid(key), 1
        while name in used:
            number += 1
            ending = f"_{number}"
            name = valid(key)[: 63 - len(ending)] + ending
        used.add(name)
        found[key] = name
    return found


@contextmanager
def new_path(path: str | Path) -> Iterator[Path]:
    """Give a path to write to that gets its own name when all went well.

    Args:
        path: Where the file or folder is to be.

    Raises:
        DataError: There is something already, or it cannot be written.
    """
    wanted = Path(path)
    if wanted.exists():
        raise DataError(f"{wanted} exists; choose another --out, or remove it first")
    part = wanted.with_name(f".{wanted.name}.part")
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        yield part
        part.replace(wanted)
    except OSError as error:
        raise DataError(
            f"cannot write {wanted}: {error.strerror or error}; choose another --out"
        ) from error
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
