"""One session, the same plans: simulated, and on a served machine in another process.

What plays the hardware is ``acctwin serve`` with hidden errors, over Channel Access,
PV Access and Tango. Clients are processes of their own: see ``served``.
"""

from __future__ import annotations

import re
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import (
    COMMAND,
    Client,
    client,
    epics_network,
    free_port,
    line_of,
    process,
)

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

ROOT = Path(__file__).parents[2]
SEED = "1"
#: What the session thinks that the RF can do, and what the server lets it do.
WIDE, NARROW = "high_hz: 500123000", "high_hz: 500073000"
BACKENDS = ("sim", "ca", "pva", "tango")
#: Noise of a BPM reading of thomx [m], and of its tune monitor.
BPM_NOISE, TUNE_NOISE = 1e-6, 1e-4

#: Each in its own way: all supplies in one array, or an address for each BPM.
CONTROL = {
    "ca": """
  backend: ca
  update_s: 0.5
  updates: 1                   # a put is over when the orbit is published
""",
    "pva": """
  backend: pva
  update_s: 0.5
  names:
    bpms: {x: null, y: null, sum: null}
    supplies: {current: "thomx:SUPPLIES:SP", readback: "thomx:SUPPLIES:RB"}
""",
    "tango": """
  backend: tango
  update_s: 0.5
  updates: 1
  tango_server: 127.0.0.1:PORT
  names:
    supplies: {current: "{machine}/supplies/all/Current",
               readback: "{machine}/supplies/all/CurrentRB"}
""",
}
SERVED_EPICS = """
  backend: ca
  names:
    supplies: {current: "thomx:SUPPLIES:SP", readback: "thomx:SUPPLIES:RB"}
"""


def new_site(folder: Path, control: str, *, narrow: bool = False) -> str:
    """Write a site whose thomx has another section ``control``, quick to give up."""
    for name in ("devices", "plans", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    profile = folder / "profiles/thomx.yaml"
    text = profile.read_text(encoding="utf-8")
    section = re.compile(r"^control:\n(?:[ \t]+.*\n|\n)+", re.MULTILINE)
    text, count = section.subn(f"control:{control}\n", text)
    assert count == 1
    text, count = re.subn(
        r"^defaults:\n", "defaults:\n  waits: {timeout_s: 3}\n", text, flags=re.M
    )
    assert count == 1
    if narrow:
        assert WIDE in text
        text = text.replace(WIDE, NARROW)
    profile.write_text(text, encoding="utf-8")
    return str(folder)


class Served:
    """Servers that are started when they are needed; clients of them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._network, self._port = epics_network(), free_port()
        self.servers: dict[str, Any] = {}
        self.clients: dict[str, Client] = {}

    def server(self, kind: str) -> Any:
        """Return the process of the server, ``"epics"`` or ``"tango"``."""
        if kind not in self.servers:
            control = SERVED_EPICS if kind == "epics" else self.control("tango")
            folder = new_site(self._folder / f"served {kind}", control, narrow=True)
            port = ("--port", str(self._port)) if kind == "tango" else ()
            words = ("serve", kind, "thomx", "--seed", SEED, "--site", folder, *port)
            job = process("-c", COMMAND, *words, "--until-eof", env=self._network)
            self.servers[kind] = self._stack.enter_context(job)
            line_of(self.servers[kind], "READY")
        return self.servers[kind]

    def client(self, backend: str) -> Client:
        """Return a client with an open session on a backend."""
        if backend not in self.clients:
            folder = self._folder / backend
            control = "\n  backend: ca\n" if backend == "sim" else self.control(backend)
            site = new_site(folder, control)
            mode, seed = ("hardware", None) if backend != "sim" else ("physics", 1)
            if backend != "sim":
                self.server("tango" if backend == "tango" else "epics")
            job = client("hardware_client.py", self._network)
            self.clients[backend] = self._stack.enter_context(job)
            self.clients[backend].open_on("thomx", mode, site, seed)
        return self.clients[backend]

    def control(self, backend: str) -> str:
        return CONTROL[backend].replace("PORT", str(self._port))

    def fault(self, backend: str, name: str, value: Any) -> None:
        """Have the server do something: ``"DropBeam"`` yes or no."""
        if backend == "tango":
            job = client("tango_client.py")
            device = f"tango://127.0.0.1:{self._port}/thomx/sim/control#dbase=no"
            with job as one:
                one.command(device, name, value)
            return
        record = {"DropBeam": "thomx:SIM:DROP_BEAM"}.get(name, name)
        with client("epics_client.py", self._network) as one:
            one.caput(record, value)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with ExitStack() as stack:
        yield Served(stack, tmp_path_factory.mktemp("sites"))


@pytest.fixture(scope="module")
def measured(served):
    """What each backend measured."""
    return {}


def results_of(backend: str, served: Served, measured: dict[str, Any]) -> Any:
    if backend not in measured:
        measured[backend] = served.client(backend).measure()
    return measured[backend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_plans_give_the_same_results(backend, served, measured):
    found = results_of(backend, served, measured)
    same = results_of("sim", served, measured)
    orbit = np.array(same["orbit"])
    assert 1e-4 < orbit.std() < 1e-2
    difference = np.array(found["orbit"]) - orbit
    assert np.abs(difference).max() < 6 * BPM_NOISE * np.sqrt(2 / 4)
    noise = 2 * BPM_NOISE / same["delta"]
    assert np.abs(same["matrix"]).max() > 50 * noise
    assert np.abs(np.subtract(found["matrix"], same["matrix"])).max() < 6 * noise
    assert np.allclose(found["tune"], same["tune"], atol=6 * TUNE_NOISE / np.sqrt(2))
    assert np.allclose(found["turns"], same["turns"], atol=5e-4)
    xi, sigma = np.array(found["chromaticity"])
    xi_same, sigma_same = np.array(same["chromaticity"])
    assert np.abs(xi_same).min() > 10 * np.abs(sigma_same).max()
    assert np.all(np.abs(xi - xi_same) < 6 * np.hypot(sigma, sigma_same))
    largest = np.abs(same["dispersion"]).max()
    assert np.allclose(found["dispersion"], same["dispersion"], atol=0.01 * largest)
    for rms in found["corrected"]:
        assert rms[-1] < 0.6 * rms[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_metadata_names_the_backend(backend, served, measured):
    found = results_of(backend, served, measured)
    same = results_of("sim", served, measured)
    assert found["descriptors"] == same["descriptors"]
    assert found["start_keys"] == same["start_keys"]
    mode = "physics" if backend == "sim" else "hardware"
    assert all(start == [mode, [backend]] for start in found["starts"])


@pytest.mark.parametrize("backend", ["ca", "pva", "tango"])
def test_a_setpoint_that_the_server_does_not_take_is_an_error(backend, served):
    one = served.client(backend)
    before = one.get("rf")
    seen = one.failure("set_to", "rf", 500.1e6, "physics")
    assert "PutRejected" in seen["kinds"], seen
    assert seen["text"].startswith(f"{backend}://")
    assert re.search("wanted 500100000, found 500073000|maximum", seen["text"]), seen
    assert one.get("rf") == before, "the plan puts back what it moved"


@pytest.mark.parametrize("backend", ["ca", "pva"])
def test_a_refused_put_is_an_error(backend, served):
    one = served.client(backend)
    served.fault(backend, "RI:PS-HCOR-05:SP.DISP", 1)
    try:
        seen = one.failure("set_to", "RI/PS-HCOR-05", 1.0)
    finally:
        served.fault(backend, "RI:PS-HCOR-05:SP.DISP", 0)
    assert "PutRejected" in seen["kinds"], seen
    assert f"{backend}://RI:PS-HCOR-05:SP" in seen["text"]
    one.set_to("RI/PS-HCOR-05", 0.0)


@pytest.mark.parametrize("backend", ["ca", "pva", "tango"])
def test_without_beam_there_is_no_orbit(backend, served):
    one = served.client(backend)
    served.fault(backend, "DropBeam", True)
    try:
        seen = one.failure("orbit")
    finally:
        served.fault(backend, "DropBeam", False)
    assert "BeamLost" in seen["kinds"], seen
    assert "beam current is 0 A" in seen["text"]
    assert one.orbit() < 1e-2


def test_to_hardware_and_back_with_the_same_devices(served):
    one = served.client("sim")
    served.server("epics")
    seen = one.there_and_back()
    assert seen["same"]
    assert seen["seen"] == [
        ["physics", 0.0],
        ["hardware", 0.0],
        ["hardware", 10.0],
        ["physics", 0.0],
        ["hardware", 0.0],
    ]
    assert "hardware" in seen["repr"]


def test_nobody_switches_while_a_plan_runs(served):
    seen = served.client("ca").failure("switch_inside_a_plan")
    assert "PlanError" in seen["kinds"]
    assert "the RunEngine is running" in seen["text"]


def test_a_dry_run_moves_nothing_and_stores_nothing(served):
    seen = served.client("ca").dry_run()
    first, second = "RI/HCOR-01", "RI/HCOR-02"
    assert sorted(seen["measured"]) == [
        [first, pytest.approx(2e-5), pytest.approx(2e-5)],
        [second, 0.0, 0.0],
    ]
    assert seen["kept"] == 0
    assert seen["matrix"] > 1.0
    assert seen["moved"] == [[pytest.approx(v) for v in (2e-5, 1e-3, 0.4)]]
    assert "moves 1 setpoint, 1 for good" in seen["text"]
    assert "40 % of the range left" in seen["text"]
    assert (seen["held"], seen["mode"]) == (pytest.approx(2e-5), "hardware")
    assert not seen["stored"]


@pytest.mark.parametrize("backend", ["ca", "pva", "tango"])
def test_a_server_that_dies_ends_the_plan(backend, served):
    """The last test: it kills the servers."""
    one = served.client(backend)
    kind = "tango" if backend == "tango" else "epics"
    if backend != "pva":
        served.server(kind).send_signal(signal.SIGKILL)
        served.server(kind).wait(5)
    for what in (("set_to", "RI/PS-HCOR-05", 1.0), ("orbit",)):
        seen = one.failure(*what)
        assert "DeviceError" in seen["kinds"], seen
        assert f"{backend}://" in seen["text"]
        assert seen["seconds"] < 20.0
    assert one.switch("physics") == "physics"
    assert one.orbit() < 1e-2
    if backend == "ca":
        seen = one.failure("switch", "hardware")
        assert "LinkLost" in seen["kinds"], seen
        assert "did not answer" in seen["text"]
    one.close()
    left = [name for name in one.threads() if "tango" in name]
    assert left == []
