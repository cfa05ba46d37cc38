"""What clients of the queue may fill in, who may queue what, what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import ToyRuns
from toy_ring import RF_HZ, ring_machine

po = pytest.importorskip("bluesky_queueserver.manager.profile_ops")

from acctwin import plans
from acctwin.analysis.machine_state import MachineState
from acctwin.data.folders import FileLock
from acctwin.data.runs import Run
from acctwin.errors import DataError, MissingExtra, PlanError, UnknownName
from acctwin.session.queue import control
from acctwin.session.queue.environment import environment, session_options
from acctwin.session.queue.folder import QueueConfig, QueueFolder, QueueState
from acctwin.session.queue.forms import described, form_of
from acctwin.session.queue.marks import WorkerMarks
from acctwin.session.queue.results import MOST_NUMBERS, Results, plain
from acctwin.session.queue.worker import OBSERVING, queued_plans

SITE = Path(__file__).parents[2]
STARTUP = SITE / "profiles/queueserver"
CONFIG = QueueConfig("fodo", "physics", 3, None, None, str(STARTUP))


class Manager:
    """What the manager knows after the worker has opened."""

    def __init__(self, machine: Any) -> None:
        self.results = Results()
        self.plans = queued_plans(machine, self.results)
        found = po.existing_plans_and_devices_from_nspace(nspace=dict(self.plans))
        self.existing = found[0]
        permissions = po.load_user_group_permissions(
            STARTUP / "user_group_permissions.yaml"
        )
        self.allowed, self.devices = po.load_allowed_plans_and_devices(
            existing_plans=self.existing,
            existing_devices={},
            user_group_permissions=permissions,
        )

    def why_not(
        self, plan: str, given: Mapping[str, Any] = {}, group: str = "primary"
    ) -> str:
        """Return why an item is refused; empty: it is taken."""
        item = {"name": plan, "args": [], "kwargs": dict(given)}
        accepted, why = po.validate_plan(
            item | {"user_group": group, "item_type": "plan"},
            allowed_plans=self.allowed[group],
            allowed_devices=self.devices[group],
        )
        return "" if accepted else why

    def parameter(self, plan: str, name: str) -> dict[str, Any]:
        every = self.existing[plan]["parameters"]
        return next(one for one in every if one["name"] == name)


@pytest.fixture(scope="module")
def manager():
    return Manager(ring_machine()[0])


@pytest.fixture
def ring(run):
    machine, _ = ring_machine()
    call_in_bluesky_event_loop(machine.connect())
    return machine


def test_every_plan_can_be_queued_and_every_parameter_has_a_type_and_a_text(manager):
    assert set(manager.existing) == set(plans.__all__)
    for name, form in manager.existing.items():
        assert form["description"], name
        for parameter in form["parameters"]:
            assert parameter["name"] != "machine"
            assert parameter["annotation"]["type"], (name, parameter)
            assert parameter["description"], (name, parameter)


def test_a_form_has_types_units_ranges_and_names(manager):
    frequency = manager.parameter("set_rf", "frequency_hz")
    assert frequency["annotation"] == {"type": "float"}
    assert frequency["description"] == "Where it is to go [Hz]."
    assert float(frequency["min"]) < RF_HZ < float(frequency["max"])
    assert "default" not in frequency
    method = manager.parameter("measure_orbit_response", "method")
    assert method["annotation"]["type"] == "typing.Literal['bipolar', 'unipolar']"
    correctors = manager.parameter("measure_orbit_response", "correctors")
    assert correctors["annotation"]["type"] == "list[Settable] | NoneType"
    assert {"hcm", "T/C0-H"} <= set(correctors["annotation"]["enums"]["Settable"])
    # a result, or the uid of its run: a client can only name the run
    assert manager.parameter("correct_orbit", "response")["annotation"] == {
        "type": "str | NoneType"
    }


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (("measure_orbit", {"readings": 0}), "out of range"),
        (("measure_orbit", {"readings": 1.5}), "valid integer"),
        (("measure_orbit", {"readings": "two"}), "valid integer"),
        (("measure_orbit", {"reading": 1}), "unexpected keyword"),
        (("measure_orbit_response", {"correctors": ["hcn"]}), "Input should be"),
        (("measure_orbit_response", {"correctors": "hcm"}), "valid list"),
        (("measure_orbit_response", {"method": "both"}), "'bipolar' or 'unipolar'"),
        (("set_rf", {"frequency_hz": 1.0}), "out of range"),
        (("set_tune", {"qx": 0.2}), "missing a required argument"),
        (("correct_orbit", {"bpm_weights": {"T/C0-H": 1.0}}), "Input should be"),
        (("orbit_bump", {"plane": "x", "place": "T/B99"}), "Input should be"),
        (("measure_nothing", {}), "not in the list of allowed plans"),
    ],
)
def test_bad_parameters_are_refused_when_they_are_added(manager, item, said):
    name, parameters = item
    assert said in manager.why_not(name, parameters)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("measure_orbit_response", {"correctors": ["hcm", "T/C0-V"], "scale": 0.5}),
        ("correct_orbit", {"response": "a uid", "bpm_weights": {"T/B0": 2.0}}),
        ("measure_tune", {"above_half": {"x": True}}),
        ("set_values", {"name": "hcm", "value": [1e-6, 2e-6]}),
        ("set_tune", {"qx": 0.2, "qy": 1}),
        ("apply_loco", {"fitted": "a uid", "what": ["optics"]}),
    ],
)
def test_good_parameters_are_taken(manager, name, parameters):
    assert manager.why_not(name, parameters) == ""


def test_an_observer_may_queue_what_moves_nothing_and_operators_all(manager):
    assert set(manager.allowed["observer"]) == set(OBSERVING)
    assert set(manager.allowed["primary"]) == set(plans.__all__)
    said = manager.why_not("correct_orbit", group="observer")
    assert "not in the list of allowed plans" in said


@pytest.mark.parametrize("name", OBSERVING)
def test_what_an_observer_may_queue_moves_nothing(ring, run, name):
    commands: list[str] = []
    run.RE.msg_hook = lambda msg: commands.append(msg.command)
    options = {"max_s": 5.0} if name == "measure_lifetime" else {}
    run(queued_plans(ring, Results())[name](**options))
    assert "read" in commands or "collect" in commands
    assert not {"set", "kickoff"} & set(commands)


def test_names_become_devices_and_results_come_back_in_plain_values(ring, run):
    results = Results()
    queued = queued_plans(ring, results)
    told = run(queued["measure_orbit_response"](correctors=["hcm"], readings=1))
    assert run.start["call"]["arguments"]["correctors"] == [{"device": "hcm"}]
    assert told["uid"] == run.start["uid"]
    assert np.shape(told["matrix"]) == (16, len(ring.hcm.names))
    assert results.plan_result(told["uid"]) is told
    with pytest.raises(UnknownName, match="since the worker was started"):
        results.plan_result("x")


def test_families_stay_names_where_the_plan_takes_names(ring, run):
    saved = run(plans.save_machine(ring))
    ring.runs = SimpleNamespace(run=lambda uid: None)
    queued = queued_plans(ring, Results())["compare_machine"]
    told = run(queued(saved, ["hcm", "rf"]))
    assert isinstance(saved, MachineState)
    assert run.start["plan_args"]["families"] == ["hcm", "rf"]
    assert told["differences"] == []


def test_own_plans_are_queued_too(ring, run):
    def watch(machine: Any, seconds: float = 1.0, callback: Mapping[str, Any] = {}):
        """Watch.

        Args:
            machine: The machine.
            seconds: How long [s].
        """
        yield from plans.measure_orbit(machine)
        return seconds

    queued = queued_plans(ring, Results(), watch)["watch"]
    assert run(queued(seconds=2.0)) == 2.0
    assert [one.name for one in form_of(watch, ring).parameters] == ["seconds"]


def test_a_plan_that_needs_what_has_no_json_form_is_refused(ring):
    def odd(machine: Any, callback: Mapping[str, object]):
        """Odd."""
        yield

    with pytest.raises(PlanError, match="odd cannot be queued: its parameter callback"):
        form_of(odd, ring)


def test_the_text_of_a_parameter_may_be_on_several_lines():
    text, parameters = described(plans.correct_orbit)
    assert text.startswith("Bring the orbit to its goal")
    assert parameters["cutoff"].endswith("``singular_values`` comes first.")
    assert "Returns" not in " ".join(parameters.values())


def test_plain_values():
    big = np.zeros((100, MOST_NUMBERS))
    assert plain({1: np.float64(2.0), "b": big, "c": (np.nan, None, True)}) == {
        "1": 2.0,
        "b": {"shape": [100, MOST_NUMBERS], "where": "in the run"},
        "c": [None, None, True],
    }
    assert plain(np.array([1.0, np.inf])) == [1.0, None]


def test_the_session_is_what_was_asked_for():
    assert session_options(environment(CONFIG)) == {
        "profile": "fodo",
        "mode": "physics",
        "seed": 3,
        "catalog": None,
        "site": None,
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"PROFILE": ""}, "acctwin queue start PROFILE"),
        ({"MODE": "replay"}, "'physics' or 'hardware', not 'replay'"),
        ({"SEED": "one"}, "a whole number, not 'one'"),
    ],
)
def test_what_makes_no_session_is_refused(change, said):
    variables = environment(CONFIG) | {
        f"ACCTWIN_QUEUE_{name}": value for name, value in change.items()
    }
    with pytest.raises(PlanError, match=said):
        session_options(variables)


def test_a_site_without_start_up_files_uses_the_shipped_ones(tmp_path):
    assert control.startup_folder(SITE) == STARTUP
    assert control.startup_folder(tmp_path) == STARTUP


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCTWIN_DATA", str(tmp_path))
    return QueueFolder(tmp_path)


def test_starting_says_what_is_in_the_way(folder, monkeypatch):
    lock = FileLock(folder.lock)
    assert lock.acquire()
    folder.write(QueueState(1, "ebs", "physics", "tcp://127.0.0.1:1", "", "", True))
    with pytest.raises(PlanError, match="running already for ebs at tcp://127.0.0.1:1"):
        control.start(CONFIG)
    lock.release()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"acctwin\[queue\]"):
        control.start(CONFIG)


def test_runs_that_end_with_the_worker_are_refused(folder):
    config = QueueConfig("fodo", "physics", None, "temporary", None, str(STARTUP))
    with pytest.raises(PlanError, match="must outlive its worker"):
        control.start(config)


def test_no_queue(folder):
    assert control.status()["state"] == "none"
    assert control.stop() == "no queue is running"


def test_a_queue_that_was_killed_is_said_to_have_died(folder):
    folder.write(QueueState(1, "ebs", "physics", "", "", "", True, state="ready"))
    found = control.status()
    assert found["state"] == "died" and str(folder.log) in found["problem"]


class Worker:
    """A worker's session: a machine and a RunEngine."""

    def __init__(self, machine: Any, run: Any, mode: str = "hardware") -> None:
        self.machine, self.RE, self.mode, self.run = machine, run.RE, mode, run
        self.profile = SimpleNamespace(name=machine.title)


def test_the_next_worker_finds_what_was_left_moved_until_it_is_restored(
    folder, ring, run
):
    run(plans.save_machine(ring))
    documents = [
        (kind, doc | ({"name": "baseline"} if kind == "descriptor" else {}))
        for kind, doc in run.documents
    ]
    documents[0][1].update(plan_name="bba", profile=ring.title)
    name, was = ring.hcm[0].info.name, 0.0
    run(plans.set_values(ring, name, 1e-5))
    killed = WorkerMarks(Worker(ring, run), folder)
    for kind, doc in documents[:-1]:
        killed(kind, doc)
    second = WorkerMarks(Worker(ring, run), folder)
    second.begin()
    left = second.left_moved()
    assert (left["run"], left["plan"]) == (documents[0][1]["uid"], "bba")
    (moved,) = [one for one in left["moved"] if one["device"] == name]
    assert moved == {"device": name, "was": was, "is": 1e-5, "unit": "rad"}
    ring.runs = ToyRuns(Run.from_documents(documents))
    run(plans.measure_orbit(ring))
    assert second.left_moved() == left
    run(plans.restore_machine(ring, left["run"]))
    assert second.left_moved() == {}
    assert not folder.run(ring.title).exists()


def test_a_run_that_stopped_leaves_no_mark(folder, ring, run):
    marks = WorkerMarks(Worker(ring, run), folder)
    marks.begin()
    with pytest.raises(DataError, match="another worker"):
        WorkerMarks(Worker(ring, run), folder).begin()
    run(plans.set_values(ring, "hcm", 1e-6))
    assert not folder.run(ring.title).exists() and marks.left_moved() == {}


def test_a_new_simulated_machine_has_nothing_left_moved(folder, ring, run):
    folder.run(ring.title).write_bytes(b"of the machine that died")
    WorkerMarks(Worker(ring, run, "physics"), folder).begin()
    assert not folder.run(ring.title).exists()


def test_a_run_that_was_cut_off_before_its_baseline_has_moved_nothing(
    folder, ring, run
):
    run(plans.save_machine(ring))
    killed = WorkerMarks(Worker(ring, run), folder)
    killed("start", run.start | {"plan_name": "bba"})
    second = WorkerMarks(Worker(ring, run), folder)
    second.begin()
    assert second.left_moved() == {} and not folder.run(ring.title).exists()
