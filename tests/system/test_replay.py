"""What is replayed from Tiled is what was emitted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from event_model import compose_run

sys.path.insert(0, str(Path(__file__).parent))

from same_documents import assert_same_documents

from acctwin.data import Store, documents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        yield store


def assert_replayed(store, emitted) -> None:
    """Check that Tiled gives all documents back, in order, and valid."""
    found = documents(store.catalog[emitted[0][1]["uid"]])
    assert_same_documents(emitted, list(found))


def data_key(value, **more):
    if isinstance(value, np.ndarray):
        more["dtype_numpy"] = value.dtype.str
        return {"dtype": "array", "shape": list(value.shape), "source": "t", **more}
    if isinstance(value, list):
        return {"dtype": "array", "shape": [len(value)], "source": "t", **more}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"dtype": kinds[type(value)], "shape": [], "source": "t", **more}


def configured(values):
    return {
        "bpms": {
            "data": values,
            "timestamps": dict.fromkeys(values, 1.5),
            "data_keys": {
                key: {"dtype": "array", "shape": [len(v)], "source": "t"}
                if isinstance(v, list)
                else data_key(v)
                for key, v in values.items()
            },
        }
    }


def composed(rows, configuration=None, **metadata):
    """Return the documents of a run with these rows in two streams, interleaved."""
    run = compose_run(metadata={"plan_name": "toy", **metadata})
    keys = {key: data_key(value) for key, value in rows[0].items()}
    found = [("start", run.start_doc)]
    streams = []
    for name in ("zebra", "antelope"):
        stream = run.compose_descriptor(
            name=name, data_keys=dict(keys), configuration=configuration or {}
        )
        keys = {f"other_{key}": value for key, value in keys.items()}
        found.append(("descriptor", stream.descriptor_doc))
        streams.append(stream)
    for row in rows:
        for stream, prefix in zip(streams, ("", "other_"), strict=True):
            data = {prefix + key: value for key, value in row.items()}
            # All at one time: nothing but what is kept says which came first.
            event = stream.compose_event(
                data=data, timestamps=dict.fromkeys(data, 2.25), time=1e9
            )
            found.append(("event", event))
    return [*found, ("stop", run.compose_stop())]


def send(store, emitted) -> None:
    for name, doc in emitted:
        store.journal(name, doc)


def test_uids_order_and_values_come_back(store):
    rows = [
        {"x": np.array([i, np.nan, -0.0]), "n": i, "v": 0.1 * i, "on": bool(i % 2)}
        for i in range(5)
    ]
    configuration = configured({"names": ["a", "b"], "s": np.array([0.1, 0.2])})
    emitted = composed(rows, configuration, note=[1, 2.5, None, True])
    send(store, emitted)
    assert_replayed(store, emitted)


def test_what_json_and_tables_change_comes_back(store):
    rows = [
        {"x": np.arange(3), "v": np.inf, "w": "one two"},
        {"x": np.arange(5), "v": np.nan, "w": ""},
        {"x": np.arange(3) + 7, "v": -np.inf, "w": "ä"},
    ]
    configuration = configured({"limits": np.array([np.nan, np.inf])})
    emitted = composed(rows, configuration, largest=2**60, worst=float("nan"))
    send(store, emitted)
    assert_replayed(store, emitted)


def test_other_clients_see_the_run_as_before(store):
    emitted = composed([{"x": np.arange(3.0), "v": 1.0}])
    send(store, emitted)
    run = store.catalog[emitted[0][1]["uid"]]
    assert list(run) == ["antelope", "zebra"]
    assert set(run["zebra"].read()) == {"x", "v"}
    assert store.db[-1].table("zebra").columns.tolist() == ["x", "v", "time"]
    events = [doc for name, doc in run.documents() if name == "event"]
    assert all(doc["timestamps"].keys() == doc["data"].keys() for doc in events)


def test_lists_of_words_in_events_come_back(store):
    rows = [{"x": np.arange(3.0), "words": ["on", "off"]} for _ in range(2)]
    emitted = composed(rows)
    send(store, emitted)
    assert_replayed(store, emitted)
