"""Every plan writes down how it was called, and can be called so again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from ophyd_async.core import Device

sys.path.insert(0, str(Path(__file__).parent))

from test_plans_restore import CASES, engine
from toy_ring import ring_machine

from acctwin import plans
from acctwin.errors import PlanError, UnknownName
from acctwin.plans.call import CALL, arguments_of, read, written

__all__ = ["engine"]  # a fixture


@pytest.fixture
def machine():
    made, _ = ring_machine()
    call_in_bluesky_event_loop(made.connect())
    return made


def starts_of(engine: RunEngine, plan) -> list[dict]:
    found: list[dict] = []
    engine(plan, {"start": [lambda _, doc: found.append(doc)]})
    return found


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_run_says_how_its_plan_was_called(engine, machine, name):
    starts = starts_of(engine, CASES[name](machine))
    call = starts[-1][CALL]
    assert call["plan"] == name
    assert "unknown" not in repr(call)
    again = arguments_of(machine, call)
    assert same(
        again, arguments_of(machine, {"arguments": again_written(machine, again)})
    )
    parts = {start[CALL]["plan"] for start in starts[:-1]}
    assert parts <= set(plans.__all__)


def again_written(machine, arguments):
    return {name: written(machine, value) for name, value in arguments.items()}


def same(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Device):
        return one is other
    return bool(np.all(one == other))


def test_devices_come_back_as_themselves(machine):
    some = machine.hcm.select("T/C[01]-H")
    for thing in (machine.hcm, machine["T/C0-H"], machine.rf, machine.tune):
        assert read(machine, written(machine, thing)) is thing
    again = read(machine, written(machine, {"a": [some, 1.5, None, True]}))
    assert again["a"][0].names == some.names
    assert again["a"][1:] == [1.5, None, True]


def test_what_cannot_be_written_is_said(machine):
    stranger, _ = ring_machine()
    word = written(machine, stranger.hcm)
    assert word == {"unknown": "MagnetFamily"}
    with pytest.raises(PlanError, match="a MagnetFamily, is not in the run"):
        read(machine, word)
    with pytest.raises(UnknownName, match="T/C0-H"):
        read(machine, {"device": "T/C0-G"})


def test_defaults_are_not_written(engine, machine):
    (start,) = starts_of(engine, plans.measure_orbit(machine))
    assert start[CALL] == {"plan": "measure_orbit", "arguments": {}}
