"""The data layer: journal, upload to Tiled, and runs as arrays."""

from acctwin.data.journal import Journal, read_journal
from acctwin.data.replay import documents, replay
from acctwin.data.runs import Run, Stream
from acctwin.data.store import Store
from acctwin.data.summaries import RunSummary, summaries

__all__ = [
    "Journal",
    "Run",
    "RunSummary",
    "Store",
    "Stream",
    "documents",
    "read_journal",
    "replay",
    "summaries",
]
