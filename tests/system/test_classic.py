"""Classic ophyd devices as members, over pyepics, on a served machine.

What plays the hardware is ``acctwin serve epics``; the session, which has aioca and
pyepics at once, is a process of its own: see ``served``.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import Client, client
from served_thomx import Served, new_site

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

MEMBERS = """
members:
  coil:
    device_class: classic_devices:Coil
    args: ["RI:PS-HCOR-05"]
    units: A
    setting: {low: -5, high: 5, tolerance: 0.005, delta: 0.2}
    simulated: {value: 0}
  signal:
    device_class: ophyd:EpicsSignal
    args: ["RI:PS-HCOR-06:RB", "RI:PS-HCOR-06:SP"]
    kwargs: {auto_monitor: true}
    units: A
    setting: {low: -5, high: 5, tolerance: 0.005, delta: 0.2}
    simulated: {value: 0}
  station:
    device_class: classic_devices:Station
    args: ["RI:PS-HCOR-07"]
    units: A
    setting: {low: -5, high: 5, tolerance: 0.005, delta: 0.2}
    setpoint: current
    readback: delivered
    simulated: {value: 0}
  current:
    device_class: ophyd:EpicsSignalRO
    args: ["thomx:DCCT"]
    units: A
  rf-member:
    device_class: ophyd:EpicsSignal
    args: ["RI:RF:RB", "RI:RF:SP"]
    units: Hz
    setting: {low: 4.9e8, high: 5.1e8, tolerance: 5, delta: 1000}
"""
AWAY = """
  away:
    device_class: classic_devices:Coil
    args: ["NOBODY:IS"]
    setting: {low: -5, high: 5, tolerance: 0.005, delta: 0.2}
  gone:
    device_class: ophyd:EpicsSignalRO
    args: ["NOBODY:HERE"]
"""
SETTABLE = ("coil", "signal", "station")


class Site:
    """A served machine and a session on it."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.served = Served(stack, folder)
        self._stack, self._folder = stack, folder
        self.server = self.served.server("epics")

    def client(self) -> Client:
        job = client("classic_client.py", self.served.network)
        return self._stack.enter_context(job)

    def folder(self, name: str, more: str = "") -> str:
        """Write a site whose thomx has members."""
        control = "\n  backend: ca\n  update_s: 0.5\n  updates: 1\n"
        folder = self._folder / name
        new_site(folder, control)
        with (folder / "profiles/thomx.yaml").open("a", encoding="utf-8") as profile:
            profile.write(MEMBERS + more)
        return str(folder)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with ExitStack() as stack:
        yield Site(stack, tmp_path_factory.mktemp("sites"))


@pytest.fixture(scope="module")
def session(site):
    one = site.client()
    there = one.open_on(site.folder("members"), "hardware")
    assert there == ["coil", "signal", "station", "current", "rf-member"]
    return one


@pytest.fixture(scope="module")
def other(site):
    """Another client of the machine."""
    with client("epics_client.py", site.served.network) as one:
        yield one


@pytest.mark.parametrize("name", SETTABLE)
def test_a_member_is_set_and_the_machine_has_it(name, session, other):
    assert session.set_to(name, 1.5) == 1.5
    assert session.get(name) == 1.5
    assert session.get(name, "readback") == pytest.approx(1.5, abs=0.005)
    number = 5 + SETTABLE.index(name)
    assert other.caget(f"RI:PS-HCOR-{number:02d}:SP") == 1.5
    session.set_to(name, 0.0)


@pytest.mark.parametrize("name", SETTABLE)
def test_limits_hold(name, session):
    seen = session.failure("set_to", name, 5.5)
    assert "LimitError" in seen["kinds"], seen
    assert "limits -5 to 5" in seen["text"]
    assert session.get(name) == 0.0


def test_members_and_families_in_one_response(session):
    actuators = [*SETTABLE, "RI/HCOR-08"]
    seen = session.response(actuators, ["bpms", "current", "station"])
    matrix = np.array(seen["matrix"])
    assert seen["monitors"][-2:] == ["current:value", "station:readback"]
    assert np.abs(matrix[:-2]).max(axis=0).min() > 1e-5, "each moves the beam"
    assert matrix[-1] == pytest.approx([0, 0, 1, 0], abs=0.05)
    assert all(session.get(name) == 0.0 for name in SETTABLE), "put back"
    assert {"coil_readback", "current_value"} <= set(seen["baseline"])
    assert seen["start"] == ["ca", "ophyd"]


def test_what_the_control_system_clamps_is_an_error(session):
    before = session.get("rf-member")
    seen = session.failure("set_to", "rf-member", 500.1e6)
    assert "PutRejected" in seen["kinds"], seen
    assert "ophyd://RI:RF:SP" in seen["text"]
    assert session.get("rf-member") == before


@pytest.mark.parametrize("name", SETTABLE)
def test_what_the_control_system_refuses_is_an_error(name, session, other):
    record = f"RI:PS-HCOR-{5 + SETTABLE.index(name):02d}:SP"
    other.caput(f"{record}.DISP", 1)
    try:
        seen = session.failure("set_to", name, 1.0)
    finally:
        other.caput(f"{record}.DISP", 0)
    assert "PutRejected" in seen["kinds"], seen
    assert f"ophyd://{record}" in seen["text"]
    assert session.get(name) == 0.0


def test_a_device_that_the_user_made_beside_families(session):
    seen = session.own_device("RI:PS-HCOR-09")
    assert seen["mine"] == pytest.approx([0.0, 0.5, 1.0], abs=0.01)
    assert seen["moved"] > 1e-5
    assert seen["still"] == pytest.approx([1.0, 1.0], abs=0.01)


def test_to_hardware_and_back_with_the_same_devices(session):
    assert session.there_and_back("coil") == [
        ["hardware", 0.0, pytest.approx(2.0, abs=0.005), True],
        ["physics", 0.0, 1.0, True],
        ["hardware", 2.0, pytest.approx(0.0, abs=0.005), True],
    ]


def test_quick(session):
    seen = session.timed("signal", 20)
    assert seen["set"] < 1.0
    assert seen["read"] < 0.2


def test_all_that_are_away_are_in_one_error(site, session):
    seen = session.failure("connect", site.folder("away", AWAY))
    assert "LinkLost" in seen["kinds"], seen
    assert "2 of 7 members did not connect" in seen["text"]
    assert "away (classic_devices:Coil): NOBODY:IS:SP" in seen["text"]
    assert "gone (ophyd:EpicsSignalRO): NOBODY:HERE" in seen["text"]


@pytest.mark.parametrize("name", ["coil", "signal"])
def test_an_ioc_that_hangs_ends_the_plan(name, session, site):
    site.server.send_signal(signal.SIGSTOP)
    try:
        seen = session.failure("move_to", name, 0.0)
    finally:
        site.server.send_signal(signal.SIGCONT)
    assert "LinkLost" in seen["kinds"], seen
    assert "not over within 2.4 s" in seen["text"]
    assert "whether the device has the value is not known" in seen["text"]


def test_an_ioc_that_dies_ends_the_plan(site, session):
    """The last test: it kills the server."""
    assert site.server.poll() is None
    site.server.send_signal(signal.SIGKILL)
    site.server.wait(5)
    for name in SETTABLE:
        for what in (("move_to", name, 1.0), ("get", name)):
            seen = session.failure(*what)
            assert "LinkLost" in seen["kinds"], seen
            assert "ophyd://RI:PS-HCOR" in seen["text"]
            assert seen["seconds"] < 10.0
    assert session.switch("physics") == "physics"
    assert session.get("coil") == 1.0
    assert session.close() == []
