"""Runs as arrays: aligned, a repeated event counts once, and replay."""

from __future__ import annotations

import numpy as np
import pytest
from event_model import DocumentRouter, compose_run

from acctwin.data import Run, RunSummary, replay
from acctwin.errors import DataError, UnknownName


def make_documents(numbers=(1, 2, 3)):
    """Return a run whose events carry their position in the row, as x and n."""
    run = compose_run(metadata={"plan_name": "toy", "profile": "ring", "scan_id": 7})
    keys = {
        "x": {"dtype": "array", "shape": [5], "source": "t", "units": "m"},
        "n": {"dtype": "number", "shape": [], "source": "t"},
    }
    names = {"bpms-names": ["a", "b", "c", "d", "e"]}
    configuration = {
        "bpms": {
            "data": names,
            "timestamps": {"bpms-names": 0.0},
            "data_keys": {
                "bpms-names": {"dtype": "array", "shape": [5], "source": "t"}
            },
        }
    }
    stream = run.compose_descriptor(
        name="primary", data_keys=keys, configuration=configuration
    )
    found = [("start", run.start_doc), ("descriptor", stream.descriptor_doc)]
    for row, number in enumerate(numbers):
        event = stream.compose_event(
            data={"x": np.full(5, float(row)), "n": float(row)},
            timestamps={"x": 10.0 + row, "n": 20.0 + row},
            seq_num=number,
            time=stream.descriptor_doc["time"] + 1.0 + row,
        )
        found.append(("event", event))
    return [*found, ("stop", run.compose_stop())]


def test_columns_units_and_configuration():
    run = Run.from_documents(make_documents())
    primary = run["primary"]
    assert primary["x"].shape == (3, 5)
    assert primary["n"].tolist() == [0.0, 1.0, 2.0]
    assert primary.names == ("x", "n")
    assert primary.units("x") == "m"
    assert primary.units("n") == ""
    assert primary.config("bpms-names") == ["a", "b", "c", "d", "e"]
    assert primary.timestamps["n"].tolist() == [20.0, 21.0, 22.0]
    assert run.stop is not None and run.stop["num_events"] == {"primary": 3}


def test_an_event_measured_again_counts_once_and_stays_aligned():
    run = Run.from_documents(make_documents(numbers=(1, 2, 3, 3, 4)))
    primary = run["primary"]
    assert primary.seq_num.tolist() == [1, 2, 3, 4]
    assert primary["n"].tolist() == [0.0, 1.0, 3.0, 4.0]
    assert np.array_equal(primary["x"][:, 0], primary["n"])
    assert primary.timestamps["x"].tolist() == [10.0, 11.0, 13.0, 14.0]


def test_event_pages_are_events():
    documents = make_documents()
    events = [doc for name, doc in documents if name == "event"]
    page = {
        "descriptor": events[0]["descriptor"],
        "seq_num": [event["seq_num"] for event in events],
        "time": [event["time"] for event in events],
        "data": {key: [event["data"][key] for event in events] for key in "xn"},
        "timestamps": {
            key: [event["timestamps"][key] for event in events] for key in "xn"
        },
    }
    paged = [*documents[:2], ("event_page", page), documents[-1]]
    one, other = Run.from_documents(documents), Run.from_documents(paged)
    for key in "xn":
        assert np.array_equal(one["primary"][key], other["primary"][key])
    assert np.array_equal(one["primary"].time, other["primary"].time)


def test_an_open_run_has_no_stop_and_may_have_no_events():
    run = Run.from_documents(make_documents()[:2])
    assert run.stop is None
    assert len(run["primary"]) == 0


def test_arrays_of_different_lengths_are_kept_as_they_are():
    documents = make_documents()
    documents[2][1]["data"]["x"] = np.zeros(3)
    column = Run.from_documents(documents)["primary"]["x"]
    assert column.dtype == object
    assert [len(value) for value in column] == [3, 5, 5]


def test_wrong_names_are_answered_with_the_nearest():
    run = Run.from_documents(make_documents())
    with pytest.raises(UnknownName, match="primary"):
        run["primry"]
    with pytest.raises(UnknownName, match="no data key is called 'y'"):
        run["primary"]["y"]
    with pytest.raises(UnknownName, match="bpms-names"):
        run["primary"].config("bpms_names")


def test_documents_without_a_start_are_no_run():
    with pytest.raises(DataError, match="no start document"):
        Run.from_documents(make_documents()[1:])


def test_a_missing_value_is_an_error():
    documents = make_documents()
    del documents[3][1]["data"]["x"]
    with pytest.raises(DataError, match="'primary' has no value for 'x'"):
        Run.from_documents(documents)


def test_replay_feeds_a_document_router():
    class Sum(DocumentRouter):
        total, names = 0.0, ()

        def event(self, doc):
            self.total += doc["data"]["n"]

    seen, total = [], Sum()
    run = Run.from_documents(make_documents())
    replay(run, lambda name, doc: seen.append(name), total)
    assert seen == ["start", "descriptor", "event", "event", "event", "stop"]
    assert total.total == 3.0
    again = []
    replay(run, lambda name, doc: again.append((name, doc)))
    assert np.array_equal(
        Run.from_documents(again)["primary"]["x"], run["primary"]["x"]
    )


def test_summary_of_a_run_and_of_an_open_one():
    documents = make_documents()
    summary = RunSummary.from_metadata(documents[0][1], documents[-1][1])
    assert (summary.scan_id, summary.plan_name, summary.profile) == (7, "toy", "ring")
    assert (summary.exit_status, summary.events) == ("success", 3)
    assert RunSummary.from_metadata(documents[0][1], None).exit_status == "open"
