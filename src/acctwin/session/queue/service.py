"""The process behind ``acctwin queue start``: storage, manager, and a watchdog.

``python -m acctwin.session.queue.service`` finds what is wanted in its environment
(``ACCTWIN_QUEUE``, a `QueueConfig` as JSON) and goes on until SIGTERM. The manager of
bluesky-queueserver does not notice a worker that was killed: this process does, has
the manager put the item back in front of the queue, and opens a new environment.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from acctwin.data.folders import FileLock, user_data_folder
from acctwin.errors import AcctwinError, DeviceError, PlanError
from acctwin.session.queue.client import answers, client, end_plan, is_idle
from acctwin.session.queue.environment import environment
from acctwin.session.queue.folder import CONFIG, QueueConfig, QueueFolder, QueueState
from acctwin.session.queue.storage import free_port, storage

log = logging.getLogger(__name__)

START_S = 60.0
"""How long the manager may take until it answers [s]."""
OPEN_S = 180.0
"""How long the worker may take to open its session [s]."""
END_S = 20.0
"""How long a plan may take to put back what it moved, and the manager to end [s]."""
POLL_S = 0.3
"""How often the watchdog looks [s]."""

#: The manager's usual ports: for requests, and of what it prints.
_CONTROL, _INFO = 60615, 60625
_STEADY = {"idle", "paused", "executing_queue", "executing_task"}
_PREFIX = "acctwin"
_COMMAND = (
    "from bluesky_queueserver.manager.start_manager import start_manager as main; "
    "raise SystemExit(main())"
)


class QueueService:
    """Keeps a manager with a worker.

    Args:
        config: What is wanted.
        folder: Where it is kept.
    """

    def __init__(self, config: QueueConfig, folder: QueueFolder) -> None:
        self._config, self._folder = config, folder
        self._ended = threading.Event()
        self._worker = FileLock(folder.worker_lock)
        self._state = QueueState(
            pid=os.getpid(),
            profile=config.profile,
            mode=config.mode,
            control=f"tcp://127.0.0.1:{config.port or free_port(_CONTROL)}",
            info=f"tcp://127.0.0.1:{free_port(_INFO)}",
            redis=config.redis or f"127.0.0.1:{free_port()}",
            built_in=config.redis is None,
        )

    def end(self) -> None:
        """Ask it to end."""
        self._ended.set()

    def run(self) -> None:
        """Bring all up, watch the worker, and end all when that is asked for.

        Raises:
            AcctwinError: Something did not come up, or the manager ended.
        """
        self._tell()
        with ExitStack() as stack:
            if self._state.built_in:
                stack.enter_context(storage(self._state.redis))
            manager = stack.enter_context(self._manager())
            self._tell(manager=manager.pid)
            api = stack.enter_context(client(self._state))
            stack.callback(self._stop, api, manager)
            self._wait(lambda: answers(api), START_S, manager, "the manager")
            self._open(api, manager)
            self._tell(state="ready")
            while not self._ended.wait(POLL_S):
                self._check(manager)
                with contextlib.suppress(api.RequestTimeoutError):  # it is busy
                    self._watch(api, manager)

    def fail(self, problem: str) -> None:
        """Say why it ended."""
        self._tell(state="failed", problem=problem)

    def ended(self) -> None:
        """Say that it ended as asked."""
        self._tell(state="ended")

    def _tell(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)
        self._folder.write(self._state)

    def _happened(self, what: str) -> None:
        log.warning("%s", what)
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        self._tell(events=(*self._state.events, f"{when} {what}")[-20:])

    @contextlib.contextmanager
    def _manager(self) -> Iterator[subprocess.Popen[bytes]]:
        config = self._config
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _COMMAND),
                *("--startup-dir", config.startup),
                *("--existing-plans-devices", str(self._folder.root / "existing.yaml")),
                *("--update-existing-plans-devices", "NEVER"),
                *("--device-max-depth", "1"),
                *("--zmq-control-addr", self._state.control),
                *("--zmq-info-addr", self._state.info),
                *("--zmq-publish-console", "ON"),
                *("--redis-addr", self._state.redis),
                *("--redis-name-prefix", _PREFIX),
            ],
            env={**os.environ, **environment(config)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # so that all of it can be ended at once
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _check(self, manager: subprocess.Popen[bytes]) -> None:
        if manager.poll() is not None:
            raise DeviceError(
                f"the queue's manager ended with exit code {manager.returncode}; see "
                f"{self._folder.log}"
            )

    def _wait(
        self,
        is_done: Callable[[], bool],
        timeout_s: float,
        manager: subprocess.Popen[bytes],
        what: str,
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_done():
            self._check(manager)
            if self._ended.is_set():
                raise PlanError("the queue was stopped while it was starting")
            if time.monotonic() > deadline:
                raise DeviceError(
                    f"{what} did not come up within {timeout_s:g} s; see "
                    f"{self._folder.log}"
                )
            self._ended.wait(0.1)

    def _open(self, api: Any, manager: subprocess.Popen[bytes]) -> None:
        self._folder.problem.unlink(missing_ok=True)
        api.environment_open()
        self._wait(lambda: is_idle(api), OPEN_S, manager, "the worker")
        if not api.status(reload=True)["worker_environment_exists"]:
            raise DeviceError(
                f"the worker could not open {self._config.profile} "
                f"({self._config.mode}): {self._folder.why()}"
            )

    def _watch(self, api: Any, manager: subprocess.Popen[bytes]) -> None:
        """Notice a worker that has died, and replace it."""
        status = api.status(reload=True)
        if not status["worker_environment_exists"]:
            return
        if status["manager_state"] not in _STEADY or not self._worker.acquire():
            return
        self._worker.release()
        item = api.queue_get()["running_item"]
        doing = f"running {item['name']}; that is" if item else "idle; the queue is"
        where = "in front of the queue again" if item else "as it was"
        self._happened(f"the worker died while {doing} {where}")
        api.environment_destroy()
        self._wait(lambda: is_idle(api), END_S, manager, "the manager")
        try:
            self._open(api, manager)
        except DeviceError as error:
            self._happened(f"{error}. The queue is kept; open the environment again")
        else:
            self._happened(f"a new worker is there{self._left()}")

    def _left(self) -> str:
        if self._config.mode != "hardware":
            return "; its simulated machine has begun anew"
        left = self._folder.left_moved(self._config.profile)
        if not left:
            return "; all setpoints are where they were before that run"
        return (
            f"; {len(left['moved'])} setpoints are not where they were before run "
            f"{left['run']}: put them back with restore_machine(saved={left['run']!r})"
        )

    def _stop(self, api: Any, manager: subprocess.Popen[bytes]) -> None:
        """End a plan so that it puts back what it moved; close all."""
        try:
            if manager.poll() is None and answers(api):
                end_plan(api, END_S)
                api.send_request(method="manager_stop", params={"option": "safe_off"})
                manager.wait(END_S)
        except Exception as error:  # what is left is killed, and it is said
            self._happened(f"the manager did not end by itself: {error}")


def main() -> int:
    """Run until SIGTERM."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    config = QueueConfig(**json.loads(os.environ[CONFIG]))
    folder = QueueFolder(user_data_folder())
    lock = FileLock(folder.lock)
    if not lock.acquire():
        log.error("a queue is running already")
        return 1
    service = QueueService(config, folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.end())
    try:
        service.run()
    except AcctwinError as error:
        service.fail(str(error))
        log.error("%s", error)
        return 1
    except Exception as error:
        service.fail(f"{type(error).__name__}: {error}")
        raise
    service.ended()
    return 0


if __name__ == "__main__":
    sys.exit(main())
