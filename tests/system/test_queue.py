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

pytest.importorskip("bluesky_queueserver_api")
from served import COMMAND, client, wait_until
from served_thomx import Served, new_site

from acctwin.data.folders import StoreFolder
from acctwin.profiles.load import load_profile

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

DEADLINE_S = 60.0
SNIPPET = Path(__file__).parents[2] / "docs/snippets/queue/client.py"
SUPPLIES = "thomx:SUPPLIES:SP"
OPERATOR, OBSERVER = "olga", "otto"
FEW = [one.name for one in load_profile("thomx").magnets if "vcm" in one.families][:4]


class Queue:
    """The queue of a user: its command, its users, and the machine that it moves."""

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
        self._users = stack.enter_context(client("queue_users.py"))
        for name, group in ((OPERATOR, "primary"), (OBSERVER, "observer")):
            self._users.sign_in(self.kept()["control"], name, group)

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

    def script(self, path: Path) -> str:
        """Run a script of a user; return what it prints."""
        address = {"QSERVER_ZMQ_CONTROL_ADDRESS": self.kept()["control"]}
        done = subprocess.run(
            [sys.executable, path],
            env={**os.environ, **address},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kept(self) -> dict[str, Any]:
        """Return what the queue's process keeps for its commands."""
        return json.loads((self.data / "queue/queue.json").read_text())

    def supplies(self) -> np.ndarray:
        return np.asarray(self.epics.caget(SUPPLIES))

    def ask(self, method: str, *args: Any, user: str = OPERATOR, **options: Any) -> Any:
        return self._users.ask(user, method, *args, **options)

    def call(self, function: str, *args: Any) -> Any:
        return self._users.call(OBSERVER, function, *args)

    def add(
        self, plan: str, *, user: str = OPERATOR, pos: str = "back", **options: Any
    ) -> None:
        item = {"item_type": "plan", "name": plan, "kwargs": options}
        self.ask("item_add", item, pos=pos, user=user)

    def run(self) -> list[dict[str, Any]]:
        """Run what is queued; return what became of it."""
        before = len(self.history())
        self.ask("queue_start")
        self.ask("wait_for_idle", timeout=DEADLINE_S)
        return self.history()[before:]

    def start_and_wait_for_a_move(self) -> np.ndarray:
        """Start the queue; return the setpoints before, when one is not there."""
        before = self.supplies()
        self.ask("queue_start")
        assert wait_until(lambda: self.moved(before), DEADLINE_S)
        return before

    def is_running(self) -> bool:
        return self.ask("status", reload=True)["re_state"] == "running"

    def moved(self, before: np.ndarray) -> bool:
        return bool(np.abs(self.supplies() - before).max() > 1e-6)

    def history(self) -> list[dict[str, Any]]:
        return self.ask("history_get")["items"]

    def waiting(self) -> list[str]:
        return [item["name"] for item in self.ask("queue_get")["items"]]

    def stored(self, uid: str) -> dict[str, Any]:
        """Return a run as a client of Tiled finds it."""
        found: dict[str, Any] = {}

        def is_there() -> bool:
            if server := self.runs.server():
                key = self.runs.api_key()
                found.update(self._users.stored(server["uri"], key, uid))
            return "stop" in found

        assert wait_until(is_there, DEADLINE_S)
        return found

    def worker(self) -> int:
        """Return the process that holds the worker's lock."""
        lock = self.data / "queue/worker.lock"
        for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if descriptor.readlink() == lock:
                    return int(descriptor.parts[2])
            except OSError:
                continue
        raise AssertionError("there is no worker")


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    with ExitStack() as stack:
        yield Queue(stack, tmp_path_factory.mktemp("queue"))


def test_two_users_of_different_rights_measure_and_correct(queue):
    with pytest.raises(RuntimeError, match="list of allowed"):
        queue.add("correct_orbit", user=OBSERVER)
    with pytest.raises(RuntimeError, match="Input should be"):
        queue.add("measure_orbit_response", correctors=["RI/HCOR-99"])
    queue.add("measure_orbit_response", correctors=["hcm"], readings=1)
    queue.add("correct_orbit", response="model", goal="zero", iterations=1)
    queue.add("measure_orbit", readings=2, user=OBSERVER)
    assert queue.waiting() == [
        "measure_orbit_response",
        "correct_orbit",
        "measure_orbit",
    ]
    done = queue.run()
    assert [item["result"]["exit_status"] for item in done] == ["completed"] * 3
    assert [item["user"] for item in done] == [OPERATOR, OPERATOR, OBSERVER]
    (response,), (correction,), _ = (item["result"]["run_uids"] for item in done)
    told, stored = queue.call("plan_result", response), queue.stored(response)
    assert stored["start"]["mode"] == "hardware"
    assert stored["stop"]["exit_status"] == "success"
    matrix = np.asarray(stored["matrix"])
    assert np.allclose(told["matrix"], matrix) and np.abs(matrix).max() > 0.1
    told = queue.call("plan_result", correction)
    assert told["rms_x"][-1] < told["rms_x"][0]


def test_the_script_of_the_documentation(queue):
    measured, corrected = queue.script(SNIPPET).splitlines()
    assert measured.startswith("measure_orbit completed") and "'sigma_x'" in measured
    assert corrected.startswith("correct_orbit completed") and "'rms_x'" in corrected


def test_an_aborted_plan_puts_back_what_it_moved(queue):
    queue.add("measure_orbit_response", correctors=FEW, settle_s=0.2)
    before = queue.start_and_wait_for_a_move()
    queue.ask("re_pause", "deferred")
    queue.ask("wait_for_idle_or_paused", timeout=DEADLINE_S)
    assert queue.ask("status", reload=True)["manager_state"] == "paused"
    queue.ask("re_resume")
    assert wait_until(queue.is_running, DEADLINE_S)
    queue.ask("re_pause", "immediate")
    queue.ask("wait_for_idle_or_paused", timeout=DEADLINE_S)
    queue.ask("re_abort")
    queue.ask("wait_for_idle", timeout=DEADLINE_S)
    assert queue.history()[-1]["result"]["exit_status"] == "aborted"
    assert not queue.moved(before)
    assert queue.waiting() == ["measure_orbit_response"]


def test_a_killed_worker_is_replaced_and_what_it_moved_is_listed(queue):
    assert queue.waiting() == ["measure_orbit_response"]
    queue.add("measure_orbit")
    before = queue.start_and_wait_for_a_move()
    os.kill(queue.worker(), signal.SIGKILL)
    assert wait_until(lambda: len(queue.kept()["events"]) > 1, DEADLINE_S)
    status = queue.status()
    assert "the worker died while running measure_orbit_resp" in status["events"][0]
    assert "put them back with restore_machine(saved='" in status["events"][1]
    assert queue.waiting() == ["measure_orbit_response", "measure_orbit"]
    assert "was destroyed" in queue.history()[-1]["result"]["msg"]
    left = status["left"]
    assert left == queue.call("left_moved") and left["plan"] == "measure_orbit_response"
    assert len(left["moved"]) == 2  # a corrector and its supply
    assert queue.moved(before)

    queue.add("restore_machine", saved=left["run"], pos="front")
    done = queue.run()
    assert [item["name"] for item in done] == [
        "restore_machine",
        "measure_orbit_response",
        "measure_orbit",
    ]
    assert {item["result"]["exit_status"] for item in done} == {"completed"}
    assert not queue.moved(before)
    assert queue.status()["left"] == {}
    assert queue.stored(left["run"])["stop"]["exit_status"] == "abort"


def test_all_of_it_ends(queue):
    manager, worker = queue.kept()["manager"], queue.worker()
    assert "has ended" in queue.command("stop")
    for pid in (manager, worker):
        assert wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
    assert queue.status()["state"] == "ended"
    assert "no queue is running" in queue.command("stop")
