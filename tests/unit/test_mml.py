"""Reading set-ups of the Matlab Middle Layer, and what becomes of odd ones."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fodo_mml import (
    B_RHO,
    CELLS,
    ENERGY_EV,
    KICK,
    NAMES,
    RING,
    STARTS,
    column,
    strings,
    structures,
    write_mat,
)

from acctwin.errors import ConfigError
from acctwin.profiles import load_profile
from acctwin.profiles.mml import LatticeElement, Ring, read_mml, write_site
from acctwin.profiles.mml.values import function_name

ELEMENTS = tuple(
    LatticeElement(element.FamName, float(s), float(element.Length))
    for element, s in zip(RING, STARTS, strict=False)
)
HERE = Ring("code:fodo", None, ENERGY_EV, 498.3e6, ELEMENTS)


class Import:
    """What was written, line by line, and the report."""

    def __init__(self, folder: Path, ao: Any, ad: Any, ring: Ring) -> None:
        setup = read_mml(write_mat(folder / "setup.mat", ao, ad))
        self.report = write_site(setup, folder / "site", ring)
        self.profile = load_profile(self.report.profile)
        self.magnets = {row.name: row for row in self.profile.magnets}
        self.supplies = {row.name: row for row in self.profile.supplies}
        self.bpms = {row.name: row for row in self.profile.bpms}

    def notes(self, outcome: str) -> dict[str, str]:
        return {n.where: n.reason for n in self.report.notes if n.outcome == outcome}


@pytest.fixture
def bring(tmp_path):
    """Import the FODO ring's set-up with changes to its AO or AD."""

    def run(change=lambda ao, ad: None, ring: Ring = HERE) -> Import:
        ao, ad = structures()
        change(ao, ad)
        return Import(tmp_path, ao, ad, ring)

    return run


def changed(path: str, value: Any):
    """Return a change of one value: ``"HCM.Setpoint.Range"``."""

    def change(ao: dict[str, Any], ad: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place = {"AD": ad, **ao}
        for step in way:
            place = place[step]
        place[last] = value

    return change


def test_every_device_is_there_with_its_elements(bring):
    done = bring()
    assert len(done.magnets) == 6 * CELLS + 2 * CELLS
    assert len(done.bpms) == 2 * CELLS
    assert done.report.devices["BEND"] == 2 * CELLS
    first = done.magnets["3QD1"]
    assert (first.element.family, first.element.index) == ("QD", 2)
    assert first.families == ("QD", "quadrupoles")
    assert (first.component, first.unit, first.length) == ("b1", "1/m^2", 0.3)
    assert done.bpms["2BPMX1"].element.index == 2


def test_limits_steps_and_tolerances_are_converted(bring):
    done = bring()
    kicker = done.magnets["1H1"]
    assert (kicker.low, kicker.high) == pytest.approx((-5 * KICK, 5 * KICK))
    assert kicker.delta == pytest.approx(0.45 * KICK, rel=1e-5)
    assert kicker.tolerance == pytest.approx(1e-3 * KICK, rel=1e-5)
    quad = done.magnets["1QD1"]
    field = 0.0713 * 200.0 - 8.0e-8 * 200.0**3
    assert quad.low == pytest.approx(-field / B_RHO, rel=1e-9)
    assert quad.high == 0.0
    # At no current the slope is the largest: a tolerance in A is never too tight.
    assert quad.tolerance == pytest.approx(1e-3 * 0.0713 / B_RHO, rel=1e-5)


def test_a_curve_is_the_integrated_field(bring):
    done = bring()
    supply = done.supplies["1QD1/PS"]
    for current in (10.0, 77.0, 199.0):
        wanted = -0.3 * (0.0713 * current - 8.0e-8 * current**3)
        assert supply.curve.value(current) == pytest.approx(wanted)
    assert supply.ramp == 12.0
    assert done.supplies["1H1/PS"].curve.value(2.0) == pytest.approx(2.0 * 0.0011)


def test_magnets_on_one_channel_share_a_supply(bring):
    done = bring()
    feeds = {
        done.magnets[name].feeds[0].supply
        for name in done.magnets
        if done.magnets[name].families[0] == "SF"
    }
    assert feeds == {"SR-PS-SF:SETI"}


def test_a_magnet_that_is_stronger_on_the_same_channel_has_a_weight(bring):
    gains = np.full(CELLS, 0.15)
    gains[3] *= 1.02
    done = bring(changed("SF.Setpoint.HW2PhysicsParams", column(*gains)))
    weights = [done.magnets[f"{c}SF1"].feeds[0].weight for c in (1, 4)]
    assert weights == pytest.approx([1.0, 1.02])


def test_rf_energy_and_names_of_the_machine(bring):
    done = bring()
    profile = done.profile
    assert profile.name == "fodoring"
    assert profile.operational_mode == "1.5 GeV, 4.22 3.31"
    assert profile.energy_ev == pytest.approx(ENERGY_EV)
    rf = profile.rf
    assert rf is not None
    assert (rf.low, rf.high) == pytest.approx((497.8e6, 498.8e6))
    assert (rf.tolerance, rf.delta) == pytest.approx((10.0, 60e3))


def test_status_is_kept(bring):
    ones = np.ones(CELLS)
    ones[4] = 0
    done = bring(changed("VCM.Status", column(*ones)))
    assert [row.name for row in done.profile.magnets if not row.status] == ["5V1"]

    def both_planes(ao, ad):
        bad = np.ones(2 * CELLS)
        bad[0] = 0
        ao["BPMy"]["Status"] = column(*bad)

    # tmp_path is used again: another machine name, another profile
    done = bring(lambda ao, ad: (both_planes(ao, ad), ad.update(Machine="b")))
    assert [row.name for row in done.profile.bpms if not row.status] == ["1BPMX1"]


def test_a_slip_of_the_pen_is_reported_with_the_nearest_field(bring):
    def misspell(ao, ad):
        ao["HCM"]["Setpoint"]["Toherance"] = ao["HCM"]["Setpoint"].pop("Tolerance")
        ao["VCM"]["Setpoint"]["HW2PhysicS1cn"] = "amp2k"
        ao["QF"]["Comonnames"] = "?"

    done = bring(misspell)
    left_out = done.notes("left out")
    assert "did you mean 'Tolerance'" in left_out["HCM.Setpoint.Toherance"]
    assert "'HW2PhysicsFcn'" in left_out["VCM.Setpoint.HW2PhysicS1cn"]
    assert "'CommonNames'" in left_out["QF.Comonnames"]
    assumed = done.notes("assumed")
    assert assumed["HCM.Setpoint.Tolerance"].startswith("not there, or 0: 0.1 %")
    assert done.magnets["1H1"].tolerance == pytest.approx(0.01 * KICK, rel=1e-5)


@pytest.mark.parametrize(
    ("path", "value", "where", "words"),
    [
        ("HCM.Setpoint.HW2PhysicsFcn", "gev2bend", "HCM.Setpoint", "'gev2bend'"),
        ("HCM.Setpoint.HW2PhysicsParams", "x", "HCM.Setpoint", "fit its 16 devices"),
        ("HCM.Setpoint.PhysicsUnits", "mrad", "HCM.Setpoint", "wanted radian"),
        ("QF.Setpoint.HW2PhysicsParams", "BQ", "QF.Setpoint", "wants a cell"),
        ("BEND.Setpoint.PhysicsUnits", "GeV", "BEND.Setpoint", "wanted radian"),
        ("BEND.Setpoint.HW2PhysicsFcn", "amp2k", "BEND.Setpoint", "not its angle"),
        ("QF.Setpoint.Range", 3.0, "QF.Setpoint", "no Range"),
        ("QF.AT.ATIndex", column(1, 2), "QF", "AT.ATIndex does not fit"),
        ("QF.Status", column(1, 1), "QF", "Status does not fit"),
        ("QF.MemberOf", strings(["Kicker"]), "", ""),
        ("QF.DeviceList", column(1.0, 2.0), "QF", "AT.ATIndex does not fit"),
    ],
)
def test_a_family_that_cannot_be_mapped_is_left_out_with_the_reason(
    bring, path, value, where, words
):
    done = bring(changed(path, value))
    if where:
        assert words in done.notes("left out")[where]
        name = path.split(".")[0]
        assert not [r for r in done.profile.magnets if r.families[0] == name]
    else:
        assert "1QF1" in done.magnets, "its ATType says what it is"


def test_devices_that_are_not_in_the_lattice_are_left_out(bring):
    places = [i + 1.0 for i, name in enumerate(NAMES) if name == "QF"]
    places[0], places[1] = np.nan, 9999.0
    done = bring(changed("QF.AT.ATIndex", column(*places)))
    left_out = done.notes("left out")
    assert left_out["QF 01-01 (1QF1)"] == "it has no ATIndex"
    assert "9999 is outside the lattice" in left_out["QF 02-01 (2QF1)"]
    assert done.report.devices["QF"] == CELLS - 2


def test_a_family_nobody_knows_is_left_out(bring):
    def add(ao, ad):
        ao["ID"] = {"FamilyName": "ID", "DeviceList": np.array([[4.0, 1.0]])}

    assert "no kind of device" in bring(add).notes("left out")["ID"]


def test_sliced_magnets_are_one_device(bring):
    full: list[LatticeElement] = []
    for element in ELEMENTS:
        if element.family == "QF":
            half = replace(element, length=element.length / 2)
            full += [half, replace(half, s=half.s + half.length)]
        else:
            full.append(element)
    names = [element.family for element in full]

    def renumber(ao, ad):
        for values in ao.values():
            if "AT" not in values:
                continue
            kind = values["FamilyName"]
            element = {"BPMx": "BPM", "BPMy": "BPM"}.get(kind, kind)
            found = [i + 1 for i, name in enumerate(names) if name == element]
            if kind == "QF":
                found = np.array(found, dtype=float).reshape(-1, 2)
            else:
                found = column(*found)
            values["AT"]["ATIndex"] = found

    ring = replace(HERE, elements=full)
    done = bring(renumber, ring)
    ref = done.magnets["2QF1"].element
    assert (ref.family, ref.index, ref.count) == ("QF", 2, 2)
    assert done.magnets["2QF1"].length == pytest.approx(0.3)


def test_an_index_that_is_off_by_one_shows_in_the_positions(bring):
    shifted = replace(HERE, elements=ELEMENTS[1:])
    notes = bring(ring=shifted).notes("check")
    places = {where: why for where, why in notes.items() if "Position" in where}
    assert places
    assert all(
        why.endswith("is it the lattice that ATIndex counts in?")
        for why in places.values()
    )


def test_the_ringparam_of_matlab_counts_but_is_no_element(bring):
    def shift(ao, ad):
        for values in ao.values():
            if "AT" in values:
                values["AT"]["ATIndex"] = values["AT"]["ATIndex"] + 1

    done = bring(shift, replace(HERE, elements=(None, *ELEMENTS)))
    assert done.magnets["1QF1"].element.index == 0
    assert not done.notes("check")


def test_names_that_do_not_do_are_made_from_the_device_list(bring):
    twice = ["COR".ljust(8)] * CELLS

    def rename(ao, ad):
        ao["HCM"]["CommonNames"] = np.array(twice)
        ao["VCM"]["CommonNames"] = strings([f"V {k}" for k in range(CELLS)])
        ao["QF"]["CommonNames"] = ao["QD"]["CommonNames"]

    done = bring(rename)
    assert {"HCM/03-01", "VCM/03-01", "QF/03-01"} & set(done.magnets) == {
        "HCM/03-01",
        "VCM/03-01",
    }
    assert "QD/03-01" in done.magnets
    assumed = done.notes("assumed")
    assert "not unique" in assumed["HCM.CommonNames"]
    assert "cannot hold" in assumed["VCM.CommonNames"]


def test_gain_and_offset_of_a_setpoint_count(bring):
    def trim(ao, ad):
        ao["HCM"]["Setpoint"] |= {"Gain": 1.1, "Offset": 0.2}

    curve = bring(trim).supplies["1H1/PS"].curve
    assert curve.value(3.0) == pytest.approx(1.1 * (3.0 - 0.2) * 0.0011)


def test_a_curve_that_turns_back_is_left_out(bring):
    params = np.empty((1, 2), dtype=object)
    params[0, :] = [np.array([[-1e-6, 0.0, 0.0713, 0.0]]), column(1.0)]
    done = bring(changed("QF.Setpoint.HW2PhysicsParams", params))
    (found,) = [w for w, r in done.notes("left out").items() if "not monotone" in r]
    assert found.startswith("QF (1QF1), QF (2QF1), ")
    assert found.endswith(" and 4 more")
    assert done.report.devices["QF"] == 0


def test_the_scale_factor_of_amp2k_divides_the_current(bring):
    params = np.empty((1, 2), dtype=object)
    params[0, :] = [np.array([[0.0713, 0.0]]), column(*np.full(CELLS, 1.25))]
    done = bring(changed("QF.Setpoint.HW2PhysicsParams", params))
    wanted = 0.3 * 0.0713 * 100.0 / 1.25
    assert done.supplies["1QF1/PS"].curve.value(100.0) == pytest.approx(wanted)


def test_without_steps_and_ranges_the_rf_is_assumed_and_said(bring):
    def strip(ao, ad):
        for name in ("Range", "Tolerance", "HW2PhysicsParams"):
            del ao["RF"]["Setpoint"][name]
        del ad["DeltaRFDisp"]
        ad["MCF"] = 0.06

    done = bring(strip)
    assert done.profile.rf is not None
    assert done.profile.rf.delta == pytest.approx(498.3e6 * 0.06 * 0.002, rel=1e-6)
    assert {"RF.Setpoint.Range", "RF.Setpoint.Tolerance", "AD.DeltaRFDisp"} <= set(
        done.notes("assumed")
    )


def test_bpms_need_both_planes(bring):
    def cut(ao, ad):
        for name in ("DeviceList", "ElementList", "Status", "CommonNames", "Position"):
            ao["BPMy"][name] = ao["BPMy"][name][1:]
        ao["BPMy"]["AT"]["ATIndex"] = ao["BPMy"]["AT"]["ATIndex"][1:]

    done = bring(cut)
    assert len(done.bpms) == 2 * CELLS - 1
    assert "no vertical plane" in done.notes("left out")["BPMx (1BPMX1)"]


def test_an_old_ao_is_a_list_of_families(tmp_path):
    ao, _ = structures()
    cells = np.empty((1, len(ao)), dtype=object)
    cells[0, :] = list(ao.values())
    setup = read_mml(write_mat(tmp_path / "old.mat", cells))
    assert [family.name for family in setup.families] == list(ao)
    again = read_mml(write_mat(tmp_path / "new.mat"))
    assert [family.name for family in again.families] == list(ao)


def test_files_that_are_no_set_up(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read_mml(tmp_path / "no.mat")
    text = tmp_path / "text.mat"
    text.write_text("AO = struct;" * 50)
    with pytest.raises(ConfigError, match=r"not a \.mat file"):
        read_mml(text)
    import scipy.io

    scipy.io.savemat(tmp_path / "x.mat", {"Ring": 1.0})
    with pytest.raises(ConfigError, match=r"the file has Ring\. In Matlab: AO = getao"):
        read_mml(tmp_path / "x.mat")
    newer = tmp_path / "newer.mat"
    newer.write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM" + b"\0" * 400
    )
    with pytest.raises(ConfigError, match=r"7\.3 file; save it with the option '-v7'"):
        read_mml(newer)


def test_a_machine_is_never_overwritten(bring):
    bring()
    with pytest.raises(ConfigError, match="is there already"):
        bring()


def test_tables_are_plain(bring):
    done = bring()
    for path in done.report.files[1:]:
        rows = list(csv.reader(path.read_text().splitlines(), skipinitialspace=True))
        assert len({len(row) for row in rows}) == 1


def test_a_function_handle_has_a_name():
    handle = {"function_handle": {"function": "amp2k", "type": "simple"}}
    assert function_name(handle) == function_name("@amp2k") == "amp2k"
    assert function_name(None) == ""
