"""The profiles of the site against the lattices, read with pyAT and nothing of ours."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import at
import machine_data
import pytest

from acctwin.model.fodo import fodo_ring
from acctwin.model.lattice import match
from acctwin.names import COMPONENT_UNITS
from acctwin.profiles import MagnetRow, Profile, find_site, load_profile, profile_names
from acctwin.profiles.profile import ElementRef

SITE = find_site()
NAMES = profile_names(SITE)

#: Elements of the lattice, and devices of some families, that must be there.
COUNTS = {
    "ebs": (
        3872,
        {
            **{"bpms": 320, "hcm": 288, "vcm": 288, "skew_quadrupoles": 288},
            **{"quadrupoles": 512, "sextupoles": 192, "octupoles": 64, "bends": 32},
        },
    ),
    "soleil": (
        1312,
        {
            **{"bpms": 122, "hcm": 122, "vcm": 122, "skew_quadrupoles": 122},
            **{"quadrupoles": 163, "sextupoles": 122, "bends": 32, "fast_hcm": 50},
        },
    ),
    "thomx": (
        156,
        {
            **{"bpms": 12, "hcm": 12, "vcm": 12, "quadrupoles": 24},
            **{"sextupoles": 12, "bends": 8},
        },
    ),
    "fodo": (
        257,
        {
            **{"bpms": 32, "hcm": 16, "vcm": 16, "quadrupoles": 32},
            **{"sextupoles": 32, "bends": 32},
        },
    ),
}


@cache
def lattice(name: str) -> at.Lattice:
    source = load_profile(name, SITE).lattice
    kind, _, file = source.source.partition(":")
    if kind == "code":
        return fodo_ring()
    (folder,) = machine_data.__path__
    ring = at.load_lattice(str(Path(folder) / file))
    return ring.repeat(source.repeat) if source.repeat > 1 else ring


@cache
def elements_of(name: str) -> dict[str, list[at.Element]]:
    found: dict[str, list[at.Element]] = {}
    for element in lattice(name):
        found.setdefault(element.FamName, []).append(element)
    return found


def elements(name: str, ref: ElementRef) -> list[at.Element]:
    family = elements_of(name)[ref.family]
    chosen = family[ref.index : ref.index + ref.count]
    assert len(chosen) == ref.count, f"{ref} is beyond the {len(family)} occurrences"
    return chosen


def strength(row: MagnetRow, parts: list[at.Element]) -> float:
    """Return the strength of a magnet in the lattice, in the unit of its row."""
    element = parts[0]
    if row.component in ("hkick", "vkick"):
        kick = getattr(element, "KickAngle", (0.0, 0.0))
        return float(kick[["hkick", "vkick"].index(row.component)])
    if row.component == "angle":
        return float(sum(part.BendingAngle for part in parts))
    skew, order = row.component[0] == "a", int(row.component[1])
    values = element.PolynomA if skew else element.PolynomB
    value = float(values[order]) if len(values) > order else 0.0
    return value if is_long(row) else value * element.Length


def is_long(row: MagnetRow) -> bool:
    return row.unit == COMPONENT_UNITS[row.component][0]


def test_every_profile_has_a_case():
    assert set(NAMES) == set(COUNTS)


@pytest.mark.parametrize("name", NAMES)
def test_no_faults(name: str):
    assert match(load_profile(name, SITE)) == []


@pytest.mark.parametrize("name", NAMES)
def test_counts(name: str):
    size, counts = COUNTS[name]
    assert len(lattice(name)) == size
    families = load_profile(name, SITE).families()
    assert {family: len(families[family]) for family in counts} == counts


@pytest.mark.parametrize("name", NAMES)
def test_every_device_is_in_the_lattice_and_its_limits_hold_the_design(name: str):
    profile = load_profile(name, SITE)
    for bpm in profile.bpms:
        (element,) = elements(name, bpm.element)
        assert element.Length == 0
        assert isinstance(element, (at.Monitor, at.Marker))
    for row in profile.magnets:
        design = strength(row, elements(name, row.element))
        room = row.delta if row.component != "angle" else 0.0
        assert row.low <= design - room / 2, row
        assert design + room / 2 <= row.high, row


@pytest.mark.parametrize("name", NAMES)
def test_units_follow_the_length(name: str):
    for row in load_profile(name, SITE).magnets:
        if len(set(COMPONENT_UNITS[row.component])) == 2:
            length = elements(name, row.element)[0].Length
            assert is_long(row) == (length > 0), row


@pytest.mark.parametrize("name", NAMES)
def test_no_two_devices_share_a_function_of_an_element(name: str):
    profile = load_profile(name, SITE)
    used = [
        (row.element.family, row.element.index + k, row.component)
        for row in profile.magnets
        for k in range(row.element.count)
    ]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("name", NAMES)
def test_the_rf_is_that_of_the_lattice(name: str):
    rf, ring = load_profile(name, SITE).rf, lattice(name)
    assert rf is not None
    assert rf.low < ring.rf_frequency < rf.high
    slip = at.get_slip_factor(ring.disable_6d(copy=True))
    momentum = rf.delta / abs(slip) / ring.rf_frequency
    assert 0.0015 < momentum < 0.0025
    assert (rf.high - rf.low) / abs(slip) / ring.rf_frequency > 0.008


def test_the_cells_of_the_ebs_follow_the_beam():
    profile = load_profile("ebs", SITE)
    index = {bpm.name: bpm.element for bpm in profile.bpms}
    assert index["SR/C04/BPM-01"] == ElementRef("BPM_01", 0)
    assert index["SR/C32/BPM-10"] == ElementRef("BPM_10", 28)
    assert index["SR/C03/BPM-10"] == ElementRef("BPM_10", 31)


def test_the_ebs_is_described_in_less_than_600_lines():
    files = [SITE / "profiles/ebs.yaml", *(SITE / "devices/ebs").glob("*")]
    assert sum(len(f.read_text().splitlines()) for f in files) < 600


@pytest.mark.parametrize("name", NAMES)
def test_families_of_a_kind_share_it(name: str):
    """Each magnet family of its own kind is one type of magnet with one limit."""
    profile: Profile = load_profile(name, SITE)
    limits: dict[str, set[tuple[float, float]]] = {}
    for row in profile.magnets:
        limits.setdefault(row.families[0], set()).add((row.low, row.high))
    assert all(len(found) == 1 for found in limits.values())
