"""ThomX as hardware: served with hidden errors, and sessions that use it.

Each server and each session is a process of its own; see ``served``.
"""

from __future__ import annotations

import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from served import (
    COMMAND,
    Client,
    client,
    epics_network,
    free_port,
    line_of,
    process,
)

ROOT = Path(__file__).parents[2]
SEED = "1"
#: What the session thinks that the RF can do, and what the server lets it do.
WIDE, NARROW = "high_hz: 500123000", "high_hz: 500073000"

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
        self.network, self._port = epics_network(), free_port()
        self.servers: dict[str, Any] = {}
        self.clients: dict[str, Client] = {}

    def server(self, kind: str) -> Any:
        """Return the process of the server, ``"epics"`` or ``"tango"``."""
        if kind not in self.servers:
            control = SERVED_EPICS if kind == "epics" else self.control("tango")
            folder = new_site(self._folder / f"served {kind}", control, narrow=True)
            port = ("--port", str(self._port)) if kind == "tango" else ()
            words = ("serve", kind, "thomx", "--seed", SEED, "--site", folder, *port)
            job = process("-c", COMMAND, *words, "--until-eof", env=self.network)
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
            job = client("hardware_client.py", self.network)
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
        with client("epics_client.py", self.network) as one:
            one.caput(record, value)
