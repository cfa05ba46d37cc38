"""The data layer: journal, upload to Tiled, and runs as arrays."""

from acctwin.data.dataset import dataset
from acctwin.data.journal import Journal, read_journal
from acctwin.data.replay import documents, replay
from acctwin.data.runs import Run, Stream
from acctwin.data.search import search
from acctwin.data.store import Store
from acctwin.data.summaries import RunSummary, summaries

__all__ = [
    "Journal",
    "Run",
    "RunSummary",
    "Store",
    "Stream",
    "dataset",
    "documents",
    "read_journal",
    "replay",
    "search",
    "summaries",
]
