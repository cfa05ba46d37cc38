"""The section ``members`` of a profile: what it says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from acctwin.profiles import read_profile

YAML = """\
machine: ring
lattice: {source: code:fodo}
rf: {name: RF, low_hz: 1, high_hz: 3, tolerance_hz: 1, delta_hz: 1}
beam: {current_ma: 200}
members:
"""
GOOD = """\
  SCR/1:
    device_class: ophyd:EpicsMotor
    args: ["SR:SCR1", 3, 1e-4]
    kwargs: {labels: [a, 010], is_on: true, other: {pv: "SR:X", rate: .5, no: null}}
    units: mm
    setting: {low: -5, high: 5, tolerance: 0.01, delta: 0.1, timeout_s: 60}
    simulated: {value: 1}
  gauge: {device_class: lab.vacuum:Gauges.Cold, readback: pressure}
"""
TABLE = (
    "name, families, element, component, unit, low, high, tolerance, delta, status\n"
)
MAGNETS = f"{TABLE}H, hcm, HCM, hkick, rad, -1, 1, 1e-3, 1e-2, 1\n"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def write(members: str):
        for folder in ("devices/ring", "profiles", "plans"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "profiles/ring.yaml").write_text(YAML + members, encoding="utf-8")
        (tmp_path / "devices/ring/magnets.csv").write_text(MAGNETS, encoding="utf-8")
        (tmp_path / "devices/ring/bpms.csv").write_text(
            "name, families, element, status\nB, bpms, BPM[0], 1\n", encoding="utf-8"
        )
        monkeypatch.chdir(tmp_path)
        return read_profile("ring", ".")

    return write


def test_what_it_says(read):
    profile, faults = read(GOOD)
    assert faults == []
    scraper, gauge = profile.members
    assert scraper.name == "SCR/1"
    assert scraper.args == ("SR:SCR1", 3, 1e-4)
    assert scraper.kwargs == {
        "labels": ["a", 10],
        "is_on": True,
        "other": {"pv": "SR:X", "rate": 0.5, "no": None},
    }
    assert (scraper.setting.low, scraper.setting.timeout_s) == (-5.0, 60.0)
    assert (scraper.units, scraper.simulated) == ("mm", 1.0)
    assert (gauge.device_class, gauge.units) == ("lab.vacuum:Gauges.Cold", "1")
    assert (gauge.setting, gauge.simulated, gauge.setpoint) == (None, None, None)
    place = gauge.origin.fault("wrong", "device_class")
    assert str(place) == "profiles/ring.yaml:13:25: wrong"


SETTING = "setting: {low: -1, high: 1, tolerance: 0.1, delta: 0.1}"
FAULTS = {
    "  a: {device_class: ophyd.Signal}": "6:21: device_class: write package.module:C",
    "  a: {units: mm}": "6:3: missing key 'device_class': package.module:Class of it",
    "  a: {device_class: 'a:b', unit: mm}": "6:28: unknown key 'unit'; did you mean '",
    "  a: {device_class: 'a:b', setting: {low: 1}}": "6:28: missing key 'high': upper",
    f"  a: {{device_class: 'a:b', {SETTING.replace('-1', '2')}}}": "6:43: low 2 is not",
    f"  a: {{device_class: 'a:b', {SETTING.replace(': 0.1,', ': 0,')}}}": (
        "6:67: tolerance 0 must be above 0"
    ),
    f"  a: {{device_class: 'a:b', {SETTING}, simulated: {{value: 3}}}}": (
        "6:104: value 3 is outside the limits -1 … 1"
    ),
    "  a: {device_class: 'a:b', simulated: {value: x}}": "6:47: value: bad number 'x'",
    "  H: {device_class: 'a:b'}": "6:3: duplicate name 'H'; another device or family",
    "  hcm: {device_class: 'a:b'}": "6:3: duplicate name 'hcm'",
    "  RF: {device_class: 'a:b'}": "6:3: duplicate name 'RF'",
    "  tune: {device_class: 'a:b'}": "6:3: duplicate name 'tune'",
    "  - a": "6:3: members:",
}


@pytest.mark.parametrize("members", FAULTS)
def test_every_fault_is_at_its_place(read, members):
    _, faults = read(members + "\n")
    assert any(
        str(fault).startswith(f"profiles/ring.yaml:{FAULTS[members]}")
        for fault in faults
    ), [str(fault) for fault in faults]


def test_all_faults_at_once(read):
    _, faults = read("  a: {units: mm, x: 1}\n  b: {device_class: c}\n")
    assert len(faults) == 3
