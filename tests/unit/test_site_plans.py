"""The short routines of the reference site: names that exist, sentences that fit."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from toy import N_BPM, ToyEngine

from acctwin.profiles import load_profile

SITE = Path(__file__).parents[2]
ROUTINES = sorted((SITE / "plans").glob("*/*.py"))
NEXT_TO_INJECTION = ("T/B0", "T/B7")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"{path.parent.name}_{path.stem}", path
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=ROUTINES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def routine(request, monkeypatch):
    """A routine, told that the toy's BPMs are those next to the injection."""
    module = load(request.param)
    monkeypatch.setattr(module, "INJECTION", NEXT_TO_INJECTION)
    return module.morning_check


def test_there_are_routines():
    assert {path.parent.name for path in ROUTINES} == {"ebs", "fodo"}


@pytest.mark.parametrize("path", ROUTINES, ids=lambda path: path.parent.name)
def test_a_routine_names_devices_of_its_machine(path):
    known = {bpm.name for bpm in load_profile(path.parent.name, SITE).bpms}
    assert set(load(path).INJECTION) <= known


@pytest.mark.parametrize("path", ROUTINES, ids=lambda path: path.parent.name)
def test_a_routine_uses_plans_and_devices_only(path):
    lines = [line for line in path.read_text().splitlines() if "import" in line]
    assert [line for line in lines if "acctwin" in line] == [
        "from acctwin import plans",
        "from acctwin.devices import Machine",
    ]


def test_all_is_well_on_a_good_machine(routine, make_toy, run):
    toy = make_toy(ToyEngine(error=np.zeros(2 * N_BPM)))
    assert run(routine(toy.machine)) == []


def test_a_large_orbit_is_told(routine, make_toy, run):
    error = np.zeros(2 * N_BPM)
    error[N_BPM:] = 2e-3
    found = run(routine(make_toy(ToyEngine(error=error)).machine))
    assert any("the y orbit is 2000 µm rms" in sentence for sentence in found)
    assert not any("the x orbit" in sentence for sentence in found)


def test_a_bpm_that_is_bad_is_told(routine, toy, run):
    toy.machine.mark_bad("T/B0")
    assert "T/B0 is out of service" in run(routine(toy.machine))


def test_a_routine_says_what_it_does(routine):
    assert inspect.getdoc(routine)
