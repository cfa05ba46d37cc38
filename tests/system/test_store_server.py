"""``acctwin data serve``: a Tiled server with keys, its page, and PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from event_model import compose_run

sys.path.insert(0, str(Path(__file__).parent))

from postgres import database
from store_processes import COMMAND, tiled

from acctwin.data import Journal, Run, Store, documents
from acctwin.data.client import split_url
from acctwin.profiles import load_profile
from acctwin.profiles.profile import DataStore
from acctwin.session.open import open_session

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ACCTWIN_DATA", str(tmp_path / "home"))
    return tmp_path


def acctwin(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
    )


def take(journal: Journal, events: int = 5) -> str:
    """Write a run whose values are hard to keep."""
    run = compose_run(metadata={"plan_name": "made up", "profile": "toy"})
    keys = {
        "x": {"dtype": "array", "dtype_numpy": "<f8", "shape": [640], "source": "t"},
        "q": {"dtype": "number", "shape": [], "source": "t"},
    }
    stream = run.compose_descriptor(name="primary", data_keys=keys)
    journal("start", run.start_doc)
    journal("descriptor", stream.descriptor_doc)
    for number in range(events):
        x = np.random.default_rng(number).normal(size=640)
        x[3], q = np.nan, np.nan if number == 2 else number / 3
        times = {"x": 1.0, "q": 1.0}
        event = stream.compose_event(data={"x": x, "q": q}, timestamps=times)
        journal("event", event)
    journal("stop", run.compose_stop())
    return run.start_doc["uid"]


def assert_kept(store: Store, uid: str) -> None:
    stored = Run.from_documents(documents(store.catalog[uid]))["primary"]
    for key, column in store.run(uid)["primary"].data.items():
        assert column.tobytes() == stored[key].tobytes()


def test_a_store_is_served_with_a_key_and_a_page(home):
    root = home / "store"
    with tiled(root) as (server, url):
        address, key = split_url(url)
        assert httpx.get(f"{address}/api/v1/metadata/").status_code == 401
        right = {"Authorization": f"Apikey {key}"}
        answer = httpx.get(f"{address}/api/v1/metadata/", headers=right)
        assert answer.json()["data"]["attributes"]["specs"][0]["name"] == (
            "CatalogOfBlueskyRuns"
        )
        page = httpx.get(f"{address}/ui/", headers=right)
        assert '<div id="root">' in page.text
        with Store.open(url) as store:
            assert_kept(store, take(store.journal))
        with Store.open(root) as beside:
            assert len(beside.catalog) == 1, "a session of that folder uses the server"
            assert beside.folder.server()["pid"] == server.pid
        again = acctwin("data", "serve", "--path", root)
        assert again.returncode == 1
        assert f"already served at {address} by process {server.pid}" in again.stderr
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert (root / "api_key").read_text() == "secret"
    assert (root / "api_key").stat().st_mode & 0o777 == 0o600


def test_the_key_may_come_from_the_environment(home, monkeypatch):
    with tiled(home / "store") as (_, url):
        address, key = split_url(url)
        monkeypatch.setenv("TILED_API_KEY", str(key))
        with Store.open(address) as store:
            assert_kept(store, take(store.journal))


def test_what_waits_is_shown_and_delivered(home):
    root = home / "store"
    empty = acctwin("data", "status", "--catalog", root)
    assert (empty.returncode, empty.stdout) == (0, "nothing waits\n")
    journal = Journal(root / "journal/died")
    uids = [take(journal, events=20), take(journal)]
    journal.close()
    shown = acctwin("data", "status", "--catalog", root, "--json")
    (line,) = json.loads(shown.stdout)
    assert (line["session"], line["is_open"], line["runs"]) == ("died", False, 2)
    assert line["documents"] == 23 + 8
    files = (root / "journal/died").glob("*.done")
    assert line["bytes"] == sum(path.stat().st_size for path in files)
    assert 0 < line["age_s"] < 60
    table = acctwin("data", "status", "--catalog", root).stdout
    assert "died" in table and "ended" in table
    done = acctwin("data", "flush", "--catalog", root)
    assert done.returncode == 0, done.stderr
    assert "2 runs" in done.stderr and done.stdout == "nothing waits\n"
    with Store.open(root) as after:
        assert [run.start["uid"] for run in after.catalog.values()] == uids


def test_a_server_that_stays_away_fails_the_flush(home):
    url = "http://127.0.0.1:9?api_key=secret"
    done = acctwin("data", "flush", "--catalog", url, "--timeout", 0.5)
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr and "cannot be reached" in done.stderr


def test_a_facility_keeps_runs_in_postgresql(home):
    root = home / "store"
    with database() as address:
        served = (root, 0, "--database", address)
        with tiled(*served) as (_, url), Store.open(url) as store:
            uid = take(store.journal)
            assert_kept(store, uid)
        assert not list(root.rglob("*.db")) and not list(root.rglob("*.duckdb"))
        assert "word" not in (root / "database.json").read_text()
        # Served again: the run is there. Served from files: there would be none.
        with (
            tiled(root, 0, "--database", address) as (_, url),
            Store.open(url) as store,
        ):
            assert [run.start["uid"] for run in store.catalog.values()] == [uid]
        wrong = acctwin("data", "serve", "--path", root)
        assert wrong.returncode == 1
        assert "are in postgresql://acctwin@127.0.0.1" in wrong.stderr
        nothing = address.replace("/postgres", "/nothing")
        wrong = acctwin("data", "serve", "--path", home / "b", "--database", nothing)
        assert wrong.returncode == 1
        assert "cannot be used" in wrong.stderr and "p%40ss" not in wrong.stderr


def test_a_session_opens_the_store_of_its_profile(home, monkeypatch):
    class Opened(Exception):
        """Stops the session there."""

    def opened(*place, **options):
        raise Opened(*place, options)

    checked = load_profile("fodo", None)
    for_runs = DataStore("http://tiled.example.org", 5_000_000)
    changed = replace(checked, data=for_runs)
    monkeypatch.setattr("acctwin.session.open.load_profile", lambda *_: changed)
    monkeypatch.setattr(Store, "open", opened)
    limit = {"waiting_bytes": 5_000_000}
    with pytest.raises(Opened) as found:
        open_session("fodo")
    assert found.value.args == ("http://tiled.example.org", limit)
    with pytest.raises(Opened) as found:
        open_session("fodo", catalog="temporary")
    assert found.value.args == ("temporary", limit)
