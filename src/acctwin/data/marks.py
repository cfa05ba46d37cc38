"""Which devices were marked good or bad, kept from one session to the next."""

from __future__ import annotations

import json
import os
from pathlib import Path

from acctwin.errors import DataError


def marks_file(store: Path, profile: str) -> Path:
    """Return where a store keeps the marks of one machine."""
    return store / "status" / f"{profile}.json"


def load_marks(path: Path) -> dict[str, bool]:
    """Return the marks of a file, none when there is no file.

    Raises:
        DataError: The file is not what :func:`save_marks` writes.
    """
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(good, bool) for good in found.values()):
            raise TypeError("values are true or false")
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} should hold device names with true or false ({error}); mend it, "
            "or remove it to use the status of the profile"
        ) from error
    return found


def save_marks(path: Path, marks: dict[str, bool]) -> None:
    """Write marks so that a reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}.tmp")
    half.write_text(json.dumps(marks, indent=1, sort_keys=True), encoding="utf-8")
    half.replace(path)
