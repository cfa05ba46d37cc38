"""A run that is asked from outside what to set and to read."""

from __future__ import annotations

import queue

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import RequestAbort
from toy_ring import ring_machine

from acctwin.errors import LimitError, PlanError, UnknownName
from acctwin.plans.optimisation.observables import observables_of
from acctwin.plans.optimisation.requests import Request, serve_requests, where


@pytest.fixture
def ring(run):
    machine, sim = ring_machine()
    call_in_bluesky_event_loop(machine.connect())
    return machine, sim


def serve(machine, *requests, goes_on=None):
    """Return a plan that answers some requests."""
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    for request in requests[1:]:
        waiting.put(request)

    def inbox(wait_s: float) -> Request | None:
        del wait_s  # all of them are there
        try:
            return waiting.get_nowait()
        except queue.Empty:
            return None

    return serve_requests(
        machine,
        requests[0],
        inbox,
        asked_by="somebody",
        idle_s=1e3,
        goes_on=goes_on or (lambda: not waiting.empty()),
    )


def test_moves_and_readings_are_one_run(run, ring):
    machine, _ = ring
    one = Request("set", {"T/C0-H": 1e-5, "T/C1-V": -2e-5})
    two = Request("read", names=("bpms:rms_x", "T/B3:y", "tune:qx"))
    three = Request("where", names=("T/C0-H",))
    four = Request("set", {"T/C0-H": 3e-5})
    five = Request("read", names=("tune:qx", "bpms:rms_y"))
    assert run(serve(machine, one, two, three, four, five)) is None
    assert one.answer.result(0) is None
    assert three.answer.result(0) == {"T/C0-H": 1e-5}
    first, second = (event["data"] for event in run.events())
    found = two.answer.result(0)
    assert found["bpms:rms_x"] == pytest.approx(np.sqrt((first["bpms_x"] ** 2).mean()))
    assert found["T/B3:y"] == first["bpms_y"][3]
    assert found["tune:qx"] == first["tune_qx"]
    assert set(five.answer.result(0)) == {"tune:qx", "bpms:rms_y"}
    assert (first["T-C0-H_strength"], second["T-C0-H_strength"]) == (1e-5, 3e-5)
    assert run.start["plan_name"] == "somebody"
    assert run(where(machine, ["T/C0-H", "T/C1-V"])) == {
        "T/C0-H": 3e-5,
        "T/C1-V": -2e-5,
    }


def test_what_is_wrong_is_the_answer_and_not_the_end(run, ring):
    machine, sim = ring
    far = machine["T/C0-H"].limits[1] * 2
    wrong = [
        (Request("set", {"T/C0-H": 1e-5, "T/C1-H": far}), LimitError, "T/C1-H"),
        (Request("set", {"T/C9-H": 0.0}), UnknownName, "T/C9-H"),
        (Request("set", {"hcm": 0.0}), PlanError, "hcm is not one device"),
        (Request("read", names=("tune:q",)), UnknownName, "tune:qx"),
        (Request("read"), PlanError, "nothing to be read"),
    ]
    last = Request("read", names=("tune:qx",))
    assert run(serve(machine, *(one for one, _, _ in wrong), last)) is None
    for request, error, words in wrong:
        with pytest.raises(error, match=words):
            request.answer.result(0)
    assert last.answer.done()
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert run.stop["exit_status"] == "success"


@pytest.mark.parametrize(
    "other",
    [
        Request("set", {"T/C1-H": 1e-5}),
        Request("read", names=("emittance:ey",)),
    ],
    ids=["another knob", "another monitor"],
)
def test_events_with_other_devices_are_another_run(run, ring, other):
    machine, _ = ring
    first = Request("set", {"T/C0-H": 1e-5})
    read = Request("read", names=("tune:qx",))
    assert run(serve(machine, first, read, other)) is other
    assert not other.answer.done()
    assert len(run.events()) == 1


def test_aborted_it_puts_everything_back(run, ring):
    machine, sim = ring
    plan = serve(machine, Request("set", {"T/C0-H": 1e-5}), goes_on=lambda: True)
    requests = iter(plan)
    answer, moved = None, False

    def stopped():
        nonlocal answer, moved
        while True:
            try:
                message = requests.send(answer)
                if moved and message.command == "checkpoint":
                    message = requests.throw(RequestAbort())
                moved = moved or message.command == "set"
            except StopIteration as end:
                return end.value
            answer = yield message

    run.RE(stopped())
    assert moved
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert run.stop["exit_status"] == "abort"


def test_bad_bpms_are_not_observed(ring):
    machine, _ = ring
    machine.mark_bad("T/B3")
    known = observables_of(machine)
    assert "T/B3:x" not in known
    assert {"T/B2:x", "bpms:rms_x", "emittance:ex", "dcct:current"} <= set(known)
    assert known["emittance:ex"].unit == "m rad"
    readings = {"bpms_x": np.where(machine.bpms.status, 2.0, np.nan)}
    assert known["bpms:rms_x"].of(readings) == 2.0
