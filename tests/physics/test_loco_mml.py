"""A measurement through devices, as a LOCO file of MML: the same fit comes of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.recfunctions import repack_fields

sys.path.insert(0, str(Path(__file__).parent))

from loco_mat import structures, write

from acctwin import plans
from acctwin.errors import ConfigError, DataError
from acctwin.plans.loco import importing as loco_import
from acctwin.workflows import loco
from acctwin.workflows.loco_mml import fit_mml

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fodo(accelerator):
    machine = accelerator("fodo", 1)
    machine.run(plans.correct_orbit(machine.machine, goal="zero"))
    return machine


@pytest.fixture(scope="module")
def measured(fodo):
    return fodo.run(plans.measure_loco(fodo.machine))


@pytest.fixture(scope="module")
def ours(fodo, measured):
    return loco.fit(fodo, measured.uid)


@pytest.fixture(scope="module")
def answered(measured, ours, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("loco") / "LOCO_fodo.mat"
    return write(path, structures(measured, ours))


def test_it_gives_the_same_fit(fodo, ours, answered):
    found = fit_mml(fodo, answered)
    again = found.result
    assert again.strengths == ours.strengths
    assert again.values == pytest.approx(ours.values, rel=1e-8)
    assert again.bpms == ours.bpms
    assert again.gains.bpm == pytest.approx(ours.gains.bpm, abs=1e-8)
    assert again.chi2_dof == pytest.approx(ours.chi2_dof, rel=1e-6)
    assert found.both is not None
    assert found.both.chi2_dof == pytest.approx((ours.chi2_dof, again.chi2_dof))
    beside = {one.what: one for one in found.both.answers}
    assert len(beside["quadrupole error"].names) == 32
    assert len(beside["corrector gain y"].names) == 16
    for one in beside.values():
        assert one.theirs == pytest.approx(one.ours, abs=1e-7), one.what
        assert one.rms[0] > 5e-4
    errors = beside["quadrupole error"]
    expected = [ours.quadrupole_errors[name] for name in errors.names]
    assert errors.ours == pytest.approx(expected)
    words = found.both.summary()
    assert "BPM gain x, rms" in words
    assert "chi2/dof" in words


def test_the_response_is_kept_with_where_it_came_from(fodo, ours, answered):
    found = fit_mml(fodo, answered).result
    run = fodo.run(found.uid)
    assert run.start["plan_args"]["file"] == "LOCO_fodo.mat"
    assert len(run.start["plan_args"]["sha256"]) == 64
    kept = loco_import.analyse(run).data(without=["C02/BPM1", "C01/QF"])
    assert len(kept.monitors) == len(ours.bpms) - 1
    again = loco.fit(fodo, found.uid)
    assert np.array_equal(again.values, found.values)
    with pytest.raises(DataError, match="not a response that was imported"):
        loco_import.analyse(fodo.last)


def test_what_was_left_out_then_is_left_out(fodo, measured, ours, tmp_path):
    made = structures(measured, None)
    made["BPMData"][0, 0]["HBPMGoodDataIndex"] = np.arange(2.0, 33.0).reshape(1, -1)
    made["BPMData"][0, 0]["VBPMGoodDataIndex"] = np.arange(3.0, 33.0).reshape(1, -1)
    made["CMData"][0, 0]["VCMGoodDataIndex"] = np.arange(1.0, 15.0).reshape(1, -1)
    made["LocoFlags"] = {"Coupling": "No", "Dispersion": "No"}
    found = fit_mml(fodo, write(tmp_path / "less.mat", made))
    assert found.both is None
    result = found.result
    assert result.bpms == ours.bpms[1:]
    assert "rf" not in result.actuators
    assert len(result.actuators) == 16 + 14
    assert set(result.kinds) == {"b1"}
    kept = loco_import.analyse(fodo.run(result.uid)).whole
    assert kept.good[0, 0]
    assert not kept.good[0, -1], "of a vertical corrector"
    assert not kept.good[len(result.bpms)].any(), "the first vertical BPM"
    true = np.array([ours.quadrupole_errors[name] for name in result.strengths])
    mine = np.array([result.quadrupole_errors[name] for name in result.strengths])
    assert np.std(mine - true) < 0.3 * np.std(true)


def test_without_a_lattice_the_order_tells(fodo, measured, ours, tmp_path):
    made = structures(measured, ours)
    del made["RINGData"]
    found = fit_mml(fodo, write(tmp_path / "order.mat", made))
    assert found.result.values == pytest.approx(ours.values, rel=1e-8)
    made["CMData"][0, 0]["HCMIndex"] = made["CMData"][0, 0]["HCMIndex"][:-1]
    made["CMData"][0, 0]["HCMKicks"] = made["CMData"][0, 0]["HCMKicks"][:-1]
    made["CMData"][0, 0]["HCMGoodDataIndex"] = np.arange(1.0, 16.0).reshape(1, -1)
    made["LocoMeasData"]["M"] = np.delete(made["LocoMeasData"]["M"], 15, axis=1)
    made["CMData"] = made["CMData"][:, :1]
    with pytest.raises(DataError, match="15 correctors of hcm, and 16 in the profile"):
        fit_mml(fodo, write(tmp_path / "fewer.mat", made))


def test_a_file_of_another_lattice_is_refused(fodo, measured, tmp_path):
    made = structures(measured, None)
    made["RINGData"]["Lattice"][0, 3]["Length"] += 0.2
    runs = len(fodo.runs)
    with pytest.raises(DataError, match="is of another lattice"):
        fit_mml(fodo, write(tmp_path / "other.mat", made))
    assert len(fodo.runs) == runs, "nothing was stored"


@pytest.mark.parametrize(
    ("structure", "field", "words"),
    [
        ("LocoMeasData", "BPMSTD", "LocoMeasData has no field BPMSTD; it has DeltaRF"),
        ("BPMData", "VBPMIndex", "BPMData has no field VBPMIndex; it has BPMIndex"),
        ("CMData", "HCMKicks", "CMData has no field HCMKicks"),
        ("CMData", None, "there is no structure CMData; it has LocoMeasData"),
    ],
)
def test_what_is_missing_is_named(fodo, measured, tmp_path, structure, field, words):
    made = structures(measured, None)
    if field is None:
        del made[structure]
    elif isinstance(made[structure], dict):
        del made[structure][field]
    else:
        names = [name for name in made[structure].dtype.names if name != field]
        made[structure] = repack_fields(made[structure][names])
    with pytest.raises(DataError, match=words):
        fit_mml(fodo, write(tmp_path / "missing.mat", made))


def test_sizes_that_do_not_fit_are_named_all_at_once(fodo, measured, tmp_path):
    made = structures(measured, None)
    made["LocoMeasData"]["M"] = made["LocoMeasData"]["M"][:-1]
    made["LocoMeasData"]["Eta"] = np.zeros((3, 1))
    with pytest.raises(DataError, match=r"M is \(63, 32\), wanted \(64, 32\); .*Eta"):
        fit_mml(fodo, write(tmp_path / "sizes.mat", made))
    with pytest.raises(ConfigError, match="no such file"):
        fit_mml(fodo, tmp_path / "none.mat")
