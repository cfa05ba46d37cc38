from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from toy import ToyReferences, ToyRuns, toy_run

from acctwin import plans
from acctwin.data.folders import DONE, UPLOADED, StoreFolder
from acctwin.data.journal import Journal
from acctwin.data.references import Promotion, References, previous
from acctwin.data.runs import Run
from acctwin.errors import DataError, PlanError, UnknownName


class Catalog(dict):
    """Runs in Tiled: answers the three searches that are asked of it."""

    def search(self, query):
        _, name = query.key.split(".")
        return Catalog({
            uid: run
            for uid, run in self.items()
            if run.metadata["start"]["reference"][name] == query.value
        })


@dataclass
class Stored:
    metadata: dict[str, Any]


@dataclass
class FakeStore:
    """A store whose Tiled server is up, or is not."""

    root: Path
    is_new: bool = False
    catalog: Catalog | None = None
    waited: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.folder = StoreFolder(self.root)
        self.journal = Journal(self.folder.journals / "ours")

    def connect(self, timeout_s):
        self.waited.append(timeout_s)
        if self.catalog is None:
            raise DataError("the server does not answer")
        return self.catalog


def said(uid: str, time: float, *, run="p", status="success", **changes):
    reference = {
        "machine": "toy",
        "operational_mode": "test",
        "kind": "orbit",
        "uid": uid,
        "action": "promote",
        "reason": "",
    }
    start = {
        "uid": f"{run}-{time}",
        "time": time,
        "operator": "me",
        "reference": reference | changes,
    }
    return start, {"exit_status": status, "run_start": start["uid"]}


def journaled(folder: Path, start, stop) -> Path:
    journal = Journal(folder)
    journal("start", start)
    journal("stop", stop)
    return folder / f"{start['uid']}{DONE}"


def in_tiled(*promotions) -> Catalog:
    return Catalog({
        start["uid"]: Stored({"start": start, "stop": stop})
        for start, stop in promotions
    })


@pytest.fixture
def store(tmp_path):
    return FakeStore(tmp_path)


@pytest.fixture
def references(store):
    return References(store, "toy", "test", deadline_s=7.0)


def test_our_own_promotions_need_no_server(store, references):
    journaled(store.journal.folder, *said("a", 1.0))
    assert references.current("orbit") == "a"
    assert store.waited == [0.0], "asked, not waited for"
    journaled(store.journal.folder, *said("b", 2.0))
    assert [change.uid for change in references.history("orbit")] == ["a", "b"]


def test_a_session_that_promoted_nothing_waits_for_tiled(store, references):
    store.catalog = in_tiled(said("a", 1.0))
    assert references.current("orbit") == "a"
    assert references.current("machine") is None
    assert store.waited == [7.0, 7.0]
    store.catalog = None
    words = r"the orbit reference of toy \(test\) is not known: the server does not"
    with pytest.raises(DataError, match=words):
        references.current("orbit")


def test_a_promotion_in_another_journal_counts_but_may_not_be_the_newest(
    store, references
):
    journaled(store.folder.journals / "theirs", *said("a", 1.0))
    with pytest.raises(DataError):
        references.current("orbit")
    store.catalog = in_tiled(said("b", 2.0))
    assert references.current("orbit") == "b"


def test_where_nothing_was_ever_uploaded_the_journals_are_enough(store, references):
    store.is_new = True
    assert references.current("orbit") is None
    journaled(store.folder.journals / "theirs", *said("a", 1.0))
    assert references.current("orbit") == "a"


def test_the_newest_by_time_wins_wherever_it_is(store, references):
    journaled(store.journal.folder, *said("ours", 2.0))
    store.catalog = in_tiled(said("old", 1.0), said("ours", 2.0))
    assert references.current("orbit") == "ours"
    assert len(references.history("orbit")) == 2, "what is in both counts once"
    store.catalog = in_tiled(said("old", 1.0), said("newer", 3.0))
    assert references.current("orbit") == "newer"


def test_uploaded_refused_and_failed_promotions(store, references):
    home = store.journal.folder
    path = journaled(home, *said("a", 1.0))
    (home / UPLOADED).mkdir()
    path.rename(home / UPLOADED / path.name)
    assert references.current("orbit") == "a"
    path = journaled(home, *said("b", 2.0))
    path.rename(path.with_suffix(".refused"))
    assert references.current("orbit") == "b"
    journaled(home, *said("c", 3.0, status="fail"))
    store.catalog = in_tiled(said("d", 4.0, status="abort"))
    assert references.current("orbit") == "b"


@pytest.mark.parametrize(
    "other", [{"machine": "ebs"}, {"operational_mode": "low"}, {"kind": "machine"}]
)
def test_other_machines_modes_and_kinds_have_their_own(store, references, other):
    journaled(store.journal.folder, *said("a", 1.0))
    journaled(store.journal.folder, *said("b", 2.0, **other))
    store.catalog = in_tiled(said("c", 3.0, **other))
    assert references.current("orbit") == "a"


def test_the_real_machine_and_the_simulated_one_have_their_own(store, references):
    start, stop = said("real", 1.0)
    store.catalog = in_tiled(({**start, "mode": "hardware"}, stop))
    journaled(store.folder.journals / "ours", *said("simulated", 2.0))
    assert references.current("orbit") == "simulated"
    references.mode = "hardware"
    assert references.current("orbit") == "real"


def test_a_roll_back_to_nothing_leaves_no_reference(store, references):
    journaled(store.journal.folder, *said("a", 1.0))
    journaled(store.journal.folder, *said("", 2.0, action="roll_back"))
    assert references.current("orbit") is None
    assert [c.action for c in references.history("orbit")] == ["promote", "roll_back"]


def history(words: str) -> list[Promotion]:
    """``"a b <"``: a, then b, then rolled back."""
    return [
        Promotion(word, "k", "roll_back" if word == "<" else "promote", 0, "", "", "")
        for word in words.split()
    ]


@pytest.mark.parametrize(
    ("words", "goes_to"),
    [("a", ""), ("a b", "a"), ("a b c <", "a"), ("a b < <", ""), ("a b < c", "a")],
)
def test_rolling_back_again_goes_further_back(words, goes_to):
    assert previous(history(words)) == goes_to


@pytest.fixture
def machine(toy, run):
    run.RE.md.update(profile="toy", operational_mode="test", operator="me")
    toy.machine.references = ToyReferences()
    toy.machine.runs = ToyRuns(toy_run("measure_orbit"))
    return toy.machine


def test_a_promotion_is_a_run_without_events(run, machine):
    result = run(plans.promote_reference(machine, "orbit", "run", "after the shutdown"))
    assert (result.reference, result.action) == ("run", "promote")
    assert run.start["plan_name"] == "promote_reference"
    assert run.start["reference"] == {
        "machine": "toy",
        "operational_mode": "test",
        "kind": "orbit",
        "uid": "run",
        "action": "promote",
        "reason": "after the shutdown",
    }
    assert [name for name, _ in run.documents] == ["start", "stop"]
    change = Promotion.from_start(run.start)
    assert (change.uid, change.operator, change.promotion) == ("run", "me", result.uid)


@pytest.mark.parametrize(
    ("kind", "stored", "words"),
    [
        ("orbit", {"profile": "ebs"}, "is of the machine 'ebs', and this is 'toy'"),
        ("orbit", {"operational_mode": "low"}, "mode 'low', and this is 'test'"),
        ("orbit_response", {}, "is a run of measure_orbit_response or measure_resp"),
        ("machine", {}, "is a run of save_machine"),
        ("a b", {}, "is a word"),
    ],
)
def test_what_cannot_be_a_reference_is_refused(run, machine, kind, stored, words):
    machine.runs = ToyRuns(toy_run("measure_orbit", **stored))
    with pytest.raises(PlanError, match=words):
        run(plans.promote_reference(machine, kind, "run"))
    assert not run.documents


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ({"exit_status": "fail", "reason": "BeamLost"}, "did not succeed .BeamLost."),
        ({"exit_status": "abort"}, "did not succeed .abort."),
        (None, "still open"),
    ],
)
def test_a_run_that_did_not_succeed_is_refused(run, machine, stop, words):
    made = toy_run("measure_orbit")
    machine.runs = ToyRuns(Run(made.uid, made.start, stop, {}))
    with pytest.raises(PlanError, match=words):
        run(plans.promote_reference(machine, "orbit", "run"))


def test_a_run_that_is_not_there_is_refused(run, machine):
    with pytest.raises(UnknownName, match="no run is called 'nonsense'"):
        run(plans.promote_reference(machine, "orbit", "nonsense"))
    assert run(plans.promote_reference(machine, "bba_offsets", "run")).reference


def test_rolling_back(run, machine):
    with pytest.raises(PlanError, match="no orbit reference, so there is nothing"):
        run(plans.roll_back_reference(machine, "orbit"))
    machine.references.add("orbit", "first")
    machine.references.add("orbit", "second")
    assert run(plans.roll_back_reference(machine, "orbit")).reference == "first"
    assert run.start["reference"]["action"] == "roll_back"
    machine.references.add("orbit", "first", "roll_back")
    assert run(plans.roll_back_reference(machine, "orbit")).reference == ""
    machine.references.add("orbit", "", "roll_back")
    with pytest.raises(PlanError, match="nothing to roll back"):
        run(plans.roll_back_reference(machine, "orbit"))


def test_a_correction_uses_the_references(run, toy, machine, caplog):
    import numpy as np
    from toy import N_COR

    golden = run(plans.measure_orbit(machine))
    orbit = Run.from_documents(iter(run.documents))
    response = run(plans.measure_orbit_response(machine))
    measured = Run.from_documents(iter(run.documents))
    machine.runs = ToyRuns(orbit, measured)
    machine.references.add("orbit", golden.uid)
    machine.references.add("orbit_response", response.uid)
    run(plans.step(machine, "hcm", 2e-5))
    result = run(plans.correct_orbit(machine))
    assert "design model" not in caplog.text
    assert np.allclose(result.after.x, golden.x, atol=1e-12)
    assert run.start["derived_from"] == [response.uid, golden.uid]
    assert run.start["plan_args"]["goal"] == golden.uid
    result = run(plans.correct_orbit(machine, "model", goal="zero"))
    assert "design model" in caplog.text
    assert np.abs(result.after.x).max() < 1e-12
    assert run.start["derived_from"] == []
    run(plans.correct_orbit(machine, goal=golden.uid))
    assert np.allclose(toy.sim.setpoints[: 2 * N_COR], 0.0, atol=1e-12)
