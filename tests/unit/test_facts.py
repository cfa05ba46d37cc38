"""What runs are found by, and a stream as a dataset."""

from __future__ import annotations

import numpy as np
import pytest

from acctwin.data.dataset import dataset
from acctwin.data.facts import Facts
from acctwin.data.provenance import provenance
from acctwin.data.runs import Run
from acctwin.errors import UnknownName

KEYS = {
    "hcm_strength": {"dtype": "array", "shape": [3], "units": "rad", "source": "sim"},
    "rf_frequency": {"dtype": "number", "shape": [], "units": "Hz", "source": "sim"},
    "bpms_x": {"dtype": "array", "shape": [2], "units": "m", "source": "sim"},
}
CONFIGURATION = {
    "hcm": {"data": {"hcm_names": ["A", "B", "C"], "hcm_s": [0.0, 1.0, 2.0]}},
    "bpms": {"data": {"bpms_names": ["P1", "P2"], "bpms_s": [0.5, 1.5]}},
}
RESULT = {
    "tunes_q": {"dtype": "array", "shape": [3], "source": "plan"},
    "tunes_n": {"dtype": "number", "shape": [], "source": "plan"},
    "tunes_matrix": {"dtype": "array", "shape": [9], "source": "plan"},
}


def documents():
    start = {"uid": "run", "time": 1.0, "plan_name": "measure_tune", "profile": "p"}
    start |= {"versions_of": {"numpy": "2.0"}, "derived_from": ["other"]}
    yield "start", start
    yield "descriptor", {
        "uid": "d", "run_start": "run", "time": 1.0, "name": "primary",
        "data_keys": KEYS, "configuration": CONFIGURATION,
    }  # fmt: skip
    yield "descriptor", {
        "uid": "r", "run_start": "run", "time": 1.0, "name": "result",
        "data_keys": RESULT, "configuration": {},
    }  # fmt: skip
    for number, (kick, rf) in enumerate([(0.0, 5e8), (1e-5, 5e8), (0.0, 5e8)]):
        data = {
            "hcm_strength": np.array([0.0, kick, 0.0]),
            "rf_frequency": rf,
            "bpms_x": np.array([1e-6, 2e-6]) * number,
        }
        yield "event", _event("d", number + 1, data)
    numbers = {
        "tunes_q": np.array([4.25, 3.3, np.nan]),
        "tunes_n": 7,
        "tunes_matrix": np.zeros(9),
    }
    yield "event", _event("r", 1, numbers)
    yield (
        "stop",
        {"uid": "s", "run_start": "run", "time": 2.0, "exit_status": "success"},
    )


def _event(descriptor, number, data):
    return {
        "uid": f"{descriptor}{number}", "descriptor": descriptor, "seq_num": number,
        "time": 1.0 + number, "data": data, "timestamps": dict.fromkeys(data, 1.0),
        "filled": {},
    }  # fmt: skip


def test_what_moved_and_what_came_out():
    facts = Facts()
    for name, doc in documents():
        facts.add(name, doc)
    assert facts.metadata() == {
        "moved": ["B"],
        "results": {"tunes_q_0": 4.25, "tunes_q_1": 3.3, "tunes_n": 7.0},
    }


def test_a_dataset_knows_names_positions_and_units():
    found = dataset(Run.from_documents(documents()))
    assert found["bpms_x"].dims == ("event", "bpms")
    assert found["bpms_x"].attrs == {"units": "m"}
    assert found["bpms_x"].sel(bpms="P2").values == pytest.approx([0, 2e-6, 4e-6])
    assert found["bpms_s"].values == pytest.approx([0.5, 1.5])
    assert found["hcm"].values.tolist() == ["A", "B", "C"]
    assert found["rf_frequency"].dims == ("event",)
    assert found.attrs["plan_name"] == "measure_tune"
    with pytest.raises(UnknownName, match="stream"):
        dataset(Run.from_documents(documents()), "nothing")


def test_where_a_run_comes_from():
    found = provenance(Run.from_documents(documents()), ("later",))
    assert found["run"]["plan"] == "measure_tune"
    assert found["moved"] == ["B"]
    assert found["software"]["numpy"] == "2.0"
    assert found["derived_from"] == ["other"]
    assert found["derived"] == ["later"]
