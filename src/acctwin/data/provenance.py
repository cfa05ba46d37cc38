"""Where a run comes from: what was run, on which machine, with what, from what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from acctwin.data.facts import Facts
from acctwin.data.replay import run_documents
from acctwin.data.runs import Run


def provenance(run: Run, derived: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what is known of a run, for people and for scripts.

    Args:
        run: The run.
        derived: uids of the runs that it went into.

    Returns:
        Plain words, numbers and lists by topic, in an order to read.
    """
    start, stop = run.start, run.stop or {}
    facts = Facts()
    for name, doc in run_documents(run):
        facts.add(name, doc)
    found = facts.metadata()
    return {
        "run": {
            "uid": run.uid,
            "scan_id": start.get("scan_id"),
            "plan": start.get("plan_name"),
            "time": f"{datetime.fromtimestamp(start['time']):%Y-%m-%d %H:%M:%S}",
            "operator": start.get("operator"),
            "exit_status": stop.get("exit_status", "open"),
            "reason": stop.get("reason") or "",
            "events": dict(stop.get("num_events") or {}),
        },
        "arguments": dict(start.get("plan_args") or {}),
        "again": f"acctwin data repeat {run.uid[:8]}" if "call" in start else "",
        "machine": {
            key: start.get(key)
            for key in (
                "profile",
                "operational_mode",
                "mode",
                "backends",
                "seed",
                "energy",
                "profile_hash",
                "lattice_hash",
            )
        },
        "setpoints": _setpoints(run),
        "moved": found["moved"],
        "results": found["results"],
        "derived_from": list(start.get("derived_from") or ()),
        "derived": list(derived),
        "software": _software(start),
    }


def _setpoints(run: Run) -> dict[str, int]:
    """Return how many setpoints of each family are in the baseline."""
    if "baseline" not in run.streams:
        return {}
    stream = run["baseline"]
    return {
        key: int(np.prod(stream[key].shape[1:], dtype=int))
        for key in stream.names
        if not key.endswith("_readback")
    }


def _software(start: Mapping[str, Any]) -> dict[str, str]:
    packages = start.get("versions_of") or {}
    return {"acctwin": str(start.get("acctwin_version", "")), **packages}
