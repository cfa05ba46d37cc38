"""A list of runs: what ``acctwin runs`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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


def summaries(
    catalog: Any,
    *,
    plan_name: str | None = None,
    profile: str | None = None,
    since: float | None = None,
    until: float | None = None,
    limit: int = 20,
) -> list[RunSummary]:
    """Return the newest runs of a catalog, newest first.

    Args:
        catalog: Tiled client of the runs.
        plan_name: Only runs of this plan.
        profile: Only runs of this profile.
        since: Only runs that started at this time [s since 1970] or later.
        until: Only runs that started before this time [s since 1970].
        limit: At the most so many.
    """
    from bluesky_tiled_plugins.queries import TimeRange
    from tiled.queries import Key

    wanted = {"plan_name": plan_name, "profile": profile}
    for key, value in wanted.items():
        if value is not None:
            catalog = catalog.search(Key(key) == value)
    if since is not None or until is not None:
        catalog = catalog.search(TimeRange(since=since, until=until))
    newest = catalog.sort(("start.time", -1)).values()[:limit]
    return [
        RunSummary.from_metadata(run.metadata["start"], run.metadata.get("stop"))
        for run in newest
    ]
