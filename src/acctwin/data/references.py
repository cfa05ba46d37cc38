"""References: which run is the "golden" one of its kind, and which were before.

A promotion is a run of its own, without events: its start document says which run
is the reference from now on. So references go the way of all data, through the
journal to Tiled, and their history is a search.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from acctwin.data.folders import DONE, REFUSED, UPLOADED
from acctwin.data.journal import JournalReader
from acctwin.data.store import Store
from acctwin.errors import DataError
from acctwin.names import Mode

log = logging.getLogger(__name__)

#: How long a session that has promoted nothing waits for the Tiled server [s].
DEADLINE_S = 90.0

Action: TypeAlias = Literal["promote", "roll_back"]


@dataclass(frozen=True)
class Promotion:
    """One change of a reference.

    Attributes:
        uid: The run that is the reference from then on; empty: none is.
        kind: Of which kind: ``"orbit"``, ``"orbit_response"``, ``"machine"``, …
        action: ``"promote"``, or ``"roll_back"`` to the one before.
        time: When [s since 1970].
        operator: Who did it.
        reason: Why, in their words.
        promotion: The run that says all this.
    """

    uid: str
    kind: str
    action: Action
    time: float
    operator: str
    reason: str
    promotion: str

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> Promotion:
        """Return what the start document of a promotion says."""
        said = start["reference"]
        return cls(
            uid=said["uid"],
            kind=said["kind"],
            action=said["action"],
            time=start["time"],
            operator=start.get("operator", ""),
            reason=said["reason"],
            promotion=start["uid"],
        )


def previous(history: Sequence[Promotion]) -> str:
    """Return the reference that a roll-back goes to, empty if there is none.

    A roll-back takes the newest promotion away, the next one the promotion before
    that: what was rolled back does not come back by rolling back again.

    Args:
        history: Of one kind, oldest first.
    """
    standing: list[str] = []
    for change in history:
        if change.action == "promote":
            standing.append(change.uid)
        elif standing:
            standing.pop()
    return standing[-2] if len(standing) > 1 else ""


class References:
    """The references of one machine in one operational mode.

    What is in the journals of this store is known at once; the rest is in Tiled. A
    session that has promoted something of a kind itself does not wait for a Tiled
    server that is still starting; any other waits, up to a deadline. Where both hold
    promotions the newest counts.

    Args:
        store: Where the runs are.
        machine: Name of the machine's profile.
        operational_mode: Name of its optics mode.
        mode: Of the real machine, or the simulated one: neither is a reference for
            the other.
        deadline_s: How long to wait for the Tiled server [s].

    Attributes:
        is_frozen: They can be used and not changed, as on a run that is replayed.
    """

    def __init__(
        self,
        store: Store,
        machine: str,
        operational_mode: str,
        *,
        mode: Mode = "physics",
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self.machine, self.operational_mode = machine, operational_mode
        self.mode: Mode = mode
        self.is_frozen = False
        self._store, self._deadline_s = store, deadline_s
        self._read: dict[str, dict[str, Any] | None] = {}

    def current(self, kind: str) -> str | None:
        """Return the uid of the reference of a kind, None when there is none.

        Raises:
            DataError: Tiled cannot be asked within the deadline.
        """
        history = self.history(kind)
        return history[-1].uid or None if history else None

    def history(self, kind: str) -> list[Promotion]:
        """Return all promotions and roll-backs of a kind, oldest first.

        Raises:
            DataError: Tiled cannot be asked within the deadline.
        """
        home = self._store.journal.folder
        found: dict[str, Promotion] = {}
        is_ours = False
        for folder, start in self._journaled():
            if self._is_of(start, kind):
                found[start["uid"]] = Promotion.from_start(start)
                is_ours = is_ours or folder == home
        for start in self._stored(kind, wait=not is_ours):
            found[start["uid"]] = Promotion.from_start(start)
        return sorted(found.values(), key=lambda change: change.time)

    def _is_of(self, start: Mapping[str, Any], kind: str) -> bool:
        said = start["reference"]
        wanted = (self.machine, self.operational_mode, kind)
        found = (said["machine"], said["operational_mode"], said["kind"])
        return found == wanted and start.get("mode", "physics") == self.mode

    def _stored(self, kind: str, *, wait: bool) -> list[Mapping[str, Any]]:
        """Return the start documents of the promotions that Tiled has."""
        import httpx

        is_needed = wait and not self._store.is_new
        try:
            catalog = self._store.connect(self._deadline_s if is_needed else 0.0)
            return self._search(catalog, kind)
        except (DataError, httpx.HTTPError) as error:
            if is_needed:
                raise DataError(
                    f"the {kind} reference of {self.machine} "
                    f"({self.operational_mode}) is not known: {error}\nGive the plan "
                    "what it should use, or try again when the server is back."
                ) from error
            log.debug("only the journals were asked for references: %s", error)
            return []

    def _search(self, catalog: Any, kind: str) -> list[Mapping[str, Any]]:
        from tiled.queries import Key

        said = {
            "machine": self.machine,
            "operational_mode": self.operational_mode,
            "kind": kind,
        }
        for name, value in said.items():
            catalog = catalog.search(Key(f"reference.{name}") == value)
        found = [run.metadata for run in catalog.values()]
        starts = [run["start"] for run in found if _succeeded(run.get("stop"))]
        return [start for start in starts if self._is_of(start, kind)]

    def _journaled(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield journal folder and start document of promotions not only in Tiled."""
        for path in _finished_runs(self._store.folder.journals):
            if path.stem not in self._read:
                try:
                    self._read[path.stem] = _promotion_in(path)
                except FileNotFoundError:
                    continue  # uploaded and dropped since it was seen: Tiled has it
            start = self._read[path.stem]
            if start is not None:
                folder = path.parent
                yield folder.parent if folder.name == UPLOADED else folder, start


def _finished_runs(journals: Path) -> Iterator[Path]:
    """Yield the files of runs that have stopped, of all sessions of a store."""
    # In the order in which a file is moved: none is missed.
    for pattern in (f"*/*{DONE}", f"*/*{REFUSED}", f"*/{UPLOADED}/*{DONE}"):
        yield from journals.glob(pattern)


def _promotion_in(path: Path) -> dict[str, Any] | None:
    """Return the start document of a promotion, None for any other run."""
    documents = JournalReader(path).new_documents()
    _, start = next(documents, ("", {}))
    if "reference" not in start:
        return None
    stops = [doc for name, doc in documents if name == "stop"]
    return start if stops and _succeeded(stops[-1]) else None


def _succeeded(stop: Mapping[str, Any] | None) -> bool:
    return stop is not None and stop["exit_status"] == "success"
