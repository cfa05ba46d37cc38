from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from acctwin.data.scan_id import next_scan_id
from acctwin.errors import DataError


def test_ids_go_on_from_one(tmp_path):
    assert [next_scan_id(tmp_path) for _ in range(3)] == [1, 2, 3]


def test_no_id_is_given_twice(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: next_scan_id(tmp_path), range(64)))
    assert sorted(ids) == list(range(1, 65))


def test_a_spoilt_file_is_an_error(tmp_path):
    (tmp_path / "scan_id").write_text("seven")
    with pytest.raises(DataError, match="should hold the last scan id, not 'seven'"):
        next_scan_id(tmp_path)
