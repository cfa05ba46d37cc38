"""Kills in the middle of a measurement: afterwards all is in Tiled, once, in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from store_processes import child, free_port, tiled
from store_session import as_line

from acctwin.data import Store, documents
from acctwin.data.waiting import deliver, waiting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
HERE = Path(__file__).parent
STEPS, HOLD = 576, 300


def session(*args: object):
    return child(HERE / "store_session.py", *args)


def stored(catalog) -> list[str]:
    """The documents of the only run of a catalogue."""
    (run,) = catalog.values()
    return [as_line(name, doc) for name, doc in documents(run)]


def recorded(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ACCTWIN_DATA", str(tmp_path / "home"))
    return tmp_path


def test_the_server_is_killed_in_a_response_measurement(home):
    root, record, port = home / "store", home / "record", free_port()
    url = f"http://127.0.0.1:{port}?api_key=secret"
    with tiled(root, port) as (server, _), session(url, record, STEPS, HOLD) as one:
        one.answer("HOLD")
        uid = json.loads(recorded(record)[0])[1]["uid"]
        # Some of the run is in Tiled by now: batches are of 256 events.
        with Store.open(url) as reader:
            catalog = reader.connect()
            assert reader.wait(lambda: uid in catalog and "primary" in catalog[uid], 60)
        server.kill()
        one.go_on()
        one.answer("MEASURED")
        (left,) = waiting(reader.folder)
        assert (left.runs, left.documents) == (1, len(recorded(record)))
        with tiled(root, port):
            one.end()
            with Store.open(url) as reader:
                assert stored(reader.catalog) == recorded(record)
            assert waiting(reader.folder) == []
    assert len(recorded(record)) == STEPS + 3


def test_the_session_and_its_service_are_killed(home):
    root, record = home / "store", home / "record"
    with session(root, record, STEPS, HOLD) as one:
        service = int(one.answer("SERVICE"))
        one.answer("HOLD")
        one.kill()
        os.kill(service, signal.SIGKILL)
    assert deliver(root) == []
    with Store.open(root) as store:
        *kept, stop = stored(store.catalog)
    assert kept == recorded(record)
    assert len(kept) == HOLD + 3
    name, said = json.loads(stop)
    assert (name, said["exit_status"]) == ("stop", "abort")
    assert "the session ended before the run did" in said["reason"]
    assert said["num_events"] == {"primary": HOLD + 1}


def test_more_waits_than_may_while_the_server_is_away(home):
    root, record, port = home / "store", home / "record", free_port()
    url = f"http://127.0.0.1:{port}?api_key=secret"
    with session(url, record, STEPS, STEPS, 1_000_000) as one:
        said = one.answer("FAILED")
        assert "1.0 MB wait for the Tiled server" in said
        assert one.answer("RESTORED") == "corrector"
        with tiled(root, port):
            one.end()
            with Store.open(url) as reader:
                *kept, stop = stored(reader.catalog)
    assert kept == recorded(record)[:-1]
    stopped = json.loads(stop)[1]
    assert stopped["exit_status"] == "fail"
    assert "wait for the Tiled server" in stopped["reason"]
    assert stopped["num_events"] == {"primary": len(kept) - 2}


@pytest.mark.long
def test_the_disk_is_full(home):
    command = f"mount -t tmpfs -o size=40m tmpfs {home} && exec {sys.executable} "
    command += f"{HERE / 'store_disk_full.py'} {home}"
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk of his own")
    done = subprocess.run(
        [*namespace, "sh", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ALL IS WELL" in done.stdout
