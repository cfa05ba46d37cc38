"""The worker's marks: that it lives, which run is open, what its forerunner left.

A worker may be killed at any time. So it holds a lock, which the kernel frees when it
ends, and keeps the baseline of the open run in a file until the run has stopped. The
next worker compares the machine with it.
"""

from __future__ import annotations

import logging
from typing import Any

from acctwin import plans
from acctwin.analysis.machine_state import ComparisonResult, MachineState
from acctwin.data.folders import FileLock, read_json, write_json
from acctwin.data.frames import encode_frame
from acctwin.data.journal import read_journal
from acctwin.data.runs import Run
from acctwin.errors import DataError
from acctwin.plans.saving import states
from acctwin.session.queue.folder import QueueFolder
from acctwin.session.session import Session

log = logging.getLogger(__name__)

_BASELINE = "baseline"


class WorkerMarks:
    """Marks of the worker that this process is.

    Args:
        session: Its session.
        folder: Where they are kept.
    """

    def __init__(self, session: Session, folder: QueueFolder) -> None:
        self._session, self._folder = session, folder
        name = session.profile.name
        self._run, self._left = folder.run(name), folder.left(name)
        self._lock = FileLock(folder.worker_lock)
        self._streams: set[str] = set()
        self._plan: dict[str, Any] = {}

    def begin(self) -> None:
        """Say that the worker is there, and look for what was left moved.

        Raises:
            DataError: Another worker is alive.
        """
        if not self._lock.acquire():
            raise DataError(
                f"another worker of the queue holds {self._folder.worker_lock}: stop "
                "that queue first, `acctwin queue stop`"
            )
        if self._session.mode != "hardware":  # a new simulated machine is as new
            self._run.unlink(missing_ok=True)
            self._left.unlink(missing_ok=True)
        elif self._run.exists():
            self._look()
        self._session.RE.subscribe(self)

    def left_moved(self) -> dict[str, Any]:
        """Return what a worker that died left moved: devices, and which run it was."""
        return read_json(self._left)

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take a document of the RunEngine."""
        if name == "start":
            self._streams.clear()
            self._plan = doc
            self._run.write_bytes(encode_frame(name, doc))
        elif name == "descriptor" and doc["name"] == _BASELINE:
            self._streams.add(doc["uid"])
            self._append(name, doc)
        elif name == "event" and doc["descriptor"] in self._streams:
            self._streams.clear()  # the one before the plan, not the one after it
            self._append(name, doc)
        elif name == "stop":
            self._run.unlink(missing_ok=True)
            self._forget(doc)

    def _append(self, name: str, doc: dict[str, Any]) -> None:
        with self._run.open("ab") as file:
            file.write(encode_frame(name, doc))

    def _forget(self, stop: dict[str, Any]) -> None:
        """Forget what was left moved when it has been put back."""
        left = read_json(self._left)
        if not left or stop["exit_status"] != "success":
            return
        is_restored = self._plan.get("plan_name") == "restore_machine"
        if is_restored and left["run"] in self._plan.get("derived_from", ()):
            self._left.unlink()

    def _look(self) -> None:
        """Compare the machine with where it stood before the run that was cut off."""
        run = Run.from_documents(read_journal(self._run))
        name = run.start.get("plan_name", "")
        try:
            before: MachineState = states.analyse(run)
        except DataError:
            log.warning("the run %s was cut off before it moved anything", run.uid)
            self._run.unlink()
            return
        found = self._session.run(plans.compare_machine(self._session.machine, before))
        moved = _moved(found)
        content = {"run": run.uid, "plan": name, "moved": moved}
        if moved:
            write_json(self._left, content)
        self._run.unlink()
        log.warning("run %s (%s) was cut off: %d moved", run.uid, name, len(moved))


def _moved(found: ComparisonResult) -> list[dict[str, Any]]:
    """Return devices and supplies that are not where they were."""
    return [
        {"device": one.device, "was": one.saved, "is": one.now, "unit": one.unit}
        for one in (*found.differences, *found.supplies)
    ]
