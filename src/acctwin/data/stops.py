"""Stop documents of runs that did not end as they should."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

CUT_OFF = "the session ended before the run did; stop added from the journal"


def count_events(documents: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    """Return the number of events of each stream, by name; streams without any too."""
    events: Counter[str] = Counter()
    streams: dict[str, str] = {}
    for name, doc in documents:
        if name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event":
            events[streams[doc["descriptor"]]] += 1
        elif name == "event_page":
            events[streams[doc["descriptor"]]] += len(doc["seq_num"])
    return {name: events[name] for name in streams.values()}


def aborted_stop(documents: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return a stop document for a run whose process died."""
    last = [doc["time"] for _, doc in documents if isinstance(doc.get("time"), float)]
    return {
        "uid": str(uuid.uuid4()),
        "time": last[-1] if last else time.time(),
        "run_start": documents[0][1]["uid"],
        "exit_status": "abort",
        "reason": CUT_OFF,
        "num_events": count_events(documents),
    }


def failed_stop(
    stop: dict[str, Any],
    documents: Iterable[tuple[str, dict[str, Any]]],
    reason: str,
) -> dict[str, Any]:
    """Return the stop document of a run that could not be written whole.

    Args:
        stop: As the RunEngine made it.
        documents: What was written.
        reason: Why the rest was not.
    """
    status = stop.get("exit_status")
    return {
        **stop,
        "exit_status": status if status in {"fail", "abort"} else "fail",
        "reason": stop.get("reason") or reason,
        "num_events": count_events(documents),
    }
