"""A list of runs: what ``acctwin runs`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acctwin.data.search import search


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs.

    Attributes:
        uid: Identity of the run.
        scan_id: Its number in the session, None when it has none.
        plan_name: The plan that made it.
        profile: The machine's profile.
        time: When it started [s since 1970].
        exit_status: ``success``, ``abort`` or ``fail``; ``open`` without a stop.
        events: Number of events in all streams.
    """

    uid: str
    scan_id: int | None
    plan_name: str
    profile: str
    time: float
    exit_status: str
    events: int

    @classmethod
    def from_metadata(cls, start: Mapping[str, Any], stop: Mapping[str, Any] | None):
        """Summarise a run from its start document and its stop document."""
        stop = stop or {"exit_status": "open"}
        return cls(
            uid=start["uid"],
            scan_id=start.get("scan_id"),
            plan_name=start.get("plan_name", ""),
            profile=start.get("profile", ""),
            time=start["time"],
            exit_status=stop["exit_status"],
            events=sum((stop.get("num_events") or {}).values()),
        )


def summaries(catalog: Any, *, limit: int = 20, **wanted: Any) -> list[RunSummary]:
    """Return the newest runs of a catalog, newest first.

    Args:
        catalog: Tiled client of the runs.
        limit: At the most so many.
        wanted: What they must have; see :func:`acctwin.data.search.search`.
    """
    found = search(catalog, **wanted).sort(("start.time", -1)).values()[:limit]
    return [
        RunSummary.from_metadata(run.metadata["start"], run.metadata.get("stop"))
        for run in found
    ]
