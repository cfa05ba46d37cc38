"""Scan ids that go on counting from one session to the next."""

from __future__ import annotations

import fcntl
from pathlib import Path

from acctwin.errors import DataError


def next_scan_id(store: Path) -> int:
    """Return a number that no run of this store has had, from 1.

    Sessions that share a store take turns, so no number is given out twice.

    Args:
        store: Root folder of the store.

    Raises:
        DataError: The counter's file does not hold a number.
    """
    path = store / "scan_id"
    with path.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read().strip() or "0"
        if not text.isdecimal():
            raise DataError(f"{path} should hold the last scan id, not {text[:40]!r}")
        file.truncate(0)
        file.write(str(int(text) + 1))
    return int(text) + 1
