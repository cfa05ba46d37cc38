"""Another lab reads a run with Tiled's client alone: no acctwin, no Bluesky."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from importlib.metadata import version

import numpy as np
import pytest

import acctwin
from acctwin import plans

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: What somebody types who knows Tiled, and nothing of the machine.
SCRIPT = """
import importlib.util, json, sys
from tiled.client import from_uri

for name in ("acctwin", "bluesky", "bluesky_tiled_plugins", "databroker", "at"):
    assert importlib.util.find_spec(name) is None, name
uri, key, uid = sys.argv[1:]
run = from_uri(uri, api_key=key)[uid]
start, stream = run.metadata["start"], run["primary"]
keys, configuration = stream.metadata["data_keys"], stream.metadata["configuration"]
bpms = configuration["bpms"]["data"]
x = stream["bpms_x"].read()
matrix = run["result"]["response_matrix"].read()
print(json.dumps({
    "plan": start["plan_name"], "profile": start["profile"],
    "units": keys["bpms_x"]["units"], "names": list(bpms["bpms_names"]),
    "s": list(bpms["bpms_s"]), "x": x.tolist(), "matrix": matrix[0].tolist(),
    "actuators": list(run["result"].metadata["configuration"]["response"]["data"]
                      ["response_actuators"]),
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of a new environment with ``tiled[client]`` alone."""
    folder = tmp_path_factory.mktemp("client")
    venv.create(folder)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-compile"]
    wanted = f"tiled[client]=={version('tiled')}"
    subprocess.run([*pip, "-q", wanted], check=True, timeout=250)
    return python


@pytest.mark.long
def test_names_units_and_positions_are_found(python, tmp_path):
    with acctwin.open_session("fodo", seed=1, catalog=tmp_path / "data") as session:
        machine = session.machine
        knobs = machine.hcm.select("C0[1-3]/*")
        response = session.run(
            plans.measure_orbit_response(machine, correctors=[knobs])
        )
        session.store.flush()
        folder = session.store.folder
        done = subprocess.run(
            [python, "-c", SCRIPT, folder.server()["uri"], folder.api_key(),
             response.uid],
            capture_output=True, text=True, timeout=100, check=False, cwd=tmp_path,
            env={"PATH": "", "HOME": str(tmp_path)},
        )  # fmt: skip
        stored = session.store.run(response.uid)["primary"]["bpms_x"]
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["plan"] == "measure_orbit_response"
    assert found["profile"] == "fodo"
    assert found["units"] == "m"
    assert found["names"] == list(machine.bpms.names)
    assert found["s"] == pytest.approx(machine.bpms.s)
    assert np.array_equal(found["x"], stored)
    assert np.array_equal(found["matrix"], response.matrix)
    assert found["actuators"] == list(response.actuators)
