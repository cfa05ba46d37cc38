"""Where a store's runs are: its server never looks elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from acctwin.data import Store
from acctwin.data.app import check_database, without_password
from acctwin.data.folders import StoreFolder, write_json
from acctwin.errors import DataError

DATABASE = "postgresql://operator:secret@db.example.org:5432/runs"
PLAIN = "postgresql://operator@db.example.org:5432/runs"


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    found = StoreFolder(tmp_path)
    found.tiled.mkdir()
    return found


def test_an_empty_store_may_go_anywhere(folder):
    check_database(folder, None)
    check_database(folder, DATABASE)


def test_files_stay_files(folder):
    folder.catalogue_file.touch()
    check_database(folder, None)
    with pytest.raises(
        DataError, match="in its own files, not in postgresql://op"
    ) as e:
        check_database(folder, DATABASE)
    assert "secret" not in str(e.value)


def test_a_database_stays_that_database(folder):
    write_json(folder.database_file, {"database": PLAIN})
    check_database(folder, DATABASE)
    check_database(folder, DATABASE.replace("secret", "changed"))
    with pytest.raises(DataError, match=f"are in {PLAIN}, not in files"):
        check_database(folder, None)
    with pytest.raises(DataError, match="not in postgresql://operator@elsewhere"):
        check_database(folder, DATABASE.replace("db.example.org", "elsewhere"))


@pytest.mark.parametrize("wrong", ["mysql://a:secret@b/c", "runs.db", "sqlite:///x"])
def test_other_databases_are_refused(folder, wrong):
    with pytest.raises(DataError, match="is not one of PostgreSQL") as e:
        check_database(folder, wrong)
    assert "secret" not in str(e.value)


def test_a_password_is_not_shown():
    assert without_password(DATABASE) == PLAIN
    assert without_password("postgresql:///runs") == "postgresql:///runs"
    assert without_password(None) is None


def test_a_session_on_the_folder_of_a_database_waits_for_its_server(folder):
    write_json(folder.database_file, {"database": PLAIN})
    with Store.open(folder.root) as store:
        store.wait(lambda: (store.journal.folder / "status.json").exists(), 20)
        with pytest.raises(DataError, match=f"in {PLAIN} and nobody serves them"):
            store.connect(0.5)
    assert not folder.catalogue_file.exists()
