"""A session as a newcomer types it: open, measure, switch to the machine and back."""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pexpect
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import COMMAND
from served_thomx import Served, new_site

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

DEADLINE_S = 60.0
TABLE = (
    "session.run(measure_tune(machine, readings=3), "
    "LiveTable(['tune_qx', 'tune_qy'])).qx"
)


class Terminal:
    """IPython in a pseudo-terminal; what is typed is answered before the next."""

    def __init__(self, child: pexpect.spawn) -> None:
        self._child, self._count = child, 1

    def type(self, line: str = "") -> str:
        """Type a line after the next prompt; return what came before the prompt."""
        self._child.expect(rf"thomx (\w+) \[{self._count}\]: ")
        self.mode = self._child.match.group(1)
        said, self._count = self._child.before, self._count + 1
        self._child.sendline(line)
        return said

    def ended(self) -> int | None:
        """Wait for the end; return the exit status."""
        self._child.expect(pexpect.EOF)
        self._child.wait()
        return self._child.exitstatus


@pytest.fixture
def terminal(tmp_path):
    with ExitStack() as stack:
        served = Served(stack, tmp_path)
        served.server("epics")
        site = new_site(tmp_path / "site", "\n  backend: ca\n  update_s: 0.5\n")
        startup = Path(site) / "profiles/ipython"
        startup.mkdir(exist_ok=True)
        (startup / "50-mine.py").write_text("mine = machine.hcm.names[0]\n")
        words = ("ipython", "thomx", "--site", site, "--simple")
        child = pexpect.spawn(
            sys.executable,
            ["-c", COMMAND, *words, "--catalog", str(tmp_path / "data")],
            env={**os.environ, **served.network, "IPYTHONDIR": str(tmp_path / "ipy")},
            encoding="utf-8",
            timeout=DEADLINE_S,
            dimensions=(50, 200),
            echo=False,
        )
        with closing(child):
            yield Terminal(child)


def tunes(text: str) -> list[float]:
    """Return the horizontal tunes of a LiveTable."""
    rows = re.findall(r"^\|\s+\d+ \|.*?\|\s+([\d.]+) \|", text, re.MULTILINE)
    return [float(row) for row in rows]


def test_there_and_back_at_the_prompt(terminal):
    said = terminal.type("LiveTable, bp.count")
    assert "session, machine, RE, catalog, db and all plans are here" in said
    assert "bluesky.callbacks" in terminal.type("magnet = machine[mine]; magnet")
    terminal.type(TABLE)
    assert terminal.mode == "physics"
    design = tunes(terminal.type("session.switch_to_hardware()"))
    assert terminal.mode == "physics"
    terminal.type("%mov magnet 1e-5")
    assert terminal.mode == "hardware"
    terminal.type("round(1e6 * session.get(mine), 3), machine[mine] is magnet")
    assert "(10.0, True)" in terminal.type(TABLE)
    said = terminal.type("session.set(mine, 0.0)")
    machine = tunes(said)
    assert len(design) == len(machine) == 3
    assert max(design) - min(design) < 1e-3 < abs(machine[0] - design[0])
    terminal.type("session.switch_to_physics()")
    terminal.type(
        "session.get(mine), [catalog[-n].metadata['start']['mode'] for n in (1, 3)]"
    )
    assert terminal.mode == "physics"
    assert "(0.0, ['hardware', 'physics'])" in terminal.type("1 / 0")
    assert "ZeroDivisionError" in terminal.type("exit")
    assert terminal.ended() == 0
