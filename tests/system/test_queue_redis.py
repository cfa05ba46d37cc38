"""With a real Redis, what is queued outlives the queue's own processes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("bluesky_queueserver_api")
from served import COMMAND, client, free_port, wait_until

REDIS = shutil.which("redis-server")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(REDIS is None, reason="apt-get install redis-server"),
]


@pytest.fixture
def redis(tmp_path):
    """A Redis server of its own; gives its address."""
    port = free_port()
    words = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path))
    server = subprocess.Popen([str(REDIS), *words], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: answers(port)), "Redis does not answer"
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def queue(tmp_path):
    """Return a function that runs ``acctwin queue``; the queue ends with the test."""
    env = {**os.environ, "ACCTWIN_DATA": str(tmp_path / "user")}

    def command(*words: str, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "queue", *words],
            env=env,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield command
    command("stop", check=False)


def test_what_is_queued_outlives_the_queue(redis, queue, tmp_path):
    start = ("start", "fodo", "--redis", redis, "--catalog", str(tmp_path / "runs"))
    queue(*start)
    kept = json.loads((tmp_path / "user/queue/queue.json").read_text())
    item = {"item_type": "plan", "name": "measure_orbit", "kwargs": {"readings": 2}}
    with client("queue_users.py") as users:
        users.sign_in(kept["control"], "olga", "primary")
        users.ask("olga", "item_add", item)
    queue("stop")
    queue(*start)
    status = json.loads(queue("status", "--json"))
    assert (status["state"], status["redis"], status["waiting"]) == ("ready", redis, 1)
