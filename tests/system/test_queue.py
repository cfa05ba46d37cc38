"""Plans through the real queue: thomx, served over EPICS, is the hardware.

One manager and one machine for all tests, in the order of a day: an operator and an
observer, a pause and an abort, a worker that is killed, the end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("bluesky_queueserver")
from bluesky_queueserver_api import BFunc, BPlan
from bluesky_queueserver_api.zmq import REManagerAPI
from served import COMMAND, client, wait_until
from served_thomx import Served, new_site

from acctwin.data.client import open_catalog
from acctwin.data.folders import StoreFolder

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

DEADLINE_S = 60.0
SUPPLIES = "thomx:SUPPLIES:SP"


class Queue:
    """The queue of a user: its command, clients of it, and the machine it moves."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        served = Served(stack, folder)
        served.server("epics")
        self.data, self.runs = folder / "user", StoreFolder(folder / "runs")
        self._env = {**os.environ, **served.network, "ACCTWIN_DATA": str(self.data)}
        site = new_site(folder / "site", "\n  backend: ca\n  update_s: 0.5\n")
        stack.callback(self.command, "stop", check=False)
        words = ("--mode", "hardware", "--site", site, "--catalog", self.runs.root)
        assert "READY tcp://127.0.0.1" in self.command("start", "thomx", *words)
        self.epics = stack.enter_context(client("epics_client.py", served.network))
        address = self.status()["control"]
        self.operator, self.observer = (
            stack.enter_context(_user(address, name, group))
            for name, group in (("olga", "primary"), ("otto", "observer"))
        )

    def command(self, *words: Any, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, "queue", *map(str, words)],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        return json.loads(self.command("status", "--json", check=False))

    def supplies(self) -> np.ndarray:
        return np.asarray(self.epics.caget(SUPPLIES))

    def add(self, plan: str, **options: Any) -> None:
        self.operator.item_add(BPlan(plan, **options))

    def run(self) -> list[dict[str, Any]]:
        """Run what is queued; return what became of it."""
        before = len(self.history())
        self.operator.queue_start()
        self.operator.wait_for_idle(timeout=DEADLINE_S)
        return self.history()[before:]

    def start_and_wait_for_a_move(self) -> np.ndarray:
        """Start the queue; return the setpoints before, when one is not there."""
        before = self.supplies()
        self.operator.queue_start()
        assert wait_until(lambda: self.moved(before), DEADLINE_S)
        return before

    def moved(self, before: np.ndarray) -> bool:
        return bool(np.abs(self.supplies() - before).max() > 1e-6)

    def history(self) -> list[dict[str, Any]]:
        return self.operator.history_get()["items"]

    def waiting(self) -> list[str]:
        return [item["name"] for item in self.operator.queue_get()["items"]]

    def ask(self, function: str, *args: Any) -> Any:
        task = self.observer.function_execute(BFunc(function, *args))
        self.observer.wait_for_completed_task(task["task_uid"], timeout=DEADLINE_S)
        return self.observer.task_result(task["task_uid"])["result"]["return_value"]

    def stored(self, uid: str) -> Any:
        """Return a run as a client of Tiled finds it."""

        def there() -> bool:
            return bool(self.runs.server()) and uid in self.catalog()

        assert wait_until(there, DEADLINE_S)
        return self.catalog()[uid]

    def catalog(self) -> Any:
        return open_catalog(self.runs.server()["uri"], self.runs.api_key())

    def worker(self) -> int:
        """Return the process that holds the worker's lock."""
        lock = str(self.data / "queue/worker.lock")
        for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(descriptor) == lock:
                    return int(descriptor.parts[2])
            except OSError:
                continue
        raise AssertionError("there is no worker")


class _user:
    """A client with a name and a group, closed at the end."""

    def __init__(self, address: str, name: str, group: str) -> None:
        self._api = REManagerAPI(zmq_control_addr=address, timeout_recv=10)
        self._api.user, self._api.user_group = name, group

    def __enter__(self) -> REManagerAPI:
        return self._api

    def __exit__(self, *_: object) -> None:
        self._api.close()


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with ExitStack() as stack:
        yield Queue(stack, tmp_path_factory.mktemp("queue"))


def test_two_users_of_different_rights_measure_and_correct(queue):
    with pytest.raises(queue.observer.RequestFailedError, match="list of allowed"):
        queue.observer.item_add(BPlan("correct_orbit"))
    with pytest.raises(queue.observer.RequestFailedError, match="Input should be"):
        queue.add("measure_orbit_response", correctors=["RI/HCOR-99"])
    correctors = ["hcm"]
    queue.add("measure_orbit_response", correctors=correctors, readings=1)
    queue.add("correct_orbit", response="model", goal="zero", iterations=1)
    queue.observer.item_add(BPlan("measure_orbit", readings=2))
    assert queue.waiting() == [
        "measure_orbit_response",
        "correct_orbit",
        "measure_orbit",
    ]
    done = queue.run()
    assert [item["result"]["exit_status"] for item in done] == ["completed"] * 3
    assert [item["user"] for item in done] == ["olga", "olga", "otto"]
    (response,), (correction,), _ = (item["result"]["run_uids"] for item in done)
    told = queue.ask("plan_result", response)
    stored = queue.stored(response)
    assert stored.metadata["start"]["mode"] == "hardware"
    assert stored.metadata["stop"]["exit_status"] == "success"
    matrix = stored["result"]["response_matrix"].read()[0]
    assert np.allclose(told["matrix"], matrix) and np.abs(matrix).max() > 0.1
    told = queue.ask("plan_result", correction)
    assert told["rms_x"][-1] < told["rms_x"][0]


def test_an_aborted_plan_puts_back_what_it_moved(queue):
    queue.add("measure_orbit_response", correctors=["vcm"], settle_s=0.2)
    before = queue.start_and_wait_for_a_move()
    queue.operator.re_pause("deferred")
    queue.operator.wait_for_idle_or_paused(timeout=DEADLINE_S)
    assert queue.operator.status(reload=True)["manager_state"] == "paused"
    queue.operator.re_resume()
    queue.operator.re_pause("immediate")
    queue.operator.wait_for_idle_or_paused(timeout=DEADLINE_S)
    queue.operator.re_abort()
    queue.operator.wait_for_idle(timeout=DEADLINE_S)
    assert queue.history()[-1]["result"]["exit_status"] == "aborted"
    assert not queue.moved(before)
    assert queue.waiting() == ["measure_orbit_response"]


def test_a_killed_worker_is_replaced_and_what_it_moved_is_listed(queue):
    assert queue.waiting() == ["measure_orbit_response"]
    queue.add("measure_orbit")
    before = queue.start_and_wait_for_a_move()
    os.kill(queue.worker(), signal.SIGKILL)
    assert wait_until(lambda: len(queue.status()["events"]) > 1, DEADLINE_S)
    status = queue.status()
    assert "the worker died while running measure_orbit_resp" in status["events"][0]
    assert "put them back with restore_machine(saved='" in status["events"][1]
    assert queue.waiting() == ["measure_orbit_response", "measure_orbit"]
    assert "was destroyed" in queue.history()[-1]["result"]["msg"]
    left = status["left"]
    assert left == queue.ask("left_moved") and left["plan"] == "measure_orbit_response"
    assert len(left["moved"]) == 2  # a corrector and its supply
    assert queue.moved(before)

    queue.operator.item_add(BPlan("restore_machine", saved=left["run"]), pos="front")
    done = queue.run()
    assert [item["name"] for item in done] == [
        "restore_machine",
        "measure_orbit_response",
        "measure_orbit",
    ]
    assert {item["result"]["exit_status"] for item in done} == {"completed"}
    assert not queue.moved(before)
    assert queue.status()["left"] == {}
    stop = queue.stored(left["run"]).metadata["stop"]
    assert stop["exit_status"] == "abort"


def test_all_of_it_ends(queue):
    manager = json.loads((queue.data / "queue/queue.json").read_text())["manager"]
    worker = queue.worker()
    assert "has ended" in queue.command("stop")
    for pid in (manager, worker):
        assert wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
    assert queue.status()["state"] == "ended"
    assert "no queue is running" in queue.command("stop")
