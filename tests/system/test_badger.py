"""Badger on the devices of a session: a routine, and its window without a screen."""

from __future__ import annotations

import ctypes.util
import json
import os
import sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pytest

import acctwin
from acctwin.errors import MissingExtra
from acctwin.session import badger
from acctwin.session.broker import Broker

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from served import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session(
        "fodo", seed=1, catalog="temporary", progress=False
    ) as opened:
        yield opened


def started(session, folder: Path, script: str) -> dict:
    """Run a script as Badger is run, and return what it says."""
    out = folder / "said.json"
    words = f"import runpy,sys; sys.stdout=open({str(out)!r},'w'); "
    words += f"runpy.run_path({str(HERE / script)!r}, run_name='__main__'); "
    words += "sys.stdout.close()"
    code = badger.start(session, folder, [sys.executable, "-c", words])
    assert code == 0
    return json.loads(out.read_text())


def test_a_routine_is_a_run_with_an_event_for_each_evaluation(session, tmp_path):
    said = started(session, tmp_path, "badger_routine.py")
    assert said["environments"] == ["acctwin_fodo"]
    assert said["interfaces"] == ["acctwin"]
    device = session.machine["C01/HCM"]
    assert said["bounds"] == list(device.limits)
    assert {"bpms:rms_x", "C01/BPM1:x", "tune:qx"} <= set(said["observables"])
    assert len(said["values"]) >= 10
    assert min(said["values"]) < said["values"][0]
    assert "C01/HCM" in said["refused"]
    assert "LimitError" in said["refused"]
    run = session.store.run(-1)
    assert run.start["plan_name"] == "badger"
    events = run["primary"]
    assert len(events) == len(said["values"])
    x = events["bpms_x"]
    assert (x**2).mean(axis=1) ** 0.5 == pytest.approx(said["values"])
    assert events["tune_qx"] == pytest.approx(said["tunes"])
    assert events["C01-HCM_strength"][-1] == pytest.approx(said["now"]["C01/HCM"])
    assert run.stop["exit_status"] == "success"
    assert run.start["scan_id"] == 1


def test_nobody_without_the_key_is_answered(session):
    broker = Broker(session, "badger")
    try:
        with pytest.raises(AuthenticationError):
            Client(broker.address, authkey=b"no")
        with Client(broker.address, authkey=bytes.fromhex(broker.key)) as client:
            client.send(("describe", None))
            status, said = client.recv()
            assert (status, said["machine"]) == ("ok", "fodo")
            client.send(("burn", None))
            assert client.recv() == ("error", "PlanError: nobody knows what 'burn' is")
    finally:
        broker.close()


def test_without_badger_it_says_what_to_install(session, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "badger", None)
    with pytest.raises(MissingExtra, match=r"acctwin\[badger\]"):
        badger.start(session, tmp_path)


@pytest.mark.skipif(
    ctypes.util.find_library("GL") is None,
    reason="Qt needs libGL: apt-get install libgl1 libfontconfig1 libglib2.0-0",
)
def test_its_window_has_the_machine_in_its_list(session, tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "QT_QPA_PLATFORM", "offscreen")
    said = started(session, tmp_path, "badger_window.py")
    assert said["title"].startswith("Badger")
    assert "acctwin_fodo" in said["environments"]
    assert "C01/HCM" in said["variables"]
    assert said["reserve"]  # processes that Badger starts before they are needed
    assert wait_until(lambda: not any(map(runs, said["reserve"])))


def runs(pid: int) -> bool:
    """Whether a process is there, and is no zombie that nobody has collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
