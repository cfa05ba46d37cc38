"""Locks, keys and places of the store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest

from acctwin.data import client
from acctwin.data.folders import (
    FileLock,
    ServiceConfig,
    StoreFolder,
    make_private,
    read_json,
    remove_journal,
    user_data_folder,
    write_json,
)
from acctwin.data.server import serve
from acctwin.errors import DataError


def test_a_lock_is_exclusive_until_released(tmp_path):
    one, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire() and one.acquire()
    assert not other.acquire()
    one.release()
    assert other.acquire()
    assert not one.is_held
    other.release()


def test_a_lock_is_freed_when_its_process_dies(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from acctwin.data.folders import FileLock\n"
        f"assert FileLock(Path({str(path)!r})).acquire(); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        lock = FileLock(path)
        assert not lock.acquire()
        process.kill()
        process.wait()
        assert lock.acquire()
        lock.release()


def test_the_api_key_is_private_and_lasting(tmp_path):
    folder = StoreFolder(tmp_path)
    key = folder.api_key()
    assert len(key) == 64
    assert folder.api_key() == key
    assert (tmp_path / "api_key").stat().st_mode & 0o777 == 0o600


def test_the_data_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ACCTWIN_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_data_folder() == tmp_path / "acctwin"
    monkeypatch.setenv("ACCTWIN_DATA", str(tmp_path / "mine"))
    assert user_data_folder() == tmp_path / "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot make the data folder .*file/store"):
        make_private(tmp_path / "file" / "store")


def test_json_is_replaced_whole(tmp_path):
    path = tmp_path / "x.json"
    assert read_json(path) == {}
    write_json(path, {"a": 1})
    write_json(path, {"b": 2})
    assert read_json(path) == {"b": 2}
    assert list(tmp_path.iterdir()) == [path]


def test_a_journal_folder_with_a_run_in_it_is_not_removed(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "uploaded").mkdir(parents=True)
        (tmp_path / name / "uploaded" / "u.done").write_text("")
        (tmp_path / name / "session.lock").write_text("")
    (tmp_path / "two" / "v.refused").write_text("")
    remove_journal(tmp_path / "one")
    remove_journal(tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    assert (tmp_path / "two" / "v.refused").exists()


def test_the_key_is_taken_from_a_url():
    assert client.split_url("http://host:8000/api?api_key=abc") == (
        "http://host:8000/api",
        "abc",
    )
    assert client.split_url("http://host:8000") == ("http://host:8000", None)


def test_the_service_reads_what_the_session_says():
    config = ServiceConfig("/store", "me", url="http://host", api_key="k")
    assert ServiceConfig(**json.loads(config.to_line())) == config


def test_importing_the_data_layer_imports_nothing_slow():
    code = (
        "import sys, acctwin.data, acctwin.data.service\n"
        "slow = {'tiled', 'bluesky_tiled_plugins', 'databroker', 'xarray', 'httpx',"
        " 'bluesky', 'uvicorn', 'pandas'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_store_is_served_by_one_process_only(tmp_path):
    lock = FileLock(tmp_path / "owner.lock")
    assert lock.acquire()
    write_json(tmp_path / "server.json", {"uri": "http://127.0.0.1:9", "pid": 77})
    with pytest.raises(DataError, match=r"already served at http://127.0.0.1:9 .* 77"):
        serve(tmp_path, threading.Event())
    lock.release()


def test_a_given_api_key_replaces_the_old_one(tmp_path):
    folder = StoreFolder(tmp_path)
    folder.api_key()
    folder.set_api_key("mine")
    assert folder.api_key() == "mine"
    assert (tmp_path / "api_key").stat().st_mode & 0o777 == 0o600
