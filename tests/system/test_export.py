"""A run goes to files and to another lab's store, and comes back to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from event_model import compose_run

sys.path.insert(0, str(Path(__file__).parent))

from same_documents import assert_same_documents
from tiled.queries import Key
from typer.testing import CliRunner

import acctwin
from acctwin import plans
from acctwin.cli.main import app
from acctwin.data import Store, documents, summaries
from acctwin.data.export import import_bundle, to_bundle, to_csv, to_mat
from acctwin.data.folders import FileLock
from acctwin.data.upload import find
from acctwin.errors import DataError
from acctwin.plans.response import analyse

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A store with a response, a correction made with it, and the response's result."""
    folder = tmp_path_factory.mktemp("ours")
    with acctwin.open_session("fodo", seed=1, catalog=str(folder)) as session:
        result = session.run(plans.measure_orbit_response(session.machine))
        corrected = session.run(plans.correct_orbit(session.machine, result))
        emitted = session.store.documents(result.uid)
        session.store.flush()
        yield folder, result, corrected, emitted  # its server answers the commands


@pytest.fixture(scope="module")
def bundle(measured, tmp_path_factory):
    """The correction and what it was derived from, bundled on the command line."""
    folder, result, corrected, _ = measured
    path = tmp_path_factory.mktemp("mail") / "runs.zip"
    rows = command("export", corrected.uid, "--derived", "--format", "bundle",
                   "--out", path, "--catalog", folder)  # fmt: skip
    assert {row["uid"] for row in rows} >= {corrected.uid, result.uid}
    return path


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, bundle):
    """The other lab's store, with the bundle in it."""
    folder = tmp_path_factory.mktemp("theirs")
    with Store.open(folder) as store:
        rows = command("import", bundle, "--catalog", folder)
        assert {row["status"] for row in rows} == {"imported"}
        yield store


def command(*words):
    """Run ``acctwin data …`` and return the JSON that it prints."""
    done = CliRunner().invoke(app, ["data", *map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_other_lab_has_the_same_runs_to_the_bit(theirs, measured):
    _, result, _, emitted = measured
    found = list(documents(theirs.catalog[result.uid]))
    assert_same_documents(emitted, found)


def test_it_is_found_by_search_and_analysed(theirs, measured):
    _, result, _, _ = measured
    (found,) = summaries(theirs.catalog, plan_name="measure_orbit_response")
    assert found.uid == result.uid
    assert np.array_equal(analyse(theirs.run(found.uid)).matrix, result.matrix)


def test_importing_again_does_nothing(theirs, bundle):
    again = import_bundle(bundle, theirs)
    assert {run.status for run in again} == {"was there"}
    assert len(theirs.catalog.search(Key("uid") == again[0].uid)) == 1
    assert not list(theirs.journal.folder.glob("*.done"))


def test_another_run_with_the_same_uid_is_refused(theirs, measured, tmp_path):
    _, result, _, emitted = measured
    forged = [(name, dict(doc)) for name, doc in emitted]
    event = next(d for n, d in forged if n == "event" and "bpms_x" in d["data"])
    other = np.nextafter(event["data"]["bpms_x"], 1.0)
    event["data"] = {**event["data"], "bpms_x": other}
    to_bundle([forged], tmp_path / "forged.zip")
    with pytest.raises(DataError, match=f"same uid and other documents: {result.uid}"):
        import_bundle(tmp_path / "forged.zip", theirs)
    assert np.array_equal(analyse(theirs.run(result.uid)).matrix, result.matrix)


def test_of_a_damaged_bundle_nothing_is_imported(theirs, tmp_path):
    runs = [compose_run(metadata={"plan_name": "small"}) for _ in range(2)]
    uids = [run.start_doc["uid"] for run in runs]
    small = [[("start", r.start_doc), ("stop", r.compose_stop())] for r in runs]
    path, damaged = to_bundle(small, tmp_path / "ok.zip").path, tmp_path / "bad.zip"
    name = f"documents/{uids[1]}.done"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(damaged, "w") as new:
        for item in old.namelist():
            content = bytearray(old.read(item))
            content[len(content) // 2] ^= item == name
            new.writestr(item, bytes(content))
    with pytest.raises(DataError, match=f"{name} has another checksum"):
        import_bundle(damaged, theirs)
    assert [find(theirs.catalog, uid) for uid in uids] == [None, None]
    assert not list(theirs.folder.journals.glob(f"*/{uids[0]}.*"))
    assert [run.status for run in import_bundle(path, theirs)] == ["imported"] * 2
    assert all(find(theirs.catalog, uid) is not None for uid in uids)


def test_two_imports_do_not_run_at_once(theirs, bundle):
    lock = FileLock(theirs.folder.root / "import.lock")
    assert lock.acquire()
    try:
        with pytest.raises(DataError, match="another import into .* is going on"):
            import_bundle(bundle, theirs)
    finally:
        lock.release()


def test_the_profile_in_the_bundle_opens_the_machine(bundle, measured, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            if name.startswith("site/"):
                archive.extract(name, tmp_path)
    profile = acctwin.profiles.load_profile("fodo", tmp_path / "site")
    start = measured[3][0][1]
    assert profile.hash == start["profile_hash"]
    assert profile.path.is_relative_to(tmp_path)


def test_the_other_formats(measured, theirs, tmp_path):
    folder, result, _, emitted = measured
    words = ("--format", "hdf5", "--out", tmp_path / "x.h5", "--catalog", folder)
    (row,) = command("export", result.uid[:8], *words)
    run = theirs.run(result.uid)
    found = [
        read_hdf5(Path(row["path"])),
        read_csv(to_csv(run, tmp_path / "x")),
        read_mat(to_mat(run, tmp_path / "x.mat")),
    ]
    events = [doc["data"] for name, doc in emitted if name == "event"]
    x = np.array([event["bpms_x"] for event in events if "bpms_x" in event])
    assert all(np.array_equal(values, x) for values in found)


def test_it_is_read_by_a_program_that_has_no_acctwin(bundle, measured, tmp_path):
    """The .npy files of a bundle, in a process that cannot import acctwin."""
    script = (
        "import sys, io, json, zipfile, hashlib\n"
        "import numpy as np\n"
        "archive = zipfile.ZipFile(sys.argv[1])\n"
        "files = json.loads(archive.read('manifest.json'))['files']\n"
        "for name, file in files.items():\n"
        "    found = hashlib.sha256(archive.read(name)).hexdigest()\n"
        "    assert found == file['sha256']\n"
        "name = f'arrays/{sys.argv[2]}/result/response_matrix.npy'\n"
        "matrix = np.load(io.BytesIO(archive.read(name)))\n"
        "assert 'acctwin' not in sys.modules\n"
        "print(matrix.shape, repr(float(matrix.sum())))\n"
    )
    _, result, _, _ = measured
    done = subprocess.run(
        [sys.executable, "-c", script, bundle, result.uid],
        capture_output=True, text=True, check=True, env={**os.environ}, timeout=60,
    )  # fmt: skip
    wanted = (1, *result.matrix.shape), repr(float(result.matrix[None].sum()))
    assert done.stdout == "{} {}\n".format(*wanted)


def read_hdf5(path):
    import h5py

    with h5py.File(path) as file:
        return file["entry/primary/bpms_x"][()]


def read_csv(path):
    import pandas as pd

    table = pd.read_csv(path / "primary.csv", float_precision="round_trip")
    return table.filter(regex=r"^bpms_x/.* \[m\]$").to_numpy()


def read_mat(path):
    from scipy.io import loadmat

    run = loadmat(path, simplify_cells=True)["run"]
    return run["primary"]["bpms_x"]["Data"].T
