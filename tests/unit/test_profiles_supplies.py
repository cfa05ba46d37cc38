"""Supplies in a profile: what the tables mean, and every fault at its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acctwin.calibration.curves import Linear, Polynomial, Table
from acctwin.calibration.rigidity import rigidity
from acctwin.errors import UnknownName
from acctwin.profiles import load_profile, read_profile
from acctwin.profiles.profile import Feed
from acctwin.profiles.supplies import map_of, supply_map

YAML = """\
machine: ring
energy_gev: 3
lattice:
  source: code:fodo
cells: {first: 3, count: 4}
beam:
  current_ma: 200
"""

MAGNETS = """\
name, families, element, component, unit, low, high, tolerance, delta, status, supply, \
length_m, scale
C{cell}/Q, quadrupoles, QF, b1, 1/m^2, -2, -0.5, 1e-4, 0.1, 1, C{cell}/PS-Q*-1, 0.3, 1
S{n}, sextupoles, SX[0:4], b2, 1/m^2, 0, 1, 1e-4, 0.1, 1, PS-S, -, 1.002 0.998
H{n}, hcm, COR[0:2], hkick, rad, -1e-3, 1e-3, 1e-7, 1e-5, 1, PS-{n}a PS-{n}b, -, 1
V{n}, vcm, COR[0:2], vkick, rad, -1e-3, 1e-3, 1e-7, 1e-5, 1, PS-{n}a PS-{n}b*-1, -, 1
PM, bends, PM, angle, rad, 0, 0.1, 1e-7, 1e-5, 1, -, -, 1
"""

BPMS = """\
name, families, element, status
B1, bpms, BPM, 1
"""

SUPPLIES = """\
name, count, unit, low, high, tolerance, ramp_a_per_s, curve, status
C{cell}/PS-Q, 4, A, 0, 100, 1e-3, 10, quad, 1
PS-S, 1, A, 0, 100, 1e-3, 10, sext, 1
PS-{n}a, 2, A, -10, 10, 1e-3, 10, coil, 1
PS-{n}b, 2, A, -10, 10, 1e-3, 10, coil, 1
"""

CURVES = """\
name, kind, low, high, values
quad, polynomial, -1, 110, 0 0.1 0 -1e-6
sext, table, -, -, 0:0 50:6 100:11
coil, linear, -11, 11, 2e-3
"""

FILES = {
    "profiles/ring.yaml": YAML,
    "devices/ring/magnets.csv": MAGNETS,
    "devices/ring/bpms.csv": BPMS,
    "devices/ring/supplies.csv": SUPPLIES,
    "devices/ring/curves.csv": CURVES,
}

Site = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Write a site, with other text where a file's name is given."""

    def write(**changes: str | None) -> Path:
        (tmp_path / "plans").mkdir(exist_ok=True)
        for name, text in FILES.items():
            path, text = tmp_path / name, changes.get(Path(name).stem, text)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return write


def faults(site: Path) -> list[str]:
    return [str(fault) for fault in read_profile("ring", site)[1]]


def test_the_supplies_of_a_good_profile(site: Site):
    profile = load_profile("ring", site())
    assert profile.energy_ev == 3e9
    names = [supply.name for supply in profile.supplies]
    cells = [f"C{cell}/PS-Q" for cell in (3, 4, 1, 2)]
    assert names == [*cells, "PS-S", "PS-1a", "PS-2a", "PS-1b", "PS-2b"]
    first = profile.supplies[0]
    assert (first.low, first.high, first.tolerance, first.ramp) == (0, 100, 1e-3, 10)
    assert first.origin.line == 2
    assert first.status
    assert first.curve == Polynomial((0, 0.1, 0, -1e-6), -1, 110)
    assert profile.supplies[4].curve == Table((0, 50, 100), (0, 6, 11))
    assert profile.supplies[5].curve == Linear(2e-3, 0, -11, 11)
    assert profile.supplies[5].curve is profile.supplies[8].curve


def test_what_feeds_the_magnets(site: Site):
    magnets = {row.name: row for row in load_profile("ring", site()).magnets}
    assert magnets["C1/Q"].feeds == (Feed("C1/PS-Q", -1.0),)
    assert magnets["C1/Q"].length == 0.3
    scales = [magnets[f"S{n}"].feeds[0].weight for n in (1, 2, 3, 4)]
    assert scales == [1.002, 0.998, 1.002, 0.998]
    assert magnets["S1"].length == 1.0
    assert magnets["V2"].feeds == (Feed("PS-2a", 1.0), Feed("PS-2b", -1.0))
    assert magnets["PM"].feeds == ()


def test_the_map_of_a_profile(site: Site):
    profile = load_profile("ring", site())
    calibration = supply_map(profile)
    assert "PM" not in calibration.magnets
    assert calibration.units[0] == "1/m^2"
    currents = np.array([50.0, 50, 50, 50, 25, 1, 2, 3, 4])
    b_rho = rigidity(3e9)
    strengths = calibration.strengths(currents, b_rho)
    found = dict(zip(calibration.magnets, strengths, strict=True))
    quad = -(0.1 * 50 - 1e-6 * 50**3) / 0.3 / b_rho
    assert found["C4/Q"] == pytest.approx(quad, rel=1e-14)
    assert found["S1"] / found["S2"] == pytest.approx(1.002 / 0.998)
    assert found["H1"] == pytest.approx(2e-3 * (1 + 3) / b_rho)
    assert found["V2"] == pytest.approx(2e-3 * (2 - 4) / b_rho)


def test_a_profile_without_supplies_is_legal(site: Site):
    magnets = "\n".join(",".join(line.split(",")[:10]) for line in MAGNETS.splitlines())
    yaml = YAML.replace("energy_gev: 3\n", "")
    folder = site(ring=yaml, magnets=magnets, supplies=None, curves=None)
    profile = load_profile("ring", folder)
    assert profile.supplies == ()
    assert profile.energy_ev is None
    assert {row.feeds for row in profile.magnets} == {()}
    assert supply_map(profile).magnets == ()


def test_the_scale_may_be_left_out(site: Site):
    magnets = "\n".join(line.rsplit(",", 1)[0] for line in MAGNETS.splitlines())
    profile = load_profile("ring", site(magnets=magnets))
    assert profile.magnets[4].feeds == (Feed("PS-S", 1.0),)


def test_a_supply_out_of_service_takes_its_magnets_with_it(site: Site):
    out = "out_of_service: [PS-2a]\n"
    profile = load_profile("ring", site(ring=YAML + out))
    assert [row.name for row in profile.supplies if not row.status] == ["PS-2a"]
    assert [row.name for row in profile.magnets if not row.status] == ["H2", "V2"]
    supplies = SUPPLIES.replace("sext, 1", "sext, 0")
    profile = load_profile("ring", site(supplies=supplies))
    idle = [row.name for row in profile.magnets if not row.status]
    assert idle == ["S1", "S2", "S3", "S4"]


def test_the_hash_follows_the_new_tables(site: Site):
    hashes = {
        load_profile("ring", site()).hash,
        load_profile("ring", site(supplies=SUPPLIES + "# x\n")).hash,
        load_profile("ring", site(curves=CURVES + "# x\n")).hash,
    }
    assert len(hashes) == 3


MAGNET_FAULTS = [
    ("unknown", "PS-S,", "PS-T,", "3:59: no supply is called 'PS-T'; did you mean"),
    ("nothing", "PS-S,", ",", "3:58: name a supply, or write - for none"),
    ("weight", "PS-Q*-1", "PS-Q*x", "2:64: bad supply 'C{cell}/PS-Q*x'; write NAME"),
    ("zero", "PS-Q*-1", "PS-Q*0", "2:64: bad supply 'C{cell}/PS-Q*0'; write NAME"),
    ("twice", "PS-{n}b,", "PS-{n}a,", "4:62: 'PS-{n}a' is there twice"),
    ("placeholder", "PS-S,", "PS-{n,", "3:59: bad template 'PS-{n'"),
    ("other", "PS-S,", "PS-{cell},", "3:59: the supply 'PS-{cell}' has {cell}, the"),
    ("number", "0.3", "long", "2:81: bad number 'long'"),
    ("length", "0.3", "0", "2:81: length 0 m must be above 0"),
    ("no length", "0.3", "-", "2:81: b1 in 1/m^2 needs the magnet's length"),
    ("integrated", "PS-S, -", "PS-S, 0.1", "3:65: b2 in 1/m^2 is integrated; write -"),
    ("scale", "1.002 0.998", "1.002 -1", "3:68: bad scale '1.002 -1'; write numbers"),
    ("no scale", "1.002 0.998", "", "3:67: bad scale ''; write numbers"),
    ("share", "1.002 0.998", "1 1 1", "3:68: 3 scales do not share out among 4"),
    ("low", "b1, 1/m^2, -2", "b1, 1/m^2, -9", "2:40: C3/Q: low -9 1/m^2 cannot be"),
    ("high", "-0.5, 1e-4", "0.5, 1e-4", "2:44: C3/Q: high 0.5 1/m^2 cannot be reac"),
    ("column", ", supply", ", suply", "1:80: unknown column 'suply'; did you mean 's"),
    ("no column", "length_m", "length", "1:1: missing column 'length_m'"),
    (
        "too few",
        "vkick, rad, -1e-3, 1e-3, 1e-7, 1e-5, 1, PS-{n}a PS-{n}b*-1",
        "vkick, rad, -1e-3, 1e-3, 1e-7, 1e-5, 1, PS-{n}a PS-S",
        "3:59: S1, S2, S3, S4, H1: 8 functions on 5 supplies cannot be set one by one",
    ),
    ("alike", "PS-{n}b*-1", "PS-{n}b*1", "4:62: H1, V1: the weights are too much al"),
]


@pytest.mark.parametrize(("_", "old", "new", "wanted"), MAGNET_FAULTS)
def test_a_fault_in_the_magnets(site: Site, _: str, old: str, new: str, wanted: str):
    assert old in MAGNETS
    found = faults(site(magnets=MAGNETS.replace(old, new, 1)))
    expected = f"devices/ring/magnets.csv:{wanted}"
    assert any(fault.startswith(expected) for fault in found), found


SUPPLY_FAULTS = [
    (
        "idle",
        "PS-S, 1",
        "PS-S, 1, A, 0, 1, 1, 1, sext, 1\nPS-T, 1",
        "4:1: no magnet is f",
    ),
    ("idle", "PS-{n}a, 2", "PS-{n}a, 4", "4:1: no magnet is fed by 'PS-3a' and 1 more"),
    ("curve", "quad", "quads", "2:39: no curve is called 'quads'; did you mean 'quad'"),
    ("unit", "4, A", "4, kA", "2:18: wrong unit 'kA': supplies are in A"),
    (
        "name",
        "PS-S,",
        ",",
        "3:1: bad name ''; a supply needs one, without blanks and *",
    ),
    ("blank", "PS-S,", "PS S,", "3:1: bad name 'PS S'; a supply needs one, without"),
    ("star", "PS-S,", "PS*S,", "3:1: bad name 'PS*S'; a supply needs one, without"),
    ("count", "PS-S, 1", "PS-S, one", "3:7: bad count 'one'; write how many"),
    ("no count", "PS-S, 1", "PS-S, 0", "3:7: bad count '0'; write how many"),
    (
        "cells",
        "Q, 4",
        "Q, 3",
        "2:1: 'C{cell}/PS-Q' stands for 4 cells, the count for 3",
    ),
    ("one name", "PS-S, 1", "PS-S, 2", "3:1: 2 devices would all be called 'PS-S'"),
    ("order", "0, 100", "100, 0", "2:21: low 100 is not below high 0"),
    ("tolerance", "1e-3", "0", "2:29: tolerance 0 must be above 0"),
    ("ramp", "1e-3, 10", "1e-3, -1", "2:35: the ramp must be above 0"),
    ("number", "1e-3, 10", "1e-3, fast", "2:35: bad number 'fast'"),
    ("NaN", "0, 100", "nan, 100", "2:21: bad number 'nan'"),
    ("low", "0, 100", "-2, 100", "2:21: low -2 A is outside the curve 'quad', -1 to"),
    ("high", "0, 100", "0, 111", "2:24: high 111 A is outside the curve 'quad', -1"),
    ("status", "quad, 1", "quad, on", "2:45: status 'on' must be 1"),
    ("twice", "PS-{n}b, 2", "PS-{n}a, 2", "5:1: duplicate name 'PS-1a'; the first o"),
    ("a magnet's", "PS-S, 1", "S1, 1", "3:1: duplicate name 'S1'; the first one is"),
    ("short", ", coil, 1", "", "4:31: this line ends before 'curve', 'status'"),
    ("column", "ramp_a_per_s", "ramp", "1:1: missing column 'ramp_a_per_s'"),
    ("column", "tolerance", "tolerence", "1:31: unknown column 'tolerence'; did you"),
]


@pytest.mark.parametrize(("_", "old", "new", "wanted"), SUPPLY_FAULTS)
def test_a_fault_in_the_supplies(site: Site, _: str, old: str, new: str, wanted: str):
    assert old in SUPPLIES
    found = faults(site(supplies=SUPPLIES.replace(old, new, 1)))
    expected = f"devices/ring/supplies.csv:{wanted}"
    assert any(fault.startswith(expected) for fault in found), found


CURVE_FAULTS = [
    ("kind", "polynomial", "polinomial", "2:7: unknown kind 'polinomial'; did you me"),
    ("kind", "linear", "cubic", "4:7: unknown kind 'cubic'; known are linear, poly"),
    ("number", "0.1 0", "0,1 0", "2:32: one cell too many for 5 columns"),
    ("number", "2e-3", "2e-3x", "4:24: bad value '2e-3x'; a linear is GAIN, or GAIN"),
    ("infinite", "2e-3", "inf", "4:24: bad value 'inf'; a linear is GAIN"),
    ("values", "2e-3", "1 2 3", "4:24: 3 values; a linear is GAIN, or GAIN OFFSET"),
    ("no values", "2e-3", "", "4:23: 0 values; a linear is GAIN"),
    ("pair", "50:6", "50", "3:20: bad value '50'; a table is CURRENT:VALUE CURRENT:"),
    ("turns", "100:11", "100:5", "3:20: the table is not monotone: it turns at 100 A"),
    ("turns", "-1e-6", "-1e-5", "2:28: the polynomial is not monotone from -1 to 110"),
    ("points", " 50:6 100:11", "", "3:20: a table needs two or more points"),
    ("order", "50:6 100:11", "100:11 50:6", "3:20: the currents do not increase at 50"),
    ("domain", "-1, 110", "110, -1", "2:28: the lowest current 110 A is not below the"),
    ("domain", "-1, 110", "-, 110", "2:19: bad number '-'"),
    ("a table's", "-, -", "0, -", "3:14: a table begins and ends with its points"),
    ("name", "coil", "", "4:1: a curve needs a name"),
    (
        "twice",
        "coil",
        "sext",
        "4:1: duplicate curve 'sext'; the first one is at line 3",
    ),
    ("column", "kind", "sort", "1:1: missing column 'kind'"),
]


@pytest.mark.parametrize(("_", "old", "new", "wanted"), CURVE_FAULTS)
def test_a_fault_in_the_curves(site: Site, _: str, old: str, new: str, wanted: str):
    assert old in CURVES
    found = faults(site(curves=CURVES.replace(old, new, 1)))
    expected = f"devices/ring/curves.csv:{wanted}"
    assert any(fault.startswith(expected) for fault in found), found


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("energy_gev: 3\n", "", "1:1: missing key 'energy_gev': supplies need the bea"),
        ("3\n", "-3\n", "2:13: energy_gev: should be greater than 0, found '-3'"),
        ("3\n", "3 GeV\n", "2:13: energy_gev: bad number '3 GeV'"),
        ("3\n", "0.0005\n", "2:13: energy_gev: not above the rest mass"),
    ],
)
def test_a_fault_in_the_energy(site: Site, old: str, new: str, wanted: str):
    found = faults(site(ring=YAML.replace(old, new, 1)))
    assert any(fault.startswith(f"profiles/ring.yaml:{wanted}") for fault in found)
    assert len(found) == 1, found


def test_a_table_that_is_missing(site: Site):
    message = "there is no such file"
    found = faults(site(curves=None))
    assert f"devices/ring/curves.csv:1:1: {message}" in found
    found = faults(site(supplies=None))
    assert f"devices/ring/supplies.csv:1:1: {message}" in found
    found = faults(site(supplies=None, curves=None))
    assert found[0].startswith("devices/ring/magnets.csv:2:64: no supply is called")


def test_one_slip_is_one_fault(site: Site):
    """A curve's fault does not fall on its supplies, nor theirs on the magnets."""
    assert len(faults(site(curves=CURVES.replace("2e-3", "x")))) == 1
    assert len(faults(site(supplies=SUPPLIES.replace("A, 0, 100", "A, 0, x", 1)))) == 1
    assert len(faults(site(magnets=MAGNETS.replace("0.3", "x")))) == 1


def test_every_fault_of_every_file_in_one_go(site: Site):
    found = faults(
        site(
            magnets=MAGNETS.replace("PS-S,", "PS-X,"),
            supplies=SUPPLIES.replace("10, quad", "0, quad"),
            curves=CURVES.replace("linear", "lin"),
        )
    )
    assert [fault.split(" ")[0] for fault in found] == [
        "devices/ring/curves.csv:4:7:",
        "devices/ring/magnets.csv:3:59:",
        "devices/ring/supplies.csv:2:35:",
    ]


def test_good_supplies_are_there_in_spite_of_faults(site: Site):
    curves = CURVES.replace("linear", "lin")
    profile, found = read_profile("ring", site(curves=curves))
    assert len(found) == 1
    assert profile is not None
    assert len(profile.supplies) == 5
    with pytest.raises(UnknownName, match="no supply is called 'PS-1a'"):
        map_of(profile.magnets, profile.supplies)
