"""Runs in other formats: values to the bit, names, units, and what they cannot hold."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from event_model import compose_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import loadmat

from acctwin.data import Run
from acctwin.data.export import (
    choose_runs,
    read_bundle,
    to_bundle,
    to_csv,
    to_hdf5,
    to_mat,
)
from acctwin.data.export.axes import Axes
from acctwin.data.export.content import content_hash
from acctwin.data.export.matlab import valid_name
from acctwin.data.export.plain import to_plain, unique_names
from acctwin.data.folders import StoreFolder
from acctwin.data.frames import encode_frame
from acctwin.errors import DataError, UnknownName

BPMS = ["C01/BPM1", "C01/BPM2", "C02/BPM1"]
CORRECTORS = ["C01/HCM", "C02/HCM"]


def data_key(value, units=None):
    key = {"dtype": "string", "shape": [], "source": "t"}
    if isinstance(value, np.ndarray):
        key |= {"dtype": "array", "shape": list(value.shape)}
    elif isinstance(value, bool | int | float):
        kinds = {bool: "boolean", int: "integer", float: "number"}
        key |= {"dtype": kinds[type(value)]}
    elif isinstance(value, list):
        key |= {"dtype": "array", "shape": [len(value)]}
    return key | ({"units": units} if units else {})


def make(streams, **metadata):
    """Return documents: name → (object → keys, units, configuration, rows)."""
    run = compose_run(metadata={"plan_name": "toy", "profile": "", **metadata})
    found = [("start", run.start_doc)]
    for name, (objects, units, configuration, rows) in streams.items():
        first = rows[0] if rows else dict.fromkeys(units, 0.0)
        stream = run.compose_descriptor(
            name=name,
            data_keys={k: data_key(v, units.get(k)) for k, v in first.items()},
            object_keys=objects,
            configuration={
                device: {
                    "data": values,
                    "timestamps": dict.fromkeys(values, 1.5),
                    "data_keys": {k: data_key(v) for k, v in values.items()},
                }
                for device, values in configuration.items()
            },
        )
        found.append(("descriptor", stream.descriptor_doc))
        for number, row in enumerate(rows):
            stamps = dict.fromkeys(row, 1000000000.0 + number + 0.25)
            event = stream.compose_event(data=row, timestamps=stamps, time=1e9 + number)
            found.append(("event", event))
    return [*found, ("stop", run.compose_stop())]


def orbit_and_response():
    """Return a run with orbits, a matrix, words, NaN, and a stream without events."""
    x = np.array([[0.1, np.nan, -0.0], [1 / 3, 2e-300, -np.inf]])
    orbits = [
        {"bpms_x": row, "tune_qx": 0.1 * n, "on": bool(n), "count": n, "word": "ä, b"}
        for n, row in enumerate(x)
    ]
    bpms = {"bpms_names": BPMS, "bpms_s": np.array([0.5, 1.5, 7.0]),
            "bpms_status": np.array([1, 0, 1])}  # fmt: skip
    response = {
        "response_monitors": [f"{name}:x" for name in BPMS],
        "response_actuators": CORRECTORS,
        "response_units": ["m/rad", "m/rad"],
    }
    matrix = [{"response_matrix": np.arange(6.0).reshape(3, 2)}]
    keys = list(orbits[0])
    return make(
        {
            "primary": (
                {"bpms": keys[:1], "rest": keys[1:]},
                {"bpms_x": "m", "tune_qx": "1"},
                {"bpms": bpms},
                orbits,
            ),
            "result": (
                {"response": ["response_matrix"]},
                {"response_matrix": "m/rad"},
                {"response": response},
                matrix,
            ),
            "beam": ({}, {"current": "A"}, {}, []),
        },
        operator="me",
        energy=2e9,
        mode="physics",
        note=[1, None, float("nan")],
        versions_of={"numpy": "2"},
    )


@pytest.fixture
def emitted():
    return orbit_and_response()


@pytest.fixture
def run(emitted):
    return Run.from_documents(emitted)


def same_bits(one, other):
    one, other = np.asarray(one), np.asarray(other)
    return (one.dtype, one.shape) == (other.dtype, other.shape) and (
        one.tobytes() == other.tobytes()
    )


def test_the_axes_of_arrays_have_names_and_places(run):
    axes = Axes(run)
    (bpms,) = axes.of(run["primary"], "bpms_x")
    assert bpms.names == tuple(BPMS) and bpms.s.tolist() == [0.5, 1.5, 7.0]
    assert bpms.status.tolist() == [1, 0, 1]
    monitors, actuators = axes.of(run["result"], "response_matrix")
    assert monitors.key == "response_monitors" and actuators.names == tuple(CORRECTORS)
    # C01/BPM1:x stands where C01/BPM1 does; nothing says where the correctors are.
    assert monitors.s.tolist() == [0.5, 1.5, 7.0] and np.isnan(actuators.s).all()
    assert axes.of(run["primary"], "tune_qx") == ()


def test_what_could_be_one_axis_or_another_is_none():
    values = {"r_monitors": ["a", "b"], "r_actuators": ["c", "d"]}
    rows = [{"r_deltas": np.zeros(2), "r_matrix": np.zeros((2, 2))}]
    keys = {"r": list(rows[0])}
    run = Run.from_documents(make({"result": (keys, {}, {"r": values}, rows)}))
    axes = Axes(run)
    assert axes.of(run["result"], "r_deltas") == (None,)
    rows, columns = axes.of(run["result"], "r_matrix")
    assert (rows.names, columns.names) == (("a", "b"), ("c", "d"))


def test_as_many_turns_as_bpms_the_names_are_the_bpms():
    values = {"turns_names": ["a", "b"]}
    rows = [{"turns_x": np.zeros((2, 2))}]
    keys = {"turns": ["turns_x"]}
    run = Run.from_documents(make({"primary": (keys, {}, {"turns": values}, rows)}))
    turns, bpms = Axes(run).of(run["primary"], "turns_x")
    assert turns is None and bpms.names == ("a", "b")


def test_hdf5_holds_everything_to_the_bit(run, emitted, tmp_path):
    with h5py.File(to_hdf5(run, tmp_path / "run.h5")) as file:
        entry = file["entry"]
        for name, stream in run.streams.items():
            for key in stream.names:
                field = entry[name][key]
                values = field.asstr()[()] if key == "word" else field[()]
                wanted = stream[key].astype(object) if key == "word" else stream[key]
                assert np.array_equal(values, wanted) or same_bits(values, wanted)
                assert field.attrs.get("units", "") == stream.units(key)
        assert json.loads(entry["documents/start"][()])["note"] == [1, None, "NaN"]
        assert json.loads(entry["documents/stop"][()]) == run.stop
        stamps = entry["timestamps/primary/bpms_x"][()]
        assert same_bits(stamps, run["primary"].timestamps["bpms_x"])
        settings = entry["configuration/result/response"]
        assert settings["response_units"].asstr()[()].tolist() == ["m/rad", "m/rad"]


def test_hdf5_is_nexus_that_viewers_plot(run, tmp_path):
    with h5py.File(to_hdf5(run, tmp_path / "run.h5")) as file:
        assert file.attrs["NX_class"] == "NXroot"
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry["user"].attrs["NX_class"] == "NXuser"
        assert entry["user/name"].asstr()[()] == "me"
        assert entry["instrument/source/energy"][()] == 2e9
        assert entry["title"].asstr()[()] == "toy"
        data = entry[entry.attrs["default"]]
        assert data.name == "/entry/primary" and data.attrs["NX_class"] == "NXdata"
        signal = data[data.attrs["signal"]]
        assert signal.name.endswith("bpms_x") and signal.attrs["units"] == "m"
        axes = list(data.attrs["axes"])
        assert axes == ["elapsed", "bpms_s"] and len(axes) == signal.ndim
        assert data.attrs["bpms_s_indices"] == 1
        assert [data[axis].size for axis in axes] == list(signal.shape)
        assert data["bpms_s"].attrs["units"] == "m"
        assert data["bpms_names"].asstr()[()].tolist() == BPMS
        assert data["elapsed"][()].tolist() == [0.0, 1.0]


def test_csv_has_a_column_for_each_device(run, tmp_path):
    folder = to_csv(run, tmp_path / "run")
    raw = (folder / "primary.csv").read_bytes()
    assert raw.startswith("\ufeffseq_num,".encode())
    table = pd.read_csv(folder / "primary.csv", float_precision="round_trip")
    assert list(table)[3:] == [
        *(f"bpms_x/{name} [m]" for name in BPMS),
        "tune_qx [1]", "on", "count", "word",
    ]  # fmt: skip
    found = table.filter(like="bpms_x/").to_numpy()
    assert np.array_equal(found, run["primary"]["bpms_x"], equal_nan=True)
    assert table["word"].tolist() == ["ä, b"] * 2
    assert table["time [s since 1970]"].tolist() == [1e9, 1e9 + 1]
    assert table["time [UTC]"][0] == "2001-09-09 01:46:40.000"
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["start"]["uid"] == run.uid
    assert metadata["streams"]["beam"]["events"] == 0


def test_csv_has_a_table_for_each_matrix(run, tmp_path):
    folder = to_csv(run, tmp_path / "run")
    with (folder / "result.response_matrix.csv").open(encoding="utf-8-sig") as file:
        heading, *rows = csv.reader(file)
    assert heading == [
        "seq_num", "response_monitors", "C01/HCM [m/rad]", "C02/HCM [m/rad]",
    ]  # fmt: skip
    assert rows[1] == ["1", "C01/BPM2:x", "2.0", "3.0"]
    assert len((folder / "beam.csv").read_text().splitlines()) == 1


def test_matlab_has_the_data_structures_of_mml(run, tmp_path):
    path = to_mat(run, tmp_path / "run.mat")
    found = loadmat(path, simplify_cells=True)["run"]
    x = found["primary"]["bpms_x"]
    assert same_bits(x["Data"], np.ascontiguousarray(run["primary"]["bpms_x"].T))
    assert (x["FamilyName"], x["Field"], x["UnitsString"]) == ("bpms", "x", "m")
    assert x["DeviceName"].tolist() == BPMS and x["Position"].tolist() == [0.5, 1.5, 7]
    assert x["Status"].tolist() == [1, 0, 1] and x["Units"] == "Physics"
    matrix = found["result"]["response_matrix"]
    assert matrix["Data"].shape == (3, 2)
    assert matrix["ColumnName"].tolist() == CORRECTORS
    assert (found["GeV"], found["Mode"], found["UID"]) == (2.0, "Simulator", run.uid)
    assert found["primary"]["word"]["Data"].tolist() == ["ä, b"] * 2
    assert found["Start"]["operator"] == "me"
    assert found["primary"]["Setup"]["bpms"]["bpms_names"].tolist() == BPMS
    whole = loadmat(path)["run"]
    assert whole["primary"][0, 0]["bpms_x"][0, 0]["Data"][0, 0].shape == (3, 2)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("bpms_x", "bpms_x"), ("C01/BPM-1", "C01_BPM_1"), ("end", "x_end"),
        ("1st", "x_1st"), ("_a", "x__a"), ("ä", "x__"), ("k" * 80, "k" * 63),
    ],
)  # fmt: skip
def test_matlab_names_are_valid(key, name):
    assert valid_name(key) == name


def test_no_two_keys_get_one_name():
    keys = ["a/b", "a-b", "a_b", "k" * 70, "k" * 71]
    names = unique_names(keys, valid_name, taken=["a_b"])
    assert list(names.values())[:3] == ["a_b_2", "a_b_3", "a_b_4"]
    assert len({*names.values()}) == 5 and max(map(len, names.values())) == 63


@pytest.mark.parametrize("write", [to_hdf5, to_csv, to_mat])
def test_ragged_arrays_and_lists_of_words_are_exported(write, tmp_path):
    rows = [
        {"x": np.arange(2.0), "w": ["a", "b"], "m": np.ones((2, 2))},
        {"x": np.arange(3.0), "w": ["c", "d"], "m": np.ones((1, 2))},
    ]
    settings = {"empty": [], "uneven": [[1, 2], [3]], "nothing": None, "big": 2**70}
    documents = make({"primary": ({}, {}, {"dev": settings}, rows)})
    path = write(Run.from_documents(documents), tmp_path / "run")
    assert ragged_x(path) == [[0.0, 1.0], [0.0, 1.0, 2.0]]


def ragged_x(path):
    if path.is_dir():
        table = pd.read_csv(path / "primary.csv").filter(like="x/")
        return [row.dropna().tolist() for _, row in table.iterrows()]
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            return [file[f"entry/primary/x/{n}"][()].tolist() for n in range(2)]
    cells = loadmat(path, simplify_cells=True)["run"]["primary"]["x"]["Data"]
    return [cell.tolist() for cell in cells]


@pytest.mark.parametrize("write", [to_hdf5, to_csv, to_mat])
def test_nothing_is_overwritten(write, run, tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(DataError, match=r"mine exists; choose another --out"):
        write(run, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_whole_or_not_there(run, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("acctwin.data.export.tables.to_json", fails)
    with pytest.raises(DataError, match=r"cannot write .*run: No space left"):
        to_csv(run, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_json_of_what_json_has_not():
    values = {"a": np.float64("nan"), "b": [np.inf, -np.inf], "c": np.arange(2), 1: 2j}
    assert to_plain(values) == {
        "a": "NaN", "b": ["Infinity", "-Infinity"], "c": [0, 1], "1": [0.0, 2.0],
    }  # fmt: skip


def test_a_bundle_says_what_it_holds(emitted, run, tmp_path):
    done = to_bundle([emitted], tmp_path / "runs.zip")
    assert done.uids == (run.uid,) and done.profiles == ()
    found = read_bundle(done.path)
    assert found.manifest["runs"][0]["plan_name"] == "toy"
    assert content_hash(found.documents(run.uid)) == content_hash(emitted)
    with zipfile.ZipFile(done.path) as archive:
        with archive.open(f"arrays/{run.uid}/primary/bpms_x.npy") as file:
            assert same_bits(np.load(file), run["primary"]["bpms_x"])
        metadata = json.loads(archive.read(f"metadata/{run.uid}.json"))
    assert metadata["start"]["operator"] == "me"
    with pytest.raises(UnknownName, match="no run of .* is called 'x'"):
        found.documents("x")


def test_the_profile_goes_with_the_runs_if_it_is_theirs(tmp_path):
    from acctwin.profiles import load_profile

    profile = load_profile("fodo")
    kinds = [("fodo", profile.hash), ("fodo", "0" * 64), ("lost", "1" * 64)]
    runs = [make({}, profile=name, profile_hash=sha) for name, sha in kinds]
    done = to_bundle(runs, tmp_path / "runs.zip")
    reasons = {(p.name, p.hash): p.missing for p in done.profiles}
    assert reasons[kinds[0]] == ""
    assert "have changed since the run" in reasons[kinds[1]]
    assert "no profile" in reasons[kinds[2]]
    manifest = read_bundle(done.path).manifest
    assert [p["missing"] for p in manifest["profiles"]] == list(reasons.values())
    assert "site/profiles/fodo.yaml" in manifest["files"]
    assert "site/devices/fodo/magnets.csv" in manifest["files"]


def rewritten(path, change, out):
    """Write a bundle again with its files changed by a function of a dictionary."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out


def flip(files, name):
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    files[name] = bytes(content)


def later(files):
    files["manifest.json"] = files["manifest.json"].replace(
        b'"version": 1', b'"version": 2'
    )


DAMAGES = {
    "documents/{uid}.done has another checksum": lambda f, u: flip(
        f, f"documents/{u}.done"
    ),
    "metadata/{uid}.json has another checksum": lambda f, u: flip(
        f, f"metadata/{u}.json"
    ),
    "documents/{uid}.done is missing": lambda f, u: f.pop(f"documents/{u}.done"),
    "evil.txt is not in its manifest": lambda f, u: f.update({"evil.txt": b"x"}),
    "has no manifest.json": lambda f, u: f.pop("manifest.json"),
    "version 2.* update acctwin": lambda f, u: later(f),
    "manifest.json is not that of a bundle": lambda f, u: f.update({
        "manifest.json": b"[]"
    }),
    "metadata/{uid}.json has .* bytes, not": lambda f, u: f.update({
        f"metadata/{u}.json": b"{}"
    }),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_bundle_is_refused(message, emitted, run, tmp_path):
    path = to_bundle([emitted], tmp_path / "runs.zip").path
    bad = rewritten(path, lambda f: DAMAGES[message](f, run.uid), tmp_path / "bad.zip")
    with pytest.raises(DataError, match=message.format(uid=run.uid)):
        read_bundle(bad)


def test_a_cut_off_bundle_is_refused(emitted, tmp_path):
    path = to_bundle([emitted], tmp_path / "runs.zip").path
    (tmp_path / "cut.zip").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"cut.zip cannot be read as a bundle"):
        read_bundle(tmp_path / "cut.zip")
    with pytest.raises(DataError, match=r"nowhere.zip cannot be read as a bundle"):
        read_bundle(tmp_path / "nowhere.zip")


def mixed(documents):
    """Return documents of a run with an event of another one."""
    other = orbit_and_response()
    return [*documents[:3], next(d for d in other if d[0] == "event"), *documents[3:]]


def bad_event(documents):
    return [documents[0], ("event", {"uid": "x"}), documents[-1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (mixed, "an event document in it is of another run"),
        (lambda d: [d[0], d[-1], *d[1:-1]], "it goes from a start to a descriptor"),
        (lambda d: [d[0], *d], "these 2 start and 1 stop documents"),
        (bad_event, "an event document is not valid: .* is a required property"),
    ],
)
def test_what_is_no_run_is_refused(change, message, emitted, run, tmp_path):
    path = to_bundle([emitted], tmp_path / "runs.zip").path
    frames = b"".join(encode_frame(*document) for document in change(emitted))
    name = f"documents/{run.uid}.done"

    def forge(files):
        """Put them in with all checksums right."""
        manifest = json.loads(files["manifest.json"])
        sha = hashlib.sha256(frames).hexdigest()
        manifest["files"][name] = {"sha256": sha, "bytes": len(frames)}
        files |= {name: frames, "manifest.json": json.dumps(manifest).encode()}

    bad = rewritten(path, forge, tmp_path / "bad.zip")
    with pytest.raises(DataError, match=f"run {run.uid}: .*{message}"):
        read_bundle(bad)


def test_an_open_run_or_one_with_files_elsewhere_is_not_bundled(emitted, run, tmp_path):
    with pytest.raises(DataError, match="is still open"):
        to_bundle([emitted[:-1]], tmp_path / "a.zip")
    with pytest.raises(DataError, match="twice"):
        to_bundle([emitted, emitted], tmp_path / "b.zip")
    external = [emitted[0], ("stream_resource", {"uid": "r"}), *emitted[1:]]
    with pytest.raises(DataError, match=r"files of its own \(\['stream_resource'\]\)"):
        to_bundle([external], tmp_path / "c.zip")
    assert not list(tmp_path.iterdir())


class Shelf:
    """A store that has some runs."""

    def __init__(self, *runs):
        self.folder = StoreFolder(Path("shelf"))
        self.runs = {run[0][1]["uid"]: run for run in runs}

    def documents(self, key):
        for uid, run in self.runs.items():
            if uid.startswith(key):
                return run
        raise UnknownName("run", key, self.runs)


def test_the_runs_that_a_run_was_derived_from_are_chosen_once():
    first = make({})
    uid = first[0][1]["uid"]
    second, third = make({}, derived_from=[uid]), make({}, derived_from=[uid])
    uids = [run[0][1]["uid"] for run in (second, third)]
    last = make({}, derived_from=uids)
    key, shelf = last[0][1]["uid"], Shelf(first, second, third, last)
    found = [run[0][1]["uid"] for run in choose_runs(shelf, [key], derived=True)]
    assert found[0] == key and sorted(found) == sorted([key, uid, *uids])
    assert len(list(choose_runs(shelf, [key, key[:8]]))) == 1
    with pytest.raises(DataError, match=f"{uids[0]} was derived from {uid}, which is"):
        list(choose_runs(Shelf(second), [uids[0]], derived=True))


def test_the_content_of_a_run_is_its_values_not_their_order():
    one = [("event", {"a": 1.0, "b": [np.float64(2.0)], "c": np.arange(3)})]
    two = [("event", {"c": np.arange(3), "b": (2.0,), "a": np.float64(1.0)})]
    assert content_hash(one) == content_hash(two)
    for value in (1, True, "1.0", np.array(1.0), np.nextafter(1.0, 2.0)):
        assert content_hash([("event", {**one[0][1], "a": value})]) != content_hash(one)
    for array in (np.arange(3.0), np.arange(3, dtype="i4"), np.arange(3)[::-1]):
        assert content_hash([("event", {**one[0][1], "c": array})]) != content_hash(one)


ARRAYS = hnp.arrays(
    st.sampled_from(["<f8", "<f4", ">f8", "<i8", "<u2", "?", "<c16"]),
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
)
SCALARS = st.one_of(
    st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.text()
)
WORDS = st.text("abc xyz_äß", min_size=1)
VALUES = st.recursive(
    st.one_of(SCALARS, st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner),
    max_leaves=3,
)
ROWS = st.lists(
    st.fixed_dictionaries({"x": ARRAYS, "n": SCALARS, "ä b": ARRAYS | SCALARS}),
    max_size=2,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, note=VALUES, configured=ARRAYS | VALUES)
def test_a_bundle_gives_back_equal_documents(tmp_path, rows, note, configured):
    emitted = make(
        {"primary": ({}, {}, {"dev": {"setting": configured}}, rows)}, note=note
    )
    path = tmp_path / "runs.zip"
    path.unlink(missing_ok=True)
    to_bundle([emitted], path)
    found = read_bundle(path).documents(emitted[0][1]["uid"])
    assert content_hash(found) == content_hash(emitted)
