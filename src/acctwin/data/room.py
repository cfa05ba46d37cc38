"""Room on the disk: a reserve to close runs with, and a limit for what waits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from acctwin.data.folders import DONE, OPEN, REFUSED
from acctwin.errors import DataError

RESERVE_BYTES = 64 * 1024
"""Kept free for the stop documents of open runs."""
FREE_BYTES = 10_000_000
"""With less on its disk a store cannot do its work."""
WAITING_BYTES = 10_000_000_000
"""What may wait for Tiled in a store if the profile does not say."""


def low_disk(folder: Path) -> str:
    """Return a sentence when the disk of a folder is nearly full, else nothing."""
    free = shutil.disk_usage(folder).free
    if free >= FREE_BYTES:
        return ""
    return (
        f"only {free / 1e6:.1f} MB are free on the disk of {folder}, "
        f"{FREE_BYTES / 1e6:.0f} MB are needed"
    )


class Reserve:
    """A file that takes room from the disk, to be given back when it is full."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def take(self) -> None:
        """Make the file if it is not there.

        Raises:
            OSError: The disk is full.
        """
        if self.path.exists():
            return
        try:
            # Random bytes take their room on file systems that compress, too.
            self.path.write_bytes(os.urandom(RESERVE_BYTES))
        except OSError:
            self.free()
            raise

    def free(self) -> None:
        """Give the room back."""
        self.path.unlink(missing_ok=True)


class Backlog:
    """What waits for Tiled in all journals of a store, and how much may.

    Looks at the files when a run starts and when the limit seems to be reached;
    in between it counts what this process writes.
    """

    def __init__(self, journals: Path, limit: int = WAITING_BYTES) -> None:
        self._journals, self._limit = journals, limit
        self._bytes = 0

    def look(self) -> None:
        """Count what waits in the files."""
        self._bytes = sum(_size(path) for path in waiting_files(self._journals))

    def add(self, size: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            DataError: More would wait than is allowed.
        """
        if self._bytes + size > self._limit:
            self.look()
        if self._bytes + size > self._limit:
            raise DataError(
                f"{self._bytes / 1e6:.1f} MB wait for the Tiled server, and the "
                f"limit is {self._limit / 1e6:.1f} MB: the server is away or slow. "
                "`acctwin data status` says why; data.waiting_mb in the profile is "
                "the limit"
            )
        self._bytes += size


def waiting_files(journals: Path) -> Iterator[Path]:
    """Yield the files of runs in all journals of a store that Tiled does not have."""
    for suffix in (OPEN, DONE, REFUSED):
        yield from journals.glob(f"*/*{suffix}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # uploaded meanwhile
