"""Knobs of several magnets: what they set, what follows, what the limits leave."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import LIMIT, powered_profile, toy_machine
from toy_ring import ring_machine

from acctwin.errors import PlanError, UnknownName
from acctwin.plans.group_knobs import (
    all_boxes,
    all_moves,
    family_knobs,
    group_starts,
    recorded,
    room,
    supplies_behind,
)
from acctwin.plans.stubs import move


def powered():
    machine, sim = toy_machine(profile=powered_profile())
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


@pytest.fixture
def ring(run):
    machine, _ = ring_machine()
    call_in_bluesky_event_loop(machine.connect())
    return machine


def going(knobs, *changes):
    """Move knobs; return where their magnets were and where they are."""
    start = yield from group_starts(knobs)
    yield from move(all_moves(knobs, start, changes))
    after = yield from group_starts(knobs)
    return start, after


def test_a_family_without_supplies_is_set_as_an_array(run, ring):
    ring.mark_bad("T/SF1")
    (knob,) = knobs = family_knobs(ring, ["SF"])
    assert knob.name == "SF"
    assert knob.names == ("T/SF0",)
    start, after = run(going(knobs, 0.5))
    assert after["T/SF0"] == start["T/SF0"] + 0.5
    assert after["T/SF1"] == start["T/SF1"]
    ((device, values),) = knob.moves(start, 0.5)
    assert device is ring["SF"]
    assert values.tolist() == [start["T/SF0"] + 0.5, start["T/SF1"]]
    assert recorded(knobs) == supplies_behind(knobs) == [ring["SF"]]


def test_parts_of_one_family_are_knobs_of_their_own(run, ring):
    knobs = family_knobs(ring, [ring.sextupoles.select("*F0"), ring["T/SD1"]])
    assert [knob.name for knob in knobs] == ["T/SF0", "T/SD1"]
    start, after = run(going(knobs, 0.5, -0.25))
    moved = {name: after[name] - start[name] for name in start}
    assert moved == {"T/SF0": 0.5, "T/SF1": 0.0, "T/SD0": 0.0, "T/SD1": -0.25}


def test_magnets_in_series_follow_the_one_that_is_set(run):
    machine, _ = powered()
    (knob,) = knobs = family_knobs(machine, [machine.hcm.select("T/C[123]-H")])
    assert knob.led == (("T/C1-H",), ("T/C2-H", "T/C3-H"))
    assert [magnet.info.name for magnet in knob.magnets] == ["T/C1-H", "T/C2-H"]
    run(going(knobs, 1e-4))
    start, after = run(going(knobs, 1e-4))
    moved = [after[name] - start[name] for name in knob.names]
    # C3 is 1 % stronger on the same supply.
    assert moved == pytest.approx([1e-4, 1e-4, 1.01e-4])
    assert knob.shares(start) == pytest.approx([1.0, 1.0, 1.01])
    each = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, 1.0]])
    assert knob.per_change(start, each) == pytest.approx([7.04, 1.01])
    assert supplies_behind(knobs) == [machine.hcm.supplies]
    assert recorded(knobs) == [machine.hcm, machine.hcm.supplies]


def test_a_magnet_named_alone_brings_the_others_of_its_supply(run):
    machine, _ = powered()
    (knob,) = knobs = family_knobs(machine, [machine["T/C3-H"]])
    assert knob.names == ("T/C3-H", "T/C2-H")
    assert all_boxes(knobs) == [machine["T/C3-H"], machine["T/C2-H"]]
    start, after = run(going(knobs, 1e-4))
    assert after["T/C2-H"] - start["T/C2-H"] == pytest.approx(1e-4 / 1.01)


def test_room_is_what_the_limits_leave_followers_included(run):
    machine, _ = powered()
    knobs = family_knobs(machine, ["T/C1-H", "T/C2-H"])
    start, _ = run(going(knobs, 1e-4, 1e-4))
    _, here = run(going(knobs, 0.0, 0.0))
    assert room(knobs, here, [1e-5, -1e-5]) == (1.0, "")
    fraction, words = room(knobs, here, [0.0, 2e-3])
    assert fraction == pytest.approx((LIMIT - 1.01e-4) / (1.01 * 2e-3))
    assert words.startswith("T/C3-H is at 0.000101 and its limit is 0.001 rad")
    assert start == dict.fromkeys(start, 0.0)


def test_what_makes_no_knob_is_refused(ring):
    with pytest.raises(PlanError, match="SF and T/SF0 would both move T/SF0"):
        family_knobs(ring, ["SF", "T/SF0"])
    with pytest.raises(UnknownName, match="did you mean 'SF'"):
        family_knobs(ring, ["SFF"])
    with pytest.raises(PlanError, match="is not a family of magnets"):
        family_knobs(ring, ["rf"])
    ring.mark_bad("T/SD0", "T/SD1")
    with pytest.raises(PlanError, match="SD: all members are marked bad"):
        family_knobs(ring, ["SD"])
