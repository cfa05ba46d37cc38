"""Addresses in a control system: templates, defaults, and their faults."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from toy import powered_profile

from acctwin.errors import UnknownName
from acctwin.profiles import load_profile, read_profile
from acctwin.profiles.control import CHANNELS, Control, address, devices, served_by
from acctwin.profiles.site import profile_names, shipped_site

PROFILE = replace(powered_profile(), control=Control())


def with_control(**values: object):
    return replace(PROFILE, control=Control(**values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "channel", "name", "epics", "tango"),
    [
        ("supply", "current", "PS1", "PS1:SP", "toy/supply/PS1/Current"),
        ("supply", "readback", "A/PS", "A:PS:RB", "toy/supply/A-PS/CurrentRB"),
        ("bpm", "x", "T/B0", "T:B0:X", "toy/bpm/T-B0/X"),
        ("bpms", "y", "", "toy:BPM:Y", "toy/diagnostics/bpms/Y"),
        ("rf", "frequency", "T/RF", "T:RF:SP", "toy/rf/T-RF/Frequency"),
        ("dcct", "current", "", "toy:DCCT", "toy/diagnostics/dcct/Current"),
    ],
)
def test_the_names_that_a_backend_gives(kind, channel, name, epics, tango):
    for backend, text in {"ca": epics, "pva": epics, "tango": tango}.items():
        profile = with_control(backend=backend)
        assert address(profile, kind, channel, name) == f"{backend}://{text}"


def test_a_kind_has_its_own_backend_and_templates():
    profile = with_control(
        backends={"bpms": "pva"},
        names={("supply", "current"): "{machine}-{slug}.{kind}.{channel}.{name}.{id}"},
    )
    assert address(profile, "bpms", "x") == "pva://toy:BPM:X"
    found = address(profile, "supply", "current", "A/B")
    assert found == "ca://toy-A-B.supply.current.A/B.A:B"


def test_a_tango_server_without_a_database_is_in_the_address():
    profile = with_control(backend="tango", tango_server="localhost:10000")
    wanted = "tango://localhost:10000/toy/bpm/T-B0/X#dbase=no"
    assert address(profile, "bpm", "x", "T/B0") == wanted


def test_what_has_no_address():
    assert address(replace(PROFILE, control=None), "bpm", "x", "T/B0") is None
    assert address(PROFILE, "magnet", "strength", "T/C1-H") is None
    with pytest.raises(UnknownName, match="did you mean 'bpm'"):
        address(PROFILE, "bmp", "x")
    with pytest.raises(UnknownName, match="channel of a supply"):
        address(PROFILE, "supply", "voltage", "PS1")


def test_another_control_system_has_its_own_names():
    control = Control("tango", names={("bpms", "x"): "a/b/c/D"}, read_only=True)
    epics = served_by(control, ("ca", "pva"))
    assert epics.protocol("bpms") == "ca"
    assert epics.template("bpms", "x") == "{machine}:BPM:X"
    assert epics.read_only
    mixed = served_by(replace(control, backends={"bpm": "pva"}), ("ca", "pva"))
    assert mixed.protocol("bpm") == "pva"
    assert served_by(control, ("tango",)).template("bpms", "x") == "a/b/c/D"


@pytest.mark.parametrize("name", profile_names(shipped_site()))
def test_every_device_of_a_reference_machine_has_an_address(name):
    profile = load_profile(name)
    found = [
        address(profile, kind, channel, device)
        for kind, device in devices(profile)
        for channel in CHANNELS[kind]
        if kind != "magnet"
    ]
    assert None not in found
    assert len(set(found)) == len(found)


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write fodo with another control section; return its faults."""
    shutil.copytree(shipped_site() / "devices/fodo", tmp_path / "devices/fodo")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "plans").mkdir()
    text = (shipped_site() / "profiles/fodo.yaml").read_text(encoding="utf-8")
    head, _, _ = text.partition("\ncontrol:")
    monkeypatch.chdir(tmp_path)

    def faults(section: str):
        path = tmp_path / "profiles/fodo.yaml"
        path.write_text(f"{head}\ncontrol:\n{section}", encoding="utf-8")
        profile, found = read_profile("fodo", ".")
        line = head.count("\n") + 2  # of "control:"
        own = [f"{f.line - line}:{f.column}: {f.message}" for f in found]
        return profile, own

    return faults


def test_a_whole_section(check):
    profile, found = check(
        "  backend: pva\n  read_only: true\n  tango_server: localhost:1\n"
        "  backends: {tune: tango}\n  names:\n    bpms: {x: 'ORBIT:X'}\n"
    )
    assert not found
    assert profile.control == Control(
        "pva", True, {"tune": "tango"}, {("bpms", "x"): "ORBIT:X"}, "localhost:1"
    )


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("  backend: epics\n", "1:12: backend: "),
        ("  backends: {bmps: pva}\n", "1:14: unknown key 'bmps'; did you mean 'bpms'"),
        ("  backends: {bpms: http}\n", "1:20: bpms: "),
        ("  names: {bpm: {z: A}}\n", "1:17: unknown key 'z'"),
        ("  names: {bpm: {x: '{nam}'}}\n", "1:20: bad template '{nam}': nothing is"),
        ("  names: {bpm: {x: '{id'}}\n", "1:20: bad template '{id'"),
        ("  names: {bpm: {x: '{id:>9}'}}\n", "1:20: bad template '{id:>9}': write"),
        ("  names: {bpm: {x: X}}\n", "1:20: C01/BPM1 x and C02/BPM1 x have the same"),
        ("  names: {bpm: {x: '{id} X'}}\n", "1:20: C01/BPM1 x: an address without"),
        ("  names: {bpm: {x: '{id}.X'}}\n", "1:20: C01/BPM1 x: EPICS wants at most"),
        ("  backend: tango\n  names: {dcct: {current: 'a/b'}}\n", "2:27: dcct current"),
        ("  tango_server: here\n", "1:17: tango_server: "),
    ],
)
def test_a_fault_is_where_it_was_written(check, section, wanted):
    _, found = check(section)
    assert len(found) == 1, found
    assert found[0].startswith(wanted)


def test_devices_share_an_address_also_in_small_letters_in_tango(check):
    template = "  names: {rf: {frequency: 'FODO/Diagnostics/dcct/current'}}\n"
    _, (fault,) = check("  backend: tango\n" + template)
    assert "RF frequency" in fault
    assert "dcct current" in fault
    assert not check("  backend: ca\n  names: {rf: {readback: 'RF:SP'}}\n")[1]


TABLE = """name,        channel,  address
C01/PS-HCM,  current,  MAG-HC1-CUR:SETPOINT
C01/PS-HCM,  readback, MAG-HC1-CUR:READ
C01/BPM1,    x,        -
tune,        qx,       DIAG-TUNE:NUX
"""


def with_table(check, text: str, section: str = "  backend: pva\n"):
    Path("devices/fodo/addresses.csv").write_text(text, encoding="utf-8")
    return check(section)


def test_single_addresses_come_before_templates(check):
    section = "  backend: ca\n  names:\n    supplies: {current: null, readback: null}\n"
    profile, found = with_table(check, TABLE, section)
    assert not found
    where = {
        ("supply", "current", "C01/PS-HCM"): "ca://MAG-HC1-CUR:SETPOINT",
        ("supply", "readback", "C01/PS-HCM"): "ca://MAG-HC1-CUR:READ",
        ("supply", "current", "C02/PS-HCM"): "ca://C02:PS-HCM:SP",
        ("bpm", "x", "C01/BPM1"): None,
        ("bpm", "y", "C01/BPM1"): "ca://C01:BPM1:Y",
        ("tune", "qx", ""): "ca://DIAG-TUNE:NUX",
    }
    for (kind, channel, name), wanted in where.items():
        assert address(profile, kind, channel, name) == wanted
    assert profile.hash != load_profile("fodo").hash
    assert served_by(profile.control, ("tango",)).addresses == {}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("C01/HCN, current, A", ":2:1: nothing with addresses is called 'C01/HCN'"),
        ("C01/PS-HCM, curent, A", ":2:13: a supply has no channel 'curent'; did you"),
        ("C01/PS-HCM, current,", ":2:21: an address is wanted, or '-' for none"),
        ("dcct, current, A B", ":2:16: dcct current: an address without blanks"),
        ("dcct, current, RF:SP", ":2:16: RF frequency and dcct current have the same"),
        ("dcct, current, A\ndcct, current, B", ":3:1: dcct has an address for"),
    ],
)
def test_a_fault_of_the_table_is_where_it_was_written(check, line, wanted):
    with_table(check, f"name, channel, address\n{line}\n")
    _, (fault,) = read_profile("fodo", ".")
    assert str(fault).startswith(f"devices/fodo/addresses.csv{wanted}")


def test_a_table_needs_a_control_system(check):
    Path("devices/fodo/addresses.csv").write_text(TABLE, encoding="utf-8")
    check("  backend: ca\n")
    path = Path("profiles/fodo.yaml")
    text = path.read_text(encoding="utf-8").partition("\ncontrol:")[0]
    path.write_text(text, encoding="utf-8")
    _, (fault,) = read_profile("fodo", ".")
    assert str(fault).startswith("devices/fodo/addresses.csv:2:1: the profile has no")
