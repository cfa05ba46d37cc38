"""A served machine as a Tango client sees it, without a database, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import (
    COMMAND,
    children,
    client,
    free_port,
    line_of,
    process,
    server,
    wait_until,
)

pytestmark = pytest.mark.slow

SUPPLY, BPMS, CONTROL = "supply/C01-PS-HCM", "diagnostics/bpms", "sim/control"


class Fodo:
    """The client, with the devices of one server."""

    def __init__(self, one, port: int) -> None:
        self._one, self._port = one, port

    def __getattr__(self, name):
        def call(device: str, *args):
            address = f"tango://127.0.0.1:{self._port}/fodo/{device}#dbase=no"
            return getattr(self._one, name)(address, *args)

        return call

    def put(self, value: float) -> None:
        """Set the corrector and wait for its readback's event."""
        self.subscribe(SUPPLY, "CurrentRB")
        self.write(SUPPLY, "Current", value)
        if self.read(SUPPLY, "CurrentRB") != value:
            self.wait_for(SUPPLY, "CurrentRB", value)

    def x(self) -> np.ndarray:
        return np.array(self.read(BPMS, "X"))


@pytest.fixture(scope="module")
def served():
    port = free_port()
    with (
        server("tango", "fodo", "--port", str(port)) as line,
        client("tango_client.py") as one,
    ):
        yield line, Fodo(one, port)


@pytest.fixture
def c(served):
    """The client; afterwards the machine is as it was."""
    yield served[1]
    served[1].command(CONTROL, "DropBeam", False)
    served[1].command(CONTROL, "Repair", "C01/PS-HCM")
    served[1].put(0.0)


def test_ready_says_how_many(served):
    assert "tango fodo" in served[0]
    assert "108 devices" in served[0]


def test_a_write_moves_readback_and_orbit(c):
    """Twice the current, twice the orbit; every BPM device says what the array says."""
    zero = c.x()
    c.put(0.2)
    one = c.x() - zero
    c.put(0.4)
    two = c.x() - zero
    assert np.abs(one).max() > 1e-4
    assert np.allclose(two, 2 * one, rtol=0.01, atol=1e-7)
    assert c.read("bpm/C01-BPM1", "X") == c.x()[0]
    assert c.read(SUPPLY, "Moving") == 0


def test_an_event_brings_the_readback_and_the_position(c):
    c.subscribe("bpm/C01-BPM1", "X")
    c.put(0.3)
    c.wait_for("bpm/C01-BPM1", "X", c.read("bpm/C01-BPM1", "X"))


def test_limits_and_units_are_those_of_the_profile(c):
    found = c.config(SUPPLY, "Current")
    assert (found["min_value"], found["max_value"]) == ("-5", "5")
    assert (found["unit"], found["format"]) == ("A", "%.4f")
    assert c.config(BPMS, "X")["unit"] == "m"
    assert c.config(SUPPLY, "CurrentRB")["writable"] == "READ"


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("Current", 50.0, "above the maximum"),
        ("Current", float("nan"), "NaN"),
        ("CurrentRB", 1.0, "not writable"),
    ],
)
def test_a_write_that_cannot_be_is_refused(c, attribute, value, words):
    with pytest.raises(RuntimeError, match=words):
        c.write(SUPPLY, attribute, value)
    assert c.read(SUPPLY, "Current") == 0.0


def test_a_tripped_supply_delivers_nothing_until_it_is_repaired(c):
    zero = c.x()
    c.put(0.5)
    there = c.x()
    c.command(CONTROL, "Trip", "C01/PS-HCM")
    assert wait_until(lambda: c.read(SUPPLY, "CurrentRB") == 0.0)
    assert c.read(SUPPLY, "Current") == 0.5
    assert np.allclose(c.x(), zero, atol=1e-9)
    c.command(CONTROL, "Repair", "C01/PS-HCM")
    assert wait_until(lambda: np.allclose(c.x(), there, atol=1e-9))
    with pytest.raises(RuntimeError, match=r"no supply is called 'C01/PS-NONE'"):
        c.command(CONTROL, "Trip", "C01/PS-NONE")


def test_without_beam_the_bpms_are_invalid(c):
    c.command(CONTROL, "DropBeam", True)
    assert wait_until(lambda: "INVALID" in c.quality(BPMS, "X"))
    assert "INVALID" in c.quality("bpm/C01-BPM1", "Y")
    assert c.read("diagnostics/dcct", "Current") == 0.0
    assert "dropped" in c.read(CONTROL, "Beam")
    c.command(CONTROL, "DropBeam", False)
    assert wait_until(lambda: "INVALID" not in c.quality(BPMS, "X"))
    assert c.read("diagnostics/dcct", "Current") == pytest.approx(0.2)


def test_rf_and_slow_monitors(c):
    start, rf = c.x(), c.read("rf/RF", "Frequency")
    c.write("rf/RF", "Frequency", rf + 1e4)
    assert wait_until(lambda: np.abs(c.x() - start).max() > 1e-5)
    c.write("rf/RF", "Frequency", rf)
    assert wait_until(lambda: np.allclose(c.x(), start, atol=1e-9))
    tune = "diagnostics/tune"
    assert wait_until(lambda: "INVALID" not in c.quality(tune, "Qx"))
    assert 0.0 < c.read(tune, "Qx") < 1.0


def test_the_server_lives(c):
    beat = c.read(CONTROL, "Heartbeat")
    assert wait_until(lambda: c.read(CONTROL, "Heartbeat") > beat)
    assert c.read(CONTROL, "Server").startswith("fodo-")


def test_a_read_only_server_takes_nothing_and_ends_with_its_engine():
    port = free_port()
    arguments = ("serve", "tango", "fodo", "--read-only", "--port", str(port))
    with process("-c", COMMAND, *arguments) as child:
        line_of(child, "READY")
        with client("tango_client.py") as one:
            fodo = Fodo(one, port)
            with pytest.raises(RuntimeError, match="not allowed|currently"):
                fodo.write(SUPPLY, "Current", 0.1)
            with pytest.raises(RuntimeError, match="read-only"):
                fodo.command(CONTROL, "Trip", "C01/PS-HCM")
        os.kill(children(child.pid)[0], signal.SIGKILL)
        assert child.wait(15) == 1


def test_with_a_database_devices_are_found_by_name():
    port = free_port()
    env = {"TANGO_HOST": f"127.0.0.1:{port}", "PYTANGO_DATABASE_NAME": ":memory:"}
    database = Path(sys.executable).with_name("PyDatabaseds")
    with process(str(database), "2", env=env, at_end="kill"):
        assert wait_until(lambda: accepts(port))
        with server("tango", "fodo", "--database", env=env) as line:
            assert env["TANGO_HOST"] in line
            with client("tango_client.py", env) as one:
                device = f"fodo/{SUPPLY}"
                one.subscribe(device, "CurrentRB")
                one.write(device, "Current", 0.5)
                one.wait_for(device, "CurrentRB", 0.5)


def accepts(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
