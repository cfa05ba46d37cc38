from __future__ import annotations

import pytest
from toy import N_COR

from acctwin.data.marks import load_marks, marks_file, save_marks
from acctwin.errors import DataError, UnknownName


def ids(selection):
    return [name[3] for name in selection.names]


def test_by_regular_expression(toy):
    assert ids(toy.machine.hcm.select(regex="T/C[02]-H")) == ["0", "2"]
    with pytest.raises(UnknownName):
        toy.machine.hcm.select(regex="T/C")


def test_by_position(toy):
    hcm = toy.machine.hcm  # at 1, 3, 5, 7 m
    assert ids(hcm.between(3.0, 5.0)) == ["1", "2"]
    assert ids(hcm.between(6.0, 2.0)) == ["0", "3"], "through the end of the ring"
    assert ids(hcm.nearest(4.5)) == ["2"]
    assert ids(hcm.nearest(4.4, 2)) == ["1", "2"]


def test_set_algebra_keeps_the_order_of_the_family(toy):
    hcm = toy.machine.hcm
    some = hcm.select("T/C3-H") | hcm.select("T/C0-H")
    assert ids(some) == ["0", "3"]
    assert ids(hcm - some) == ["1", "2"]
    assert ids(hcm & some) == ["0", "3"]
    assert ids(some & toy.machine["CORH"].select("T/C0*")) == ["0"]
    assert ids(some | toy.machine["CORH"]) == list("0123")
    with pytest.raises(UnknownName):
        some | toy.machine.vcm
    assert len(hcm & toy.machine.vcm) == 0


def test_good_follows_the_marks(toy):
    hcm = toy.machine.hcm
    some = hcm.select("T/C[01]-H")
    hcm.mark_bad("T/C0-H")
    assert ids(some.good()) == ["1"]
    assert len(hcm.all()) == N_COR


def test_marks_tell_what_differs_from_the_profile(toy):
    heard = []
    toy.machine.status.listeners.append(heard.append)
    toy.machine.mark_bad("T/C0-H", "T/B1")
    toy.machine.mark_good("T/B1")
    assert heard == [{"T/B1": False, "T/C0-H": False}, {"T/C0-H": False}]


def test_marks_are_kept_in_a_file(tmp_path):
    path = marks_file(tmp_path, "toy")
    assert load_marks(path) == {}
    save_marks(path, {"T/C0-H": False})
    assert load_marks(path) == {"T/C0-H": False}
    path.write_text('{"T/C0-H": "bad"}')
    with pytest.raises(DataError, match="true or false"):
        load_marks(path)
    assert list(path.parent.iterdir()) == [path]
