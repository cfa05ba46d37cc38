"""Runs whose process died before their stop document."""

from __future__ import annotations

import os
from pathlib import Path

from acctwin.data.frames import encode_frame
from acctwin.data.journal import JournalReader, finish_file
from acctwin.data.stops import aborted_stop
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
            file.write(encode_frame("stop", aborted_stop(documents)))
        file.flush()
        os.fsync(file.fileno())
    return finish_file(path)
