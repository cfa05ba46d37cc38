"""Profiles: every fault in one go, at its line and column, with the right words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from acctwin.errors import ConfigError, UnknownName
from acctwin.profiles import load_profile, read_profile
from acctwin.profiles.profile import ElementRef

YAML = """\
machine: ring
description: A ring
lattice:
  source: code:fodo
cells: {first: 3, count: 4}
rf:
  name: RF
  low_hz: 499e6
  high_hz: 501e6
  tolerance_hz: 1
  delta_hz: 1e3
beam:
  current_ma: 200
imperfections:
  magnets:
    - families: [quadrupoles]
      dx_m: 1e-6
"""

MAGNETS = """\
# a comment
name, families, element, component, unit, low, high, tolerance, delta, status
C{cell:02d}/H, hcm, HCM, hkick, rad, -1e-3, 1e-3, 1e-7, 1e-5, 1

C{cell:02d}/Q, QF quadrupoles, QF*2, b1, 1/m^2, 1, 3, 1e-4, 0.1, 1
SK-{n:02d}, skew_quadrupoles, SK[1:7:2], a1, 1/m, -1, 1, 1e-4, 0.1, 0
"""

BPMS = """\
name, families, element, status
B{n}, bpms, BPM[0:8:2], 1
"""

Site = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Write a site and work in it, so that messages hold relative paths."""

    def write(yaml: str = YAML, magnets: str = MAGNETS, bpms: str = BPMS) -> Path:
        for folder in ("devices/ring", "profiles", "plans"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "profiles/ring.yaml").write_text(yaml, encoding="utf-8")
        (tmp_path / "devices/ring/magnets.csv").write_text(magnets, encoding="utf-8")
        (tmp_path / "devices/ring/bpms.csv").write_text(bpms, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return write


def faults(site: Path) -> list[str]:
    return [str(fault) for fault in read_profile("ring", site)[1]]


def test_a_good_profile_is_expanded(site: Site):
    profile = load_profile("ring", site())
    assert profile.families() == {
        "hcm": ("C03/H", "C04/H", "C01/H", "C02/H"),
        "QF": ("C03/Q", "C04/Q", "C01/Q", "C02/Q"),
        "quadrupoles": ("C03/Q", "C04/Q", "C01/Q", "C02/Q"),
        "skew_quadrupoles": ("SK-01", "SK-02", "SK-03"),
        "bpms": ("B1", "B2", "B3", "B4"),
    }
    elements = {row.name: row.element for row in (*profile.magnets, *profile.bpms)}
    assert elements["C01/H"] == ElementRef("HCM", 2)
    assert elements["C04/Q"] == ElementRef("QF", 2, 2)
    assert elements["SK-03"] == ElementRef("SK", 5)
    assert elements["B4"] == ElementRef("BPM", 6)


def test_the_values_of_a_good_profile(site: Site):
    profile = load_profile("ring", site())
    corrector, skew = profile.magnets[0], profile.magnets[-1]
    assert (corrector.low, corrector.high, corrector.delta) == (-1e-3, 1e-3, 1e-5)
    assert corrector.origin.line == 3
    assert corrector.origin.file == "devices/ring/magnets.csv"
    assert corrector.status and not skew.status
    assert profile.rf is not None
    assert (profile.rf.low, profile.rf.delta) == (499e6, 1e3)
    assert profile.rf.origin.line == 6
    assert profile.beam_current_a == 0.2
    assert profile.imperfections.magnets[0].dx == 1e-6
    assert profile.imperfections.cut == 2.0
    assert profile.defaults.correction.iterations == 3
    assert profile.lattice.repeat == 1


def test_waveforms_of_cycles_are_fractions_for_families_that_exist(site: Site):
    cycle = "defaults:\n  cycle:\n    settle_s: 2\n    waveforms: {QF: [1, -0.5]}\n"
    default = load_profile("ring", site(YAML + cycle)).defaults.cycle
    assert default.waveforms == {"QF": (1.0, -0.5)}
    assert (default.settle_s, default.waveform[:2]) == (2.0, (1.0, -1.0))
    (unknown,) = faults(site(YAML + cycle.replace("QF", "quadrupole")))
    assert "profiles/ring.yaml:21:17: no family is called 'quadrupole'; did" in unknown
    (beyond,) = faults(site(YAML + cycle.replace("-0.5", "-1.5")))
    assert "profiles/ring.yaml:21:25: " in beyond
    assert "greater than or equal to -1" in beyond


def test_families_that_set_the_chromaticity_exist(site: Site):
    section = "defaults:\n  chromaticity:\n    order: 3\n    families: [QF]\n"
    default = load_profile("ring", site(YAML + section)).defaults.chromaticity
    assert (default.families, default.order, default.span) == (("QF",), 3, 0.008)
    (unknown,) = faults(site(YAML + section.replace("QF", "QFF")))
    assert "profiles/ring.yaml:21:16: no family is called 'QFF'; did you" in unknown


def test_out_of_service_sets_the_status_of_one_device(site: Site):
    profile = load_profile("ring", site(YAML + "out_of_service: [C04/H, B2]\n"))
    out = [r.name for r in (*profile.magnets, *profile.bpms) if not r.status]
    assert out == ["C04/H", "SK-01", "SK-02", "SK-03", "B2"]


def test_the_hash_follows_every_file(site: Site):
    hashes = {
        load_profile("ring", site()).hash,
        load_profile("ring", site(YAML + "# x\n")).hash,
        load_profile("ring", site(magnets=MAGNETS + "# x\n")).hash,
        load_profile("ring", site(bpms=BPMS + "# x\n")).hash,
    }
    assert len(hashes) == 4
    assert load_profile("ring", site()).hash in hashes


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(site: Site):
    folder = site()
    plain = load_profile("ring", folder)
    for path in folder.rglob("*.*"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8-sig", newline="\r\n")
    assert load_profile("ring", folder).magnets == plain.magnets


MAGNET_FAULTS = [
    ("bad number", "1e-3, 1e-7", "abc, 1e-7", "3:45: bad number 'abc'"),
    ("NaN", "-1e-3,", "nan,", "3:38: bad number 'nan'"),
    ("infinite", "-1e-3,", "-inf,", "3:38: bad number '-inf'"),
    ("empty", "-1e-3,", ",", "3:37: bad number ''"),
    ("order", "-1e-3, 1e-3", "2, 1", "3:38: low 2 is not below high 1"),
    ("delta", "1e-5", "1", "3:57: delta 1 is outside the limits -0.001 … 0.001"),
    ("no delta", "1e-5", "0", "3:57: delta 0 must be above 0"),
    ("tolerance", "1e-7", "-1", "3:51: tolerance -1 must be above 0"),
    (
        "component",
        "hkick",
        "hkik",
        "3:26: unknown component 'hkik'; did you mean 'hkick'",
    ),
    ("unit", "rad,", "mrad,", "3:33: wrong unit 'mrad': hkick is in rad"),
    ("unit of b1", "1/m^2", "T/m", "5:42: wrong unit 'T/m': b1 is in 1/m^2 (1/m for"),
    ("status", "0.1, 0", "0.1, yes", "6:69: status 'yes' must be 1"),
    ("no name", "SK-{n:02d}", "", "6:1: a device needs a name"),
    ("no family", "hcm", "", "3:15: a device needs a family"),
    ("family twice", "hcm", "hcm hcm", "3:16: duplicate family 'hcm'"),
    ("placeholder", "{cell:02d}/H", "{sector}/H", "3:1: bad template 'C{sector}/H'"),
    ("both", "SK-{n:02d}", "SK-{n}-{cell}", "6:1: bad template 'SK-{n}-{cell}'"),
    ("format", "SK-{n:02d}", "SK-{n:zz}", "6:1: bad template 'SK-{n:zz}'"),
    ("brace", "SK-{n:02d}", "SK-{n", "6:1: bad template 'SK-{n'"),
    ("no placeholder", "SK-{n:02d}", "SK", "6:1: 3 devices would all be called 'SK'"),
    ("no end", "SK[1:7:2]", "SK[1:]", "6:1: 'SK-{n:02d}' needs to know how many"),
    ("cells", "HCM", "HCM[0:5]", "3:1: 'C{cell:02d}/H' stands for 4 cells, the el"),
    ("element", "SK[1:7:2]", "SK[1;7]", "6:31: bad element 'SK[1;7]'; write FAMILY"),
    ("empty slice", "SK[1:7:2]", "SK[7:1]", "6:31: bad element 'SK[7:1]': the slice"),
    ("slices", "SK[1:7:2]", "SK[0:7]*2", "6:31: bad element 'SK[0:7]*2': the last"),
    ("overlap", "SK[1:7:2]", "SK[0:7:1]*2", "6:31: bad element 'SK[0:7:1]*2': the"),
    ("too many", "SK[1:7:2]", "SK[0:99999999]", "6:31: bad element 'SK[0:99999999]'"),
    ("quotes", "hcm", '"hcm"', "3:16: quotes have no meaning"),
    ("kind", "hcm", "vcm", "3:16: the family 'vcm' is for vkick, not for hkick"),
    ("BPM family", "hcm", "bpms", "3:16: the family 'bpms' is for BPMs"),
    ("mixed", "hcm", "QF", "5:16: the family 'QF' mixes 1/m^2 and rad (at devices/"),
    ("short line", ", 0.1, 0", "", "6:58: this line ends before 'delta', 'status'"),
    ("long line", "0.1, 0", "0.1, 0, 7", "6:72: one cell too many for 10 columns"),
    ("column", "status\n", "state\n", "2:72: unknown column 'state'; did you mean"),
    ("no column", ", status", "", "2:1: missing column 'status'"),
    ("column twice", "delta,", "low,", "2:65: duplicate column 'low'"),
]


@pytest.mark.parametrize(("_", "old", "new", "wanted"), MAGNET_FAULTS)
def test_a_fault_in_the_magnets(site: Site, _: str, old: str, new: str, wanted: str):
    assert old in MAGNETS
    found = faults(site(magnets=MAGNETS.replace(old, new, 1)))
    expected = f"devices/ring/magnets.csv:{wanted}"
    assert any(fault.startswith(expected) for fault in found), found


YAML_FAULTS = [
    ("key", "description", "descripton", "2:1: unknown key 'descripton'; did you m"),
    ("inner key", "dx_m", "dx", "17:7: unknown key 'dx'; did you mean 'dx_m'?"),
    ("no key", "machine: ring\n", "", "1:1: missing key 'machine': folder of the"),
    ("no inner key", "  delta_hz: 1e3\n", "", "6:1: missing key 'delta_hz': full"),
    ("key twice", "beam:", "rf:", "12:1: duplicate key 'rf'; the first one is at 6:1"),
    ("number", "1e3", "fast", "11:13: delta_hz: bad number 'fast'"),
    ("NaN", "1e3", "nan", "11:13: delta_hz: bad number 'nan'"),
    ("infinite", "1e3", ".inf", "11:13: delta_hz: bad number '.inf'"),
    ("bool", "200", "yes", "13:15: current_ma: write a number, found True"),
    ("nothing", " 200", "", "13:14: current_ma: there is no value"),
    ("whole number", "count: 4", "count: 4.5", "5:26: count: bad number '4.5'"),
    ("negative", "200", "-1", "13:15: current_ma: should be greater than or equal"),
    ("text", "ring\n", "[ring]\n", "1:10: machine: should be a valid string, found a"),
    (
        "lifetime",
        "beam:\n",
        "diagnostics: {lifetime: true}\nbeam:\n",
        "12:25: lifetime: the simulated beam has none: give beam",
    ),
    ("section", "beam:\n  current_ma: 200", "beam: 200", "12:7: beam: expected a sec"),
    ("order", "499e6", "502e6", "8:11: low 5.02e+08 is not below high 5.01e+08"),
    ("delta", "1e3", "1e7", "11:13: delta 1e+07 is outside the limits"),
    ("tolerance", "_hz: 1\n", "_hz: 0\n", "10:17: tolerance 0 must be above 0"),
    ("first cell", "first: 3", "first: 5", "5:16: first 5 is above the number of"),
    ("family", "[quad", "[qad", "16:18: no family is called 'qadrupoles'; did you"),
    ("RF's name", "name: RF", "name: B1", "7:9: duplicate name 'B1'; another"),
    ("machine", "machine: ring", "machine: rings", "1:10: no folder 'rings' in devic"),
    ("scheme", "code:fodo", "cod:fodo", "4:11: unknown source 'cod:fodo'; write at:"),
    ("file", "code:fodo", "ring.mat", "4:11: there is no lattice file"),
    ("syntax", "[quadrupoles]", "[quadrupoles", "17:11: not valid YAML: while pars"),
    ("tab", "  source", "\tsource", "4:1: not valid YAML: while scanning"),
    ("character", "A ring", "\x07", "2:14: not valid YAML: the character '\\x07'"),
    ("anchor", "A ring", "&a [*a]", "2:14: this anchor contains itself"),
]


PINGER = """\
pinger:
  element: SK[3]
  x: {name: P-X, low_rad: 0, high_rad: 2e-3, tolerance_rad: 1e-9, delta_rad: 1e-4}
  y: {name: P-Y, low_rad: -1e-3, high_rad: 1e-3, tolerance_rad: 1e-9, delta_rad: 1e-4}
diagnostics: {emittance: true, turns: 512}
"""
PINGER_FAULTS = [
    ("SK[3]", "SK[0:2]", "19:12: bad element 'SK[0:2]'; write FAMILY or FAMILY[ind"),
    ("SK[3]", "SK]", "19:12: bad element 'SK]'; write FAMILY,"),
    ("P-Y", "P-X", "21:13: duplicate name 'P-X'; another device has it"),
    ("P-Y", "RF", "21:13: duplicate name 'RF'; another device has it"),
    ("P-X", "B1", "20:13: duplicate name 'B1'; another device has it"),
    ("_rad: 0,", "_rad: 1e-4,", "20:27: 0 must be within the limits 0.0001 … 0.002"),
    ("_rad: 2e-3", "_rad: -1", "20:27: low 0 is not below high -1"),
    ("512", "-1", "22:39: turns: should be greater than or equal to 0"),
    ("512", "1.5", "22:39: turns: bad number '1.5'"),
    ("P-X, low_rad: 0", "P-X", "20:3: missing key 'low_rad': lower limit of the kick"),
]


def test_a_pinger_and_further_instruments(site: Site):
    plain = load_profile("ring", site())
    assert plain.pinger is None
    assert (plain.diagnostics.emittance, plain.diagnostics.turns) == (False, 0)
    profile = load_profile("ring", site(yaml=YAML + PINGER))
    assert profile.pinger is not None
    assert profile.pinger.element == ElementRef("SK", 3)
    assert profile.pinger.origin.line == 19
    x, y = profile.pinger.x, profile.pinger.y
    assert x is not None and y is not None
    assert (x.name, x.low, x.high, x.delta) == ("P-X", 0.0, 2e-3, 1e-4)
    assert (y.low, y.tolerance, y.origin.line) == (-1e-3, 1e-9, 21)
    assert (profile.diagnostics.emittance, profile.diagnostics.turns) == (True, 512)


@pytest.mark.parametrize(("old", "new", "wanted"), PINGER_FAULTS)
def test_a_fault_in_the_pinger(site: Site, old: str, new: str, wanted: str):
    assert old in PINGER
    found = faults(site(yaml=YAML + PINGER.replace(old, new, 1)))
    assert any(fault.startswith(f"profiles/ring.yaml:{wanted}") for fault in found), (
        found
    )


@pytest.mark.parametrize(("_", "old", "new", "wanted"), YAML_FAULTS)
def test_a_fault_in_the_yaml_file(site: Site, _: str, old: str, new: str, wanted: str):
    assert old in YAML
    found = faults(site(yaml=YAML.replace(old, new, 1)))
    expected = f"profiles/ring.yaml:{wanted}"
    assert any(fault.startswith(expected) for fault in found), found


def test_without_cells_the_placeholder_is_a_fault(site: Site):
    found = faults(site(yaml=YAML.replace("cells:", "#", 1)))
    assert found == [
        f"devices/ring/magnets.csv:{line}:1: 'C{{cell:02d}}/{name}' needs the key "
        "'cells' in the profile"
        for line, name in ((3, "H"), (5, "Q"))
    ]


def test_a_fault_in_cells_does_not_fall_on_the_tables(site: Site):
    found = faults(site(yaml=YAML.replace("count: 4", "count: four", 1)))
    assert len(found) == 1
    assert found[0].startswith("profiles/ring.yaml:5:26: count: bad number 'four'")


def test_a_duplicate_name_says_where_the_first_one_is(site: Site):
    found = faults(site(bpms=BPMS + "C01/H, bpms, BPM[9], 1\nB3, bpms, BPM, 1\n"))
    assert found == [
        "devices/ring/bpms.csv:3:1: duplicate name 'C01/H'; the first one is at "
        "devices/ring/magnets.csv:3:1",
        "devices/ring/bpms.csv:4:1: duplicate name 'B3'; the first one is at "
        "devices/ring/bpms.csv:2:1",
    ]


def test_a_family_cannot_have_the_name_of_a_device(site: Site):
    found = faults(site(bpms=BPMS + "QF, bpms, BPM[9], 1\n"))
    assert found == [
        "devices/ring/magnets.csv:5:16: 'QF' is the name of a device; "
        "a family needs another name"
    ]


def test_unknown_devices_out_of_service(site: Site):
    found = faults(site(YAML + "out_of_service:\n  - B2\n  - C04/G\n"))
    assert found[0].startswith("profiles/ring.yaml:20:5: no device is called 'C04/G'")
    assert "'C04/H'" in found[0]


def test_every_fault_of_every_file_in_one_go_and_in_order(site: Site):
    yaml = YAML.replace("description", "describtion").replace("499e6", "nan")
    magnets = MAGNETS.replace("hkick", "kick").replace("1/m,", "1/mm,")
    bpms = "name, families, element, status\nB{n}, bpms, BPM[0:8:2], on\nC01/H, b, B, 2"
    found = faults(site(yaml, magnets, bpms))
    assert [fault.split(" ")[0] for fault in found] == [
        "devices/ring/bpms.csv:2:25:",
        "devices/ring/bpms.csv:3:1:",
        "devices/ring/bpms.csv:3:14:",
        "devices/ring/magnets.csv:3:26:",
        "devices/ring/magnets.csv:6:46:",
        "profiles/ring.yaml:2:1:",
        "profiles/ring.yaml:8:11:",
    ]


def test_good_rows_are_there_in_spite_of_faults(site: Site):
    profile, found = read_profile("ring", site(magnets=MAGNETS.replace("hkick", "b")))
    assert len(found) == 1
    assert profile is not None
    assert set(profile.families()) == {"QF", "quadrupoles", "skew_quadrupoles", "bpms"}


def test_load_raises_with_all_faults(site: Site):
    folder = site(magnets=MAGNETS.replace("hkick", "b").replace("1/m,", "m,"))
    with pytest.raises(ConfigError) as caught:
        load_profile("ring", folder)
    assert len(caught.value.faults) == 2
    assert str(caught.value).startswith("2 faults in the configuration:\ndevices/ring")


def test_missing_tables_and_files_that_cannot_be_read(site: Site):
    folder = site()
    (folder / "devices/ring/magnets.csv").unlink()
    (folder / "devices/ring/bpms.csv").unlink()
    (folder / "devices/ring/bpms.csv").mkdir()
    assert faults(folder) == [
        "devices/ring/bpms.csv:1:1: cannot be read: Is a directory",
        "devices/ring/magnets.csv:1:1: there is no such file",
    ]


def test_files_that_are_not_utf_8(site: Site):
    folder = site()
    (folder / "devices/ring/bpms.csv").write_bytes(b"\xef\xbb\xbfname\nab\xe9,x")
    found = faults(folder)
    assert found == [
        "devices/ring/bpms.csv:2:3: not UTF-8 text: found the byte 0xe9; "
        "save the file as UTF-8"
    ]
    (folder / "profiles/ring.yaml").write_bytes(b"machine: \xff")
    assert faults(folder)[0].startswith("profiles/ring.yaml:1:10: not UTF-8 text")


def test_empty_files(site: Site):
    found = faults(site(yaml="", bpms=""))
    assert [fault.split(":", 3)[3] for fault in found] == [
        " missing key 'machine': folder of the tables in devices/",
        " missing key 'lattice': where the lattice comes from",
        " missing key 'beam': the beam that the simulated machine stores",
    ]
    assert faults(site(bpms="# nothing\n"))[0].startswith(
        "devices/ring/bpms.csv:1:1: empty table; its columns are name, families"
    )


def test_an_unknown_profile_offers_the_nearest(site: Site):
    with pytest.raises(UnknownName, match=r"did you mean 'ring'\?"):
        load_profile("rign", site())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("description", "descripton"),
        ("current_ma", "current"),
        ("beam:\n  current_ma: 200\n", ""),
        ("delta_hz: 1e3", "delta_hz: fast"),
        ("dx_m: 1e-6", "dx: 1e-6"),
        ("dx_m: 1e-6", "dx_m: -1"),
    ],
)
def test_a_fault_in_one_section_leaves_a_profile_to_check_on(
    site: Site, old: str, new: str
):
    profile, found = read_profile("ring", site(YAML.replace(old, new, 1)))
    assert found
    assert profile is not None
    assert len(profile.magnets) == 11


@pytest.mark.parametrize(
    ("old", "new"),
    [("source", "sauce"), ("code:fodo", "at:x.mat"), ("machine", "machin")],
)
def test_without_lattice_or_machine_there_is_no_profile(site: Site, old: str, new: str):
    profile, found = read_profile("ring", site(YAML.replace(old, new, 1)))
    assert found
    assert profile is None
