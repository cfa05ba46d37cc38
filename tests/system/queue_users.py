"""Users of a queue, as clients of bluesky-queueserver, and of Tiled for its runs."""

from __future__ import annotations

from typing import Any

from bluesky_queueserver_api.zmq import REManagerAPI
from served import answer
from tiled.client import from_uri

USERS: dict[str, REManagerAPI] = {}


def sign_in(address: str, name: str, group: str) -> None:
    USERS[name] = REManagerAPI(zmq_control_addr=address, timeout_recv=10)
    USERS[name].user, USERS[name].user_group = name, group


def ask(user: str, method: str, *args: Any, **options: Any) -> Any:
    return getattr(USERS[user], method)(*args, **options)


def call(user: str, function: str, *args: Any) -> Any:
    """Call a function of the worker; return its value."""
    api = USERS[user]
    item = {"item_type": "function", "name": function, "args": args}
    task = api.function_execute(item)["task_uid"]
    api.wait_for_completed_task(task, timeout=60)
    return api.task_result(task)["result"]["return_value"]


def stored(uri: str, key: str, uid: str) -> dict[str, Any]:
    """Return the metadata of a run in Tiled and what was measured; empty: none yet."""
    catalog = from_uri(uri, api_key=key)
    if uid not in catalog:
        return {}
    run = catalog[uid]
    found = dict(run.metadata)
    if "result" in run:
        found["matrix"] = run["result"]["response_matrix"].read()[0]
    return found


answer({"sign_in": sign_in, "ask": ask, "call": call, "stored": stored})
