"""``acctwin check`` and ``acctwin show``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from acctwin.cli.main import app


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with the FODO ring in it, to be spoiled."""
    reference = Path(__file__).parents[2]
    for name in ("profiles/fodo.yaml", "devices/fodo/bpms.csv"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((reference / name).read_bytes())
    (tmp_path / "devices/fodo/magnets.csv").write_text(
        "name,families,element,component,unit,low,high,tolerance,delta,status\n"
        "C{cell:02d}/HCM,hcm,HCM,hkick,rad,-1e-3,1e-3,1e-6,1e-5,1\n"
        "C{cell:02d}/VCM,vcm,VCM,vkick,rad,-1e-3,1e-3,1e-6,1e-5,1\n"
        "C{cell:02d}/QF,QF quadrupoles,QF,b1,1/m^2,1,3,1e-4,0.1,1\n"
        "C{cell:02d}/SF,SF sextupoles,SF,b2,1/m^3,1,9,1e-4,0.1,1\n"
        "C{cell:02d}/QD,QD quadrupoles,QD,b1,1/m^2,-3,-1,1e-4,0.1,1\n"
        "C{cell:02d}/SD,SD,SD,b2,1/m^3,-20,0,1e-4,0.1,1\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spoil(site: Path, name: str, old: str, new: str) -> None:
    path = site / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_check_prints_a_summary():
    result = run("check", "fodo")
    assert result.exit_code == 0
    assert "code:fodo, 257 elements" in result.stdout
    assert "1.5 GeV" in result.stdout
    assert "75.200000 m" in result.stdout
    assert "498.325" in result.stdout
    words = [line.split() for line in result.stdout.splitlines()]
    assert ["bpms", "32", "32", "x,", "y", "m"] in words
    assert ["quadrupoles", "32", "32", "b1", "1/m^2"] in words


def test_check_prints_every_fault_at_once_those_of_the_lattice_too(site: Path):
    spoil(site, "profiles/fodo.yaml", "description", "descripton")
    spoil(site, "devices/fodo/bpms.csv", "C{cell:02d}/BPM2", "C{cell:02d}/BPM1")
    spoil(site, "devices/fodo/magnets.csv", ",HCM,", ",HCN,")
    spoil(site, "devices/fodo/magnets.csv", ",vkick,rad", ",vkick,mrad")
    spoil(site, "devices/fodo/magnets.csv", "1/m^2,1,", "1/m^2,one,")
    spoil(site, "devices/fodo/magnets.csv", "1/m^3", "1/m^2")
    result = run("check", "fodo", "--site", ".")
    assert result.exit_code == 1
    lines = [line.split(" ")[0] for line in result.stdout.splitlines()]
    in_the_lattice = ("devices/fodo/magnets.csv:2:", "devices/fodo/magnets.csv:5:")
    assert [line for line in lines if not line.startswith(in_the_lattice)] == [
        "devices/fodo/bpms.csv:5:1:",
        "devices/fodo/magnets.csv:3:31:",
        "devices/fodo/magnets.csv:4:43:",
        "profiles/fodo.yaml:3:1:",
    ]
    assert len([line for line in lines if line.startswith(in_the_lattice)]) == 2
    assert lines == sorted(lines)
    assert "no element 'HCN'; did you mean 'HCM'" in result.stdout
    assert "(and 15 more on this line)" in result.stdout
    assert result.stderr == "6 faults\n"


def test_check_looks_for_the_pinger_in_the_lattice(site: Path):
    spoil(site, "profiles/fodo.yaml", "element: RF ", "element: HCN ")
    result = run("check", "fodo", "--site", ".")
    (line,) = result.stdout.splitlines()
    assert line.startswith("profiles/fodo.yaml:20:12: pinger: the lattice has no ele")
    assert "'HCN'; did you mean 'HCM'" in line


def test_check_as_json(site: Path):
    good = json.loads(run("check", "fodo", "--site", ".", "--json").stdout)
    assert good["faults"] == []
    assert good["machine"]["energy_ev"] == 1.5e9
    assert good["families"][0]["family"] == "hcm"
    spoil(site, "devices/fodo/magnets.csv", ",vkick,rad", ",vkick,mrad")
    result = run("check", "fodo", "--site", ".", "--json")
    (fault,) = json.loads(result.stdout)["faults"]
    assert result.exit_code == 1
    assert (fault["file"], fault["line"]) == ("devices/fodo/magnets.csv", 3)


def test_show_lists_families():
    found = json.loads(run("show", "fodo", "--json").stdout)
    counts = {row["family"]: (row["devices"], row["unit"]) for row in found}
    assert counts["hcm"] == (16, "rad")
    assert counts["bpms"] == (32, "m")
    assert counts["RF"] == (1, "Hz")
    assert counts["PINGER-V"] == (1, "rad")
    assert list(counts)[:2] == ["hcm", "vcm"]


def test_show_lists_the_devices_of_a_family_in_s_order():
    found = json.loads(run("show", "fodo", "quadrupoles", "--json").stdout)
    assert [row["name"] for row in found[:3]] == ["C01/QF", "C01/QD", "C02/QF"]
    assert [row["s"] for row in found] == sorted(row["s"] for row in found)
    assert found[0]["s"] == pytest.approx(0.15)
    assert found[2]["s"] == pytest.approx(75.2 / 16 + 0.15)
    assert found[0]["element"] == "QF[0]"
    assert (found[0]["unit"], found[0]["status"]) == ("1/m^2", 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [("C03/BPM2", "BPM[5]"), ("RF", "Hz"), ("C16/SF", "1/m^3"), ("PINGER-H", "rad")],
)
def test_show_one_device(name: str, words: str):
    result = run("show", "fodo", name)
    assert result.exit_code == 0
    heading, _, device = result.stdout.splitlines()
    assert heading.startswith(f"fodo: {name}")
    assert device.startswith(name)
    assert words in device


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("check", "fodoo"), "'fodo'"),
        (("show", "fodoo"), "'fodo'"),
        (("show", "fodo", "sextupole"), "'sextupoles'"),
        (("show", "fodo", "C01/QG"), "'C01/QF'"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(
    arguments: tuple[str, ...], near: str
):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert near in result.stderr


def test_show_of_a_faulty_profile_prints_the_faults(site: Path):
    spoil(site, "devices/fodo/magnets.csv", ",vkick,rad", ",vkick,mrad")
    result = run("show", "fodo", "--site", ".")
    assert result.exit_code == 1
    assert "devices/fodo/magnets.csv:3:31: wrong unit 'mrad'" in result.stderr


@pytest.mark.parametrize("command", ["check", "show"])
def test_help_fits_a_screen(command: str):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 24


def test_the_version():
    assert run("--version").stdout.startswith("acctwin ")


def test_show_lists_supplies_and_what_they_feed():
    whole = json.loads(run("show", "fodo", "--json").stdout)
    (supplies,) = [row for row in whole if row["family"] == "supplies"]
    assert supplies["devices"] == 67
    rows = json.loads(run("show", "fodo", "QF", "--json").stdout)
    assert rows[0]["supply"] == "C01/PS-QF"
    (one,) = json.loads(run("show", "fodo", "C01/PS-QF", "--json").stdout)
    assert (one["unit"], one["low"], one["high"]) == ("A", 0, 200)


def test_show_knows_what_was_marked(tmp_path: Path):
    from acctwin.data.marks import marks_file, save_marks

    save_marks(marks_file(tmp_path, "fodo"), {"C01/QF": False})
    rows = json.loads(
        run("show", "fodo", "QF", "--catalog", str(tmp_path), "--json").stdout
    )
    assert [row["status"] for row in rows][:2] == [0, 1]
