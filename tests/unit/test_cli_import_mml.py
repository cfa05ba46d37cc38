"""``acctwin import-mml``."""

from __future__ import annotations

import json
from pathlib import Path

import at
import numpy as np
import pytest
import scipy.io
from fodo_mml import RING, structures, write_mat
from typer.testing import CliRunner, Result

from acctwin.cli.main import app


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def with_lattice(path: Path, shift: int) -> Path:
    """Write a set-up with a THERING, as Matlab has it: with a RingParam or without."""
    at.save_lattice(RING, str(path), use="THERING")
    entries = list(scipy.io.loadmat(path)["THERING"].ravel())
    first = entries[0][0, 0]
    assert first["Class"][0] == "RingParam"
    cells = np.empty((len(entries) - 1 + shift, 1), dtype=object)
    cells[:, 0] = entries[1 - shift :]
    ao, ad = structures()
    for family in ao.values():
        if "AT" in family:
            family["AT"]["ATIndex"] = family["AT"]["ATIndex"] + shift
    return write_mat(path, ao, ad, THERING=cells)


def test_the_site_passes_the_check(folder: Path):
    write_mat(folder / "setup.mat")
    done = run("import-mml", "setup.mat", "--out", "lab", "--lattice", "code:fodo")
    assert done.exit_code == 0, done.output
    assert "BPMx 32, BPMy 32, HCM 16" in done.stdout
    assert "written    lab/profiles/fodoring.yaml" in done.stdout
    assert "left out   DCCT, TUNE: every machine of acctwin has one" in done.stdout
    assert "try: acctwin check fodoring --site lab" in done.stderr
    checked = run("check", "fodoring", "--site", "lab")
    assert checked.exit_code == 0, checked.output
    words = [line.split() for line in checked.stdout.splitlines()]
    assert ["quadrupoles", "32", "32", "b1", "1/m^2"] in words
    assert "1.5 GeV" in checked.stdout


def test_as_json(folder: Path):
    ao, ad = structures()
    ao["HCM"]["Setpoint"]["Toherance"] = 1.0
    write_mat(folder / "setup.mat", ao, ad)
    done = run(
        "import-mml", "setup.mat", "--out", "lab", "--lattice", "code:fodo", "--json"
    )
    result = json.loads(done.stdout)
    assert result["faults"] == []
    assert result["devices"]["QD"] == 16
    assert [path.split("/")[-1] for path in result["files"]] == [
        "fodoring.yaml",
        "magnets.csv",
        "bpms.csv",
        "supplies.csv",
        "curves.csv",
    ]
    (slip,) = [n for n in result["notes"] if n["where"].endswith("Toherance")]
    assert slip["where"] == "HCM.Setpoint.Toherance"
    assert "did you mean 'Tolerance'" in slip["reason"]


def test_a_lattice_that_does_not_fit_exits_with_1_and_says_where(folder: Path):
    ao, ad = structures()
    ao["QF"]["AT"]["ATIndex"] += 1
    ad["Energy"] = 2.0
    write_mat(folder / "setup.mat", ao, ad)
    done = run("import-mml", "setup.mat", "--out", "lab", "--lattice", "code:fodo")
    assert done.exit_code == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("fault")]
    assert any("'HCM' (Corrector" in line and "'b1'" in line for line in faults)
    assert any("energy_gev: 2 found, the lattice has 1.5" in line for line in faults)
    assert "check      QF.Position: 1QF1 is at 0 m, its ATIndex at 0.3 m" in done.stdout


def test_currents_that_cannot_give_the_lattice_are_found(folder: Path):
    ao, ad = structures()
    ao["QD"]["Setpoint"]["Range"][:, 1] = 50.0
    write_mat(folder / "setup.mat", ao, ad)
    done = run("import-mml", "setup.mat", "--out", "lab", "--lattice", "code:fodo")
    assert done.exit_code == 1
    (fault,) = [x for x in done.stdout.splitlines() if x.startswith("fault")]
    assert "Range or HW2PhysicsParams do not go with the lattice: " in fault
    assert "1QD1" in fault


@pytest.mark.parametrize("shift", [0, 1])
def test_the_lattice_may_be_in_the_set_up(folder: Path, shift: int):
    with_lattice(folder / "setup.mat", shift)
    done = run("import-mml", "setup.mat", "--out", "lab")
    assert done.exit_code == 0, done.output
    assert "check " not in done.stdout
    assert (folder / "lab/devices/fodoring/setup.mat").is_file()
    shown = run("show", "fodoring", "1QD1", "--site", "lab")
    assert "QD[0]    2.5 " in shown.stdout, "m: half a cell, half a magnet"


def test_without_a_lattice_nothing_is_written(folder: Path):
    write_mat(folder / "setup.mat")
    done = run("import-mml", "setup.mat", "--out", "lab")
    assert done.exit_code == 1
    assert "no THERING; name the lattice with --lattice" in done.stderr
    assert not (folder / "lab").exists()
    lost = run("import-mml", "setup.mat", "--out", "lab", "--lattice", "ring.mat")
    assert "there is no lattice file ring.mat" in lost.stderr
    unknown = run("import-mml", "setup.mat", "--out", "lab", "--lattice", "code:fod")
    assert unknown.exit_code == 2
    assert "did you mean 'fodo'" in unknown.stderr


def test_nothing_to_take_over_is_an_error_with_the_reasons(folder: Path):
    write_mat(folder / "setup.mat", {"KICKER": {"DeviceList": np.array([[1.0, 1.0]])}})
    done = run("import-mml", "setup.mat", "--out", "lab", "--lattice", "code:fodo")
    assert done.exit_code == 1
    assert "KICKER: no kind of device that acctwin knows" in done.stderr
    assert not (folder / "lab").exists()


def test_help_fits_a_screen():
    result = run("import-mml", "--help")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 24
