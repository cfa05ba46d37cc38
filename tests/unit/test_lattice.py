from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import at
import pytest

from acctwin.errors import EngineError, UnknownName
from acctwin.model.fodo import fodo_ring
from acctwin.model.lattice import elements_of, match, open_lattice
from acctwin.model.spec import spec_of
from acctwin.profiles import Profile, find_site, load_profile
from acctwin.profiles.profile import ElementRef, LatticeSource, Origin


@pytest.fixture(scope="module")
def fodo() -> Profile:
    return load_profile("fodo", find_site())


def test_every_element_is_its_own_object() -> None:
    ring = open_lattice(LatticeSource("at:hmba.mat", repeat=2))
    assert len(ring) == 242 and ring.periodicity == 1
    assert len({id(e) for e in ring}) == len(ring)
    arrays = [id(e.PolynomB) for e in ring if hasattr(e, "PolynomB")]
    assert len(set(arrays)) == len(arrays)


def test_a_lattice_file_is_opened_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    fodo_ring().save(str(path))
    assert len(open_lattice(LatticeSource(str(path)))) == 257


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("at:hmba", UnknownName, "did you mean 'hmba.mat'"),
        ("code:fudo", UnknownName, "did you mean 'fodo'"),
        ("/nowhere/ring.mat", EngineError, "/nowhere/ring.mat does not exist"),
    ],
)
def test_a_lattice_that_is_not_there(
    source: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_lattice(LatticeSource(source))


def test_a_lattice_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text("{")
    with pytest.raises(EngineError, match=r"broken.json cannot be read: \w+"):
        open_lattice(LatticeSource(str(path)))


def test_elements_are_counted_in_s_order() -> None:
    ring = fodo_ring()
    first, second = elements_of(ring, ElementRef("BEND", 2, 2))
    assert [i for i, e in enumerate(ring) if e.FamName == "BEND"][2:4] == [
        first,
        second,
    ]
    with pytest.raises(UnknownName, match="did you mean 'BEND'"):
        elements_of(ring, ElementRef("BENT", 0))
    with pytest.raises(EngineError, match="has 32 elements.*number 32 is wanted"):
        elements_of(ring, ElementRef("BEND", 31, 2))


def test_the_reference_profile_matches(fodo: Profile) -> None:
    assert match(fodo) == []


def test_all_faults_are_told_at_once_with_their_places(fodo: Profile) -> None:
    quadrupole = next(row for row in fodo.magnets if row.element.family == "QF")
    monitor = fodo.bpms[0]
    wrong = [
        replace(quadrupole, element=ElementRef("BENT", 0), origin=Origin("m.csv", 3)),
        replace(quadrupole, element=ElementRef("QF", 16), origin=Origin("m.csv", 4)),
        replace(quadrupole, unit="1/m", origin=Origin("m.csv", 5)),
        replace(quadrupole, element=ElementRef("D1", 0), origin=Origin("m.csv", 6)),
        quadrupole,
    ]
    missing = replace(monitor, element=ElementRef("BPN", 0), origin=Origin("b.csv", 9))
    faults = match(replace(fodo, magnets=tuple(wrong), bpms=(missing, monitor)))
    assert [(f.file, f.line) for f in faults] == [
        *(("m.csv", line) for line in (3, 4, 5, 6)),
        ("b.csv", 9),
    ]
    words = [str(f) for f in faults]
    assert "no element 'BENT'; did you mean 'BEND'" in words[0]
    assert "has 16 of element 'QF', wanted at least 17" in words[1]
    assert "unit '1/m' found, wanted '1/m^2'" in words[2]
    assert "'D1' (Drift, DriftPass) cannot carry 'b1'" in words[3]
    assert "did you mean 'BPM'" in words[4]


def test_a_lattice_that_does_not_open_is_a_fault_too(fodo: Profile) -> None:
    (fault,) = match(replace(fodo, lattice=LatticeSource("code:fudo")))
    assert fault.file == str(fodo.path) and "did you mean 'fodo'" in fault.message


def test_rf_without_a_cavity_is_a_fault(fodo: Profile, tmp_path: Path) -> None:
    ring = fodo_ring()
    path = tmp_path / "flat.json"
    at.Lattice(ring[:-1], energy=ring.energy).save(str(path))
    flat = replace(fodo, lattice=LatticeSource(str(path)), pinger=None)  # it is there
    (fault,) = match(flat)
    assert "no cavity" in fault.message


def test_spec_keeps_the_order_of_the_tables(fodo: Profile) -> None:
    spec = spec_of(fodo)
    assert [k.name for k in spec.knobs] == [row.name for row in fodo.magnets]
    assert [m.name for m in spec.monitors] == [row.name for row in fodo.bpms]
    assert spec.lattice == fodo.lattice and spec.misalignments == ()
