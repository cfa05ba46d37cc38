"""Runs whose process died before their stop document."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acctwin.data.journal import Document, JournalReader, encode_frame, finish_file
from acctwin.errors import DataError


def adopt_orphan(path: Path) -> Path:
    """Finish the file of a run whose process died: cut the torn end, add a stop.

    Args:
        path: ``<uid>.run`` that nobody writes any more.

    Returns:
        The finished file.

    Raises:
        DataError: There is not even a start document.
    """
    reader = JournalReader(path)
    documents = list(reader.new_documents())
    if not documents:
        raise DataError(f"the journal {path} has no start document")
    with path.open("r+b") as file:
        file.truncate(reader.offset)
        file.seek(reader.offset)
        if documents[-1][0] != "stop":
            file.write(encode_frame("stop", _missing_stop(documents)))
        file.flush()
        os.fsync(file.fileno())
    return finish_file(path)


def _missing_stop(documents: Iterable[Document]) -> dict[str, Any]:
    """Return a stop document for a run whose process died."""
    events: Counter[str] = Counter()
    streams: dict[str, str] = {}
    start: dict[str, Any] = {}
    last = time.time()
    for name, doc in documents:
        last = doc.get("time", last)
        if name == "start":
            start = doc
        elif name == "descriptor":
            streams[doc["uid"]] = doc["name"]
        elif name == "event":
            events[streams[doc["descriptor"]]] += 1
        elif name == "event_page":
            events[streams[doc["descriptor"]]] += len(doc["seq_num"])
    return {
        "uid": str(uuid.uuid4()),
        "time": last if isinstance(last, float) else time.time(),
        "run_start": start["uid"],
        "exit_status": "fail",
        "reason": "the session ended before the run did; stop added from the journal",
        "num_events": {name: events[name] for name in streams.values()},
    }
