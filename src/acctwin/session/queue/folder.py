"""Where the queue of this user keeps what must outlive its processes.

::

    <data folder>/queue/
        queue.lock       held by the process that keeps the manager
        queue.json       what runs, where, and what went wrong
        worker.lock      held by the worker
        run-NAME.frames  of the run that is open: its start and its baseline
        problem.txt      why a worker could not open its session
        left-NAME.json   what a worker that died left moved, by profile
        manager.log      what the manager and the worker say
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from acctwin.data.folders import make_private, read_json, write_json

#: Variable of the environment with the `QueueConfig` of the queue's process.
CONFIG = "ACCTWIN_QUEUE"


@dataclass(frozen=True)
class QueueConfig:
    """What ``acctwin queue start`` was asked for.

    Attributes:
        profile: Name of a profile, or its file.
        mode: ``"physics"`` or ``"hardware"``.
        seed: Of the simulated machine's hidden errors.
        catalog: Where runs go; None: what the profile says.
        site: The site's folder; None: the one of the profile.
        startup: Folder of the start-up files and the permissions.
        redis: ``host:port`` of a Redis server; None: the built-in storage.
        port: Of the manager on loopback, for requests; None: a free one.
    """

    profile: str
    mode: str
    seed: int | None
    catalog: str | None
    site: str | None
    startup: str
    redis: str | None = None
    port: int | None = None

    def to_json(self) -> str:
        """Return it as text for the queue's process."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class QueueState:
    """What runs.

    Attributes:
        pid: Process that keeps the manager.
        manager: Process of the manager.
        profile: The machine.
        mode: ``"physics"`` or ``"hardware"``.
        state: ``"starting"``, ``"ready"``, ``"ended"`` or ``"failed"``.
        problem: Why it failed.
        control: Address for requests.
        info: Address of the console output.
        redis: ``host:port`` of the storage.
        built_in: Whether that storage ends with the queue.
        events: What happened to the worker, a sentence each, oldest first.
    """

    pid: int
    profile: str
    mode: str
    control: str
    info: str
    redis: str
    built_in: bool
    manager: int | None = None
    state: str = "starting"
    problem: str = ""
    events: tuple[str, ...] = field(default=())


class QueueFolder:
    """The files of the queue.

    Args:
        data: The user's data folder.
    """

    def __init__(self, data: Path) -> None:
        self.root = make_private(data / "queue")
        self.lock = self.root / "queue.lock"
        self.worker_lock = self.root / "worker.lock"
        self.problem = self.root / "problem.txt"
        self.log = self.root / "manager.log"
        self._state = self.root / "queue.json"

    def state(self) -> QueueState | None:
        """Return what runs or ran last, None if nothing ever did."""
        content = read_json(self._state)
        if not content:
            return None
        return QueueState(**{**content, "events": tuple(content["events"])})

    def write(self, state: QueueState) -> None:
        """Replace the state."""
        write_json(self._state, asdict(state))

    def run(self, profile: str) -> Path:
        """Return the file with the start of the run that is open on a machine."""
        return self.root / f"run-{Path(profile).stem}.frames"

    def left(self, profile: str) -> Path:
        """Return the file that says what was left moved on a machine."""
        return self.root / f"left-{Path(profile).stem}.json"

    def left_moved(self, profile: str) -> dict[str, Any]:
        """Return what a worker that died left moved; empty: nothing."""
        return read_json(self.left(profile))

    def why(self) -> str:
        """Return why a worker could not open its session."""
        if self.problem.exists():
            return self.problem.read_text(encoding="utf-8")
        return f"see the end of {self.log}"
