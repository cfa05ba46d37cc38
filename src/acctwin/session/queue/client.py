"""A client of the queue's manager, and what is asked of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from acctwin.session.queue.folder import QueueState


def answers(api: Any) -> bool:
    """Tell whether the manager answers."""
    try:
        return bool(api.ping(reload=True))
    except api.RequestTimeoutError:
        return False


def is_idle(api: Any) -> bool:
    """Tell whether the manager waits."""
    return api.status(reload=True)["manager_state"] == "idle"


@contextlib.contextmanager
def client(state: QueueState, timeout_s: float = 2.0) -> Iterator[Any]:
    """Give a client of the manager."""
    from bluesky_queueserver_api.zmq import REManagerAPI

    api = REManagerAPI(
        zmq_control_addr=state.control,
        zmq_info_addr=state.info,
        timeout_recv=timeout_s,
        request_fail_exceptions=True,
    )
    try:
        yield api
    finally:
        api.close()


def end_plan(api: Any, timeout_s: float) -> None:
    """Abort a plan, so that it puts back what it moved; close the environment."""
    if api.status(reload=True)["manager_state"] == "executing_queue":
        api.re_pause(option="immediate")
        api.wait_for_idle_or_paused(timeout=timeout_s)
    if api.status(reload=True)["manager_state"] == "paused":
        api.re_abort()
        api.wait_for_idle(timeout=timeout_s)
    if api.status(reload=True)["worker_environment_exists"]:
        api.environment_close()
        api.wait_for_idle(timeout=timeout_s)
