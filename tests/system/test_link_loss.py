"""A machine that is killed in the middle of a measurement, and started again.

The machine is ``acctwin serve``, the session a process of its own: see ``served``.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import COMMAND, HERE, epics_network, free_port, line_of, process
from served_thomx import CONTROL, SERVED_EPICS, new_site

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

#: Noise of a BPM reading of thomx [m].
BPM_NOISE = 1e-6


class Setup:
    """A server that can be killed and started again, and a session on it."""

    def __init__(self, stack: ExitStack, folder: Path, backend: str, policy: str):
        self._stack, self._backend = stack, backend
        self._network, self._port = epics_network(), str(free_port())
        control = CONTROL[backend].replace("PORT", self._port)
        there = SERVED_EPICS if backend != "tango" else control
        self._served = new_site(folder / "served", there)
        wait = f"  on_link_loss: {policy}\n  link_wait_s: 120\n"
        site = new_site(folder / "site", control + wait)
        self.start()
        job = process(str(HERE / "link_client.py"), env=self._network)
        self.client = stack.enter_context(job)
        self.ask("open_on", site, str(folder / "runs"))
        self.answer()

    def start(self) -> None:
        """Start the server; at once or again, on the same ports."""
        kind, port = "epics", ()
        if self._backend == "tango":
            kind, port = "tango", ("--port", self._port)
        words = ("serve", kind, "thomx", "--seed", "1", "--site", self._served, *port)
        job = process("-c", COMMAND, *words, "--until-eof", env=self._network)
        self._server = self._stack.enter_context(job)
        line_of(self._server, "READY")

    def kill(self) -> None:
        """Kill the server."""
        self._server.send_signal(signal.SIGKILL)
        self._server.wait(5)

    def ask(self, name: str, *args: Any) -> None:
        """Have the client begin something."""
        self.client.stdin.write((json.dumps([name, args, {}]) + "\n").encode())
        self.client.stdin.flush()

    def answer(self) -> Any:
        """Return what came of it."""
        found = json.loads(line_of(self.client, "= ")[2:])
        assert "error" not in found, found
        return found["result"]


@pytest.fixture
def started(tmp_path):
    with ExitStack() as stack:
        yield lambda backend, policy: Setup(stack, tmp_path, backend, policy)


LONG = [pytest.param(backend, marks=pytest.mark.long) for backend in ("pva", "tango")]


@pytest.mark.parametrize("backend", ["ca", *LONG])
def test_a_measurement_goes_on_after_a_restart_and_ctrl_c_ends_the_waiting(
    backend, started
):
    setup = started(backend, "wait")
    setup.ask("measure")
    undisturbed = setup.answer()
    setup.ask("measure")
    line_of(setup.client, "EVENT 3")
    setup.kill()
    line_of(setup.client, "LOG ")
    setup.start()
    back = line_of(setup.client, "LOG the machine answers again")
    assert "have been put back: RI/PS-HCOR" in back
    found = setup.answer()
    noise = 2 * BPM_NOISE / found["delta"]
    matrix = np.array(undisturbed["matrix"])
    assert np.abs(matrix).max() > 50 * noise
    assert np.abs(found["matrix"] - matrix).max() < 6 * noise
    assert found["held"] == pytest.approx(3e-5)
    assert found["events"] == undisturbed["events"]

    setup.ask("failure")
    line_of(setup.client, "EVENT 3")
    setup.kill()
    line_of(setup.client, "LOG ")
    setup.client.send_signal(signal.SIGINT)
    ended = setup.answer()
    assert "RestoreError" in ended["kinds"], ended
    how = "RequestAbort|LinkLost: .*; the waiting was ended"
    assert re.search(f"; this came after ({how})", ended["text"])
    assert ended["seconds"] < 30.0


def test_without_waiting_the_plan_ends(started):
    setup = started("ca", "end")
    setup.ask("failure")
    line_of(setup.client, "EVENT 3")
    setup.kill()
    found = setup.answer()
    assert "RestoreError" in found["kinds"], found
    assert re.search(r"could not be put back: \S+: LinkLost: ca:", found["text"])
    assert "this came after LinkLost: ca://" in found["text"]
