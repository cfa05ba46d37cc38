"""From the journal to Tiled: runs are uploaded while they go on, once each.

A run that Tiled has whole is left alone, a part of one is replaced, and a file
leaves the journal only after its run was found whole in Tiled. So it does not
matter where an upload was cut off, or how often it is tried.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acctwin.data.client import without_streaming
from acctwin.data.exact import METADATA, Marker
from acctwin.data.facts import Facts
from acctwin.data.folders import DONE, OPEN, REFUSED, UPLOADED
from acctwin.data.journal import JournalReader, run_files
from acctwin.data.orphans import adopt_orphan
from acctwin.data.room import low_disk
from acctwin.errors import DataError

log = logging.getLogger(__name__)

BATCH_EVENTS = 256
"""Events in one write. Each array of a batch is one request and one file."""
KEPT_RUNS = 50
"""Uploaded runs that stay readable without Tiled."""
TRIES = 3
"""How often Tiled may refuse a run before it is put aside."""


class RunUpload:
    """The upload of one run, from a file that may still grow."""

    def __init__(self, path: Path, catalog: Any, arrays: Path | None = None) -> None:
        self.uid = path.stem
        self._arrays = arrays
        self._reader = JournalReader(path)
        self._catalog = catalog
        self._writer: Any = None
        self._found: Any = None
        self._events: Counter[str] = Counter()
        self._streams: dict[str, str] = {}
        self._stop: dict[str, Any] | None = None
        self._marker = Marker()
        self._facts = Facts()

    def step(self, path: Path) -> bool:
        """Send what the file has gained; return whether the run is whole in Tiled.

        Args:
            path: Where the file is now; it is renamed when the run stops.
        """
        self._reader.path = path
        is_new = self._writer is None and not self._is_stopped(path)
        for name, doc in self._reader.new_documents():
            self._count(name, doc)
            self._facts.add(name, doc)
            if is_new or self._writer is not None:
                self._send(name, doc)
        if self._stop is None:
            return False
        self._verify()
        return True

    def _is_stopped(self, path: Path) -> bool:
        """Whether Tiled already has the stop document of a finished file's run."""
        self._found = find(self._catalog, self.uid)
        is_whole = self._found is not None and bool(self._found.metadata.get("stop"))
        return is_whole and path.suffix == DONE

    def _send(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._begin()
        for kind, marked in self._marker.mark(name, doc):
            if kind == "stop":
                self._add_metadata()
            # The writer keeps and changes what it is given: it gets its own copy.
            self._writer(kind, dict(marked))

    def _add_metadata(self) -> None:
        """Add what a run is found by, and what Tiled would change of its documents."""
        frames = self._marker.frames
        kept = {METADATA: frames} if frames else {}
        run = find(self._catalog, self.uid)
        run.update_metadata({**self._facts.metadata(), **kept}, drop_revision=True)

    def _begin(self) -> None:
        from bluesky_tiled_plugins import TiledWriter

        if self._found is not None:
            log.info("run %s was uploaded in part before: replaced", self.uid)
            self._found.delete(recursive=True, external_only=False)
        if self._arrays is not None and (left := self._arrays / self.uid).exists():
            log.info("run %s left files without an entry: removed", self.uid)
            shutil.rmtree(left)
        # Without max_array_size=0 short arrays become text; our documents are of
        # today's schema, so the normalizer would only copy and check them again.
        target = (
            self._catalog if self._arrays is None else without_streaming(self._catalog)
        )
        self._writer = TiledWriter(
            target, batch_size=BATCH_EVENTS, max_array_size=0, normalizer=None
        )

    def _count(self, name: str, doc: dict[str, Any]) -> None:
        if name == "descriptor":
            self._streams[doc["uid"]] = doc["name"]
        elif name == "event":
            self._events[self._streams[doc["descriptor"]]] += 1
        elif name == "event_page":
            self._events[self._streams[doc["descriptor"]]] += len(doc["seq_num"])
        elif name == "stop":
            self._stop = doc

    def _verify(self) -> None:
        """Check that Tiled has every event of the run, once; remove a wrong copy."""
        run = find(self._catalog, self.uid)
        if run is None or not run.metadata.get("stop"):
            raise DataError(f"run {self.uid} has no stop document in Tiled")
        for stream, sent in self._events.items():
            stored = self._stored(stream)
            if stored != sent:
                run.delete(recursive=True, external_only=False)
                raise DataError(
                    f"run {self.uid}, stream {stream!r}: Tiled had {stored} events, "
                    f"the journal {sent}"
                )

    def _stored(self, stream: str) -> int:
        """Return how many events of a stream Tiled has."""
        # A stream of more than a thousand columns is in several tables.
        for name in ("internal", "internal_0"):
            table = find(self._catalog, self.uid, stream, name)
            if table is not None:
                return len(table.read(["seq_num"]))
        return 0


class Uploader:
    """Uploads the runs of one session's journal folder.

    Attributes:
        folder: The session's journal folder.
        refused: Runs that Tiled would not take, with the reason.
    """

    def __init__(
        self,
        folder: Path,
        connect: Callable[[], Any],
        arrays: Path | None = None,
    ) -> None:
        """Prepare to upload.

        Args:
            folder: The session's journal folder.
            connect: Returns the Tiled client of the catalogue, or raises.
            arrays: Where a server of this store keeps arrays, a folder for each run.
                A server that is killed may leave files there that are in no
                catalogue, and could not write them again.
        """
        self.folder, self._arrays = folder, arrays
        self.refused: dict[str, str] = {}
        self._connect = connect
        self._catalog: Any = None
        self._uploads: dict[str, RunUpload] = {}
        self._failures: Counter[str] = Counter()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not run_files(self.folder)

    def adopt(self) -> None:
        """Finish the runs whose session died, and try again what was refused."""
        for path in self.folder.glob(f"*{REFUSED}"):
            path.rename(path.with_suffix(DONE))
        for path in self.folder.glob(f"*{OPEN}"):
            try:
                log.warning("run %s was not stopped: it ends here", path.stem)
                adopt_orphan(path)
            except DataError as error:
                self._refuse(path, str(error))

    def step(self) -> None:
        """Send all that is new, for every run in start order.

        Raises:
            Exception: What the connection raised; call again after a pause.
        """
        for path in run_files(self.folder):
            if self._catalog is None:
                self._catalog = self._connect()
            self._step_run(path)

    def _step_run(self, path: Path) -> None:
        uid = path.stem
        upload = self._uploads.setdefault(
            uid, RunUpload(path, self._catalog, self._arrays)
        )
        try:
            if upload.step(path) and path.suffix == DONE:
                self._keep(path)
        except FileNotFoundError:
            return  # the run stopped meanwhile and its file has the new name
        except Exception as error:
            self._uploads.clear()
            self._catalog = None
            if is_temporary(error):
                raise
            self._check_disk(error)
            self._failures[uid] += 1
            log.exception("upload of run %s, try %d", uid, self._failures[uid])
            if self._failures[uid] < TRIES:
                raise
            self._refuse(path, f"{type(error).__name__}: {error}")

    def _check_disk(self, error: Exception) -> None:
        """Blame the disk if the server's is full: every run would be refused.

        Raises:
            OSError: It is.
        """
        if self._arrays is None or not self._arrays.exists():
            return
        if low := low_disk(self._arrays):
            raise OSError(errno.ENOSPC, low) from error

    def _refuse(self, path: Path, reason: str) -> None:
        """Put a run aside, so that it does not hold up the others."""
        self.refused[path.stem] = reason
        path.rename(path.with_suffix(REFUSED))
        log.error("run %s is not in Tiled, its file is kept: %s", path.stem, reason)

    def _keep(self, path: Path) -> None:
        """Move an uploaded run aside and drop the oldest that were kept."""
        del self._uploads[path.stem]
        kept = self.folder / UPLOADED
        kept.mkdir(exist_ok=True)
        path.rename(kept / path.name)
        log.info("run %s is in Tiled", path.stem)
        old = sorted(kept.iterdir(), key=lambda item: item.stat().st_mtime)
        for item in old[:-KEPT_RUNS]:
            item.unlink()


def find(catalog: Any, *path: str) -> Any:
    """Return the Tiled client of a run or a part of it, None when it is not there."""
    # The catalogue's own [] would search for partial uids after a miss.
    from tiled.client.container import Container

    try:
        return Container.__getitem__(catalog, path)
    except KeyError:
        return None


def is_temporary(error: Exception) -> bool:
    """Whether it is no fault of the run: the server is away, or a disk is full."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in {502, 503, 504, 507}
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return True
    return isinstance(error, httpx.TransportError | ConnectionError)
