"""Start, stop and ask the queue of this user, from another process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acctwin.data.folders import FileLock, user_data_folder
from acctwin.errors import DataError, MissingExtra, PlanError
from acctwin.profiles.site import shipped_site
from acctwin.session.queue.client import answers, client
from acctwin.session.queue.folder import CONFIG, QueueConfig, QueueFolder, QueueState
from acctwin.session.queue.service import OPEN_S, START_S

#: Folder of a site with the start-up files of the worker.
STARTUP = Path("profiles/queueserver")
STOP_S = 90.0
"""How long the queue may take to end [s]."""


def startup_folder(site: Path) -> Path:
    """Return the folder of the start-up files: the site's, else the shipped one."""
    own = site / STARTUP
    return (own if own.is_dir() else shipped_site() / STARTUP).resolve()


def start(config: QueueConfig) -> QueueState:
    """Start the queue's process in the background; return when it is ready.

    Raises:
        MissingExtra: bluesky-queueserver is not installed.
        PlanError: A queue is running already.
        DataError: It did not come up; the message says why.
    """
    wanted = ["bluesky_queueserver", "bluesky_queueserver_api"]
    for package in wanted if config.redis else [*wanted, "fakeredis"]:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package.replace("_", "-"), "queue")
    if config.catalog == "temporary":
        raise PlanError(
            "the queue's runs must outlive its worker: name a folder, not 'temporary'"
        )
    folder = QueueFolder(user_data_folder())
    there = folder.state()
    if _is_running(folder):
        at = f" for {there.profile} at {there.control}" if there else ""
        raise PlanError(f"a queue is running already{at}: `acctwin queue stop` first")
    _end_left_over(folder, there)
    with folder.log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "acctwin.session.queue.service"],
            env={**os.environ, CONFIG: config.to_json()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # it goes on when the terminal is closed
        )

    def is_over() -> bool:
        state = folder.state()
        if process.poll() is not None:
            return True
        is_ours = state is not None and state.pid == process.pid
        return state is not None and is_ours and state.state != "starting"

    _wait(is_over, START_S + OPEN_S + 10.0)
    state = folder.state()
    if state is None or state.pid != process.pid or state.state != "ready":
        said = state.problem if state and state.pid == process.pid else ""
        raise DataError(f"the queue did not start: {said or f'see {folder.log}'}")
    return state


def stop() -> str:
    """End the queue; return a sentence on what was done.

    Raises:
        DataError: It does not end.
    """
    folder = QueueFolder(user_data_folder())
    state = folder.state()
    if state is None or not _is_running(folder):
        if _end_left_over(folder, state):
            return "the queue had died; its manager and its worker have been ended"
        return "no queue is running"
    os.kill(state.pid, signal.SIGTERM)
    if _wait(lambda: not _is_running(folder), STOP_S):
        return f"the queue of {state.profile} has ended"
    for pid in (state.manager, state.pid):
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
    raise DataError(
        f"the queue of {state.profile} did not end within {STOP_S:g} s and was "
        f"killed; see {folder.log}, and what `acctwin queue status` says is left moved"
    )


def status() -> dict[str, Any]:
    """Return what runs and what waits, as JSON has it."""
    folder = QueueFolder(user_data_folder())
    state = folder.state()
    if state is None:
        return {"state": "none", "log": str(folder.log)}
    found: dict[str, Any] = {
        "state": state.state,
        "profile": state.profile,
        "mode": state.mode,
        "pid": state.pid,
        "control": state.control,
        "info": state.info,
        "redis": f"{state.redis}{' (built in)' if state.built_in else ''}",
        "log": str(folder.log),
        "problem": state.problem,
        "events": list(state.events),
        "left": folder.left_moved(state.profile),
    }
    if not _is_running(folder):
        if state.state in ("ready", "starting"):
            found |= {"state": "died", "problem": f"it was killed; see {folder.log}"}
        return found
    return found | _asked(state)


def _asked(state: QueueState) -> dict[str, Any]:
    """Return what the manager says."""
    with client(state) as api:
        if not answers(api):
            return {"manager": "does not answer"}
        said, running = api.status(reload=True), api.queue_get()["running_item"]
    return {
        "manager": said["manager_state"],
        "worker": said["worker_environment_state"],
        "RunEngine": said["re_state"],
        "running": running.get("name", ""),
        "waiting": said["items_in_queue"],
        "done": said["items_in_history"],
    }


def _end_left_over(folder: QueueFolder, state: QueueState | None) -> bool:
    """End the manager and the worker of a queue whose own process was killed."""
    if state is None or state.manager is None or state.state == "ended":
        return False
    worker = FileLock(folder.worker_lock)
    if not worker.acquire():  # so the manager's process is that of this queue still
        with contextlib.suppress(ProcessLookupError):
            os.killpg(state.manager, signal.SIGKILL)
        return _wait(worker.acquire, STOP_S)
    worker.release()
    return False


def _is_running(folder: QueueFolder) -> bool:
    lock = FileLock(folder.lock)
    if not lock.acquire():
        return True
    lock.release()
    return False


def _wait(is_done: Callable[[], bool], timeout_s: float) -> bool:
    pause, deadline = threading.Event(), time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.1)
    return True
