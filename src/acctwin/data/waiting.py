"""What waits in the journals of a store, and its delivery to Tiled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acctwin.data.folders import (
    DONE,
    OPEN,
    REFUSED,
    FileLock,
    StoreFolder,
    read_json,
)
from acctwin.data.frames import count_frames
from acctwin.data.journal import start_time
from acctwin.data.room import low_disk
from acctwin.data.store import WAIT_S, Store
from acctwin.errors import DataError


@dataclass(frozen=True)
class Waiting:
    """What waits in the journal of one session.

    Attributes:
        session: Name of the session.
        is_open: Whether the session lives; the runs of a dead one are taken over.
        runs: Runs that have ended and are not in Tiled.
        open_runs: Runs without a stop document.
        refused: Runs that Tiled would not take.
        documents: Documents in all of these.
        bytes: Their size.
        age_s: Since the oldest of these runs started [s].
        error: What last kept them from Tiled; empty if nothing did.
    """

    session: str
    is_open: bool
    runs: int
    open_runs: int
    refused: int
    documents: int
    bytes: int
    age_s: float
    error: str

    @property
    def is_stuck(self) -> bool:
        """Whether something has still to be delivered."""
        return self.runs > 0 or (self.open_runs > 0 and not self.is_open)


def waiting(folder: StoreFolder) -> list[Waiting]:
    """Return what waits in each journal of a store that holds any run, by name."""
    homes = sorted(path for path in folder.journals.glob("*") if path.is_dir())
    found = [_look(home) for home in homes]
    return [item for item in found if item.runs or item.open_runs or item.refused]


def deliver(
    where: str | Path,
    timeout_s: float = WAIT_S,
    tell: Callable[[list[Waiting]], None] | None = None,
) -> list[Waiting]:
    """Bring to Tiled what waits in all journals of a store.

    The journals of dead sessions are taken over, their open runs closed as aborted,
    and what Tiled refused is tried again.

    Args:
        where: The store, as for `Store.open`.
        timeout_s: How long to wait [s].
        tell: Called with what waits whenever that has changed.

    Returns:
        What is left: open runs of other sessions, and what Tiled refused.

    Raises:
        DataError: Not all was delivered in time; nothing is lost.
    """
    with Store.open(where) as store:
        last: list[tuple[str, int, int, int]] = []

        def is_delivered() -> bool:
            nonlocal last
            left = waiting(store.folder)
            now = [(x.session, x.runs, x.open_runs, x.refused) for x in left]
            if now != last and tell is not None:
                tell(left)
            last = now
            return not any(item.is_stuck for item in left)

        is_delivered()
        store.connect(timeout_s)
        if store.wait(is_delivered, timeout_s):
            return waiting(store.folder)
        stuck = [item for item in waiting(store.folder) if item.is_stuck]
    reasons = "; ".join(sorted({item.error for item in stuck if item.error}))
    raise DataError(
        f"{sum(item.runs + item.open_runs for item in stuck)} runs are not in Tiled "
        f"after {timeout_s:g} s ({reasons or 'still uploading'}). They are safe in "
        f"{store.folder.journals}, and the next session on this store goes on."
    )


def _look(home: Path) -> Waiting:
    files = {suffix: list(home.glob(f"*{suffix}")) for suffix in (OPEN, DONE, REFUSED)}
    every = [path for paths in files.values() for path in paths]
    status = read_json(home / "status.json")
    # On a full disk the service cannot even say so.
    reasons = [
        low_disk(home),
        status.get("error") or "",
        *status.get("refused", {}).values(),
    ]
    return Waiting(
        session=home.name,
        is_open=_is_open(home),
        runs=len(files[DONE]),
        open_runs=len(files[OPEN]),
        refused=len(files[REFUSED]),
        documents=sum(count_frames(path) for path in every),
        bytes=sum(path.stat().st_size for path in every if path.exists()),
        age_s=max((time.time() - start_time(path) for path in every), default=0.0),
        error="; ".join(reason for reason in reasons if reason),
    )


def _is_open(home: Path) -> bool:
    lock = FileLock(home / "session.lock")
    if not lock.path.exists():
        return False
    is_free = lock.acquire()
    lock.release()
    return not is_free
