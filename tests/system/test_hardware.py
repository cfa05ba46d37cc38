"""One session, the same plans: simulated, and on a served machine in another process.

What plays the hardware is ``acctwin serve`` with hidden errors, over Channel Access,
PV Access and Tango. Clients are processes of their own: see ``served``.
"""

from __future__ import annotations

import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served_thomx import Served

pytestmark = [pytest.mark.slow, pytest.mark.hardware]

BACKENDS = ("sim", "ca", "pva", "tango")
#: Noise of a BPM reading of thomx [m], and of its tune monitor.
BPM_NOISE, TUNE_NOISE = 1e-6, 1e-4


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with ExitStack() as stack:
        yield Served(stack, tmp_path_factory.mktemp("sites"))


@pytest.fixture(scope="module")
def measured(served):
    """What each backend measured."""
    return {}


def results_of(backend: str, served: Served, measured: dict[str, Any]) -> Any:
    if backend not in measured:
        measured[backend] = served.client(backend).measure()
    return measured[backend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_plans_give_the_same_results(backend, served, measured):
    found = results_of(backend, served, measured)
    same = results_of("sim", served, measured)
    orbit = np.array(same["orbit"])
    assert 1e-4 < orbit.std() < 1e-2
    difference = np.array(found["orbit"]) - orbit
    assert np.abs(difference).max() < 6 * BPM_NOISE * np.sqrt(2 / 4)
    noise = 2 * BPM_NOISE / same["delta"]
    assert np.abs(same["matrix"]).max() > 50 * noise
    assert np.abs(np.subtract(found["matrix"], same["matrix"])).max() < 6 * noise
    assert np.allclose(found["tune"], same["tune"], atol=6 * TUNE_NOISE / np.sqrt(2))
    assert np.allclose(found["turns"], same["turns"], atol=5e-4)
    xi, sigma = np.array(found["chromaticity"])
    xi_same, sigma_same = np.array(same["chromaticity"])
    assert np.abs(xi_same).min() > 10 * np.abs(sigma_same).max()
    assert np.all(np.abs(xi - xi_same) < 6 * np.hypot(sigma, sigma_same))
    largest = np.abs(same["dispersion"]).max()
    assert np.allclose(found["dispersion"], same["dispersion"], atol=0.01 * largest)
    for rms in found["corrected"]:
        assert rms[-1] < 0.6 * rms[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_metadata_names_the_backend(backend, served, measured):
    found = results_of(backend, served, measured)
    same = results_of("sim", served, measured)
    assert found["descriptors"] == same["descriptors"]
    assert found["start_keys"] == same["start_keys"]
    mode = "physics" if backend == "sim" else "hardware"
    assert all(start == [mode, [backend]] for start in found["starts"])


def test_the_model_is_fitted_to_hardware_and_hardware_is_corrected(served):
    found = served.client("ca").loco()
    assert found["mode"] == "hardware"
    true = np.array(served.client("sim").true_beta())
    error = (np.array(found["beta"]) / true - 1).std(axis=0)
    assert (error < 0.6 * np.array(found["beat"])).all()
    # Four magnets on each of six supplies: what they have in common is taken out.
    before, after = np.abs(np.array(found["tunes"]) - found["design"])
    assert np.hypot(*after) < 0.3 * np.hypot(*before)


@pytest.mark.parametrize("backend", ["ca", "pva", "tango"])
def test_a_setpoint_that_the_server_does_not_take_is_an_error(backend, served):
    one = served.client(backend)
    before = one.get("rf")
    seen = one.failure("set_to", "rf", 500.1e6, "physics")
    assert "PutRejected" in seen["kinds"], seen
    assert seen["text"].startswith(f"{backend}://")
    assert re.search("wanted 500100000, found 500073000|maximum", seen["text"]), seen
    assert one.get("rf") == before, "the plan puts back what it moved"


@pytest.mark.parametrize("backend", ["ca", "pva"])
def test_a_refused_put_is_an_error(backend, served):
    one = served.client(backend)
    served.fault(backend, "RI:PS-HCOR-05:SP.DISP", 1)
    try:
        seen = one.failure("set_to", "RI/PS-HCOR-05", 1.0)
    finally:
        served.fault(backend, "RI:PS-HCOR-05:SP.DISP", 0)
    assert "PutRejected" in seen["kinds"], seen
    assert f"{backend}://RI:PS-HCOR-05:SP" in seen["text"]
    one.set_to("RI/PS-HCOR-05", 0.0)


@pytest.mark.parametrize("backend", ["ca", "pva", "tango"])
def test_without_beam_there_is_no_orbit(backend, served):
    one = served.client(backend)
    served.fault(backend, "DropBeam", True)
    try:
        seen = one.failure("orbit")
    finally:
        served.fault(backend, "DropBeam", False)
    assert "BeamLost" in seen["kinds"], seen
    assert "beam current is 0 A" in seen["text"]
    assert one.orbit() < 1e-2


def test_to_hardware_and_back_with_the_same_devices(served):
    one = served.client("sim")
    served.server("epics")
    seen = one.there_and_back()
    assert seen["same"]
    assert seen["seen"] == [
        ["physics", 0.0],
        ["hardware", 0.0],
        ["hardware", 10.0],
        ["physics", 0.0],
        ["hardware", 0.0],
    ]
    assert "hardware" in seen["repr"]


def test_nobody_switches_while_a_plan_runs(served):
    seen = served.client("ca").failure("switch_inside_a_plan")
    assert "PlanError" in seen["kinds"]
    assert "the RunEngine is running" in seen["text"]


def test_a_dry_run_moves_nothing_and_stores_nothing(served):
    seen = served.client("ca").dry_run()
    first, second = "RI/HCOR-01", "RI/HCOR-02"
    assert sorted(seen["measured"]) == [
        [first, pytest.approx(2e-5), pytest.approx(2e-5)],
        [second, 0.0, 0.0],
    ]
    assert seen["kept"] == 0
    assert seen["matrix"] > 1.0
    assert seen["moved"] == [[pytest.approx(v) for v in (2e-5, 1e-3, 0.4)]]
    assert "moves 1 setpoint, 1 for good" in seen["text"]
    assert "40 % of the range left" in seen["text"]
    assert (seen["held"], seen["mode"]) == (pytest.approx(2e-5), "hardware")
    assert not seen["stored"]


@pytest.mark.parametrize("backend", ["ca", "pva", "tango"])
def test_a_server_that_dies_ends_the_plan(backend, served):
    """The last test: it kills the servers."""
    one = served.client(backend)
    kind = "tango" if backend == "tango" else "epics"
    if backend != "pva":
        served.server(kind).send_signal(signal.SIGKILL)
        served.server(kind).wait(5)
    for what in (("set_to", "RI/PS-HCOR-05", 1.0), ("orbit",)):
        seen = one.failure(*what)
        assert "DeviceError" in seen["kinds"], seen
        assert f"{backend}://" in seen["text"]
        assert seen["seconds"] < 20.0
    assert one.switch("physics") == "physics"
    assert one.orbit() < 1e-2
    if backend == "ca":
        seen = one.failure("switch", "hardware")
        assert "LinkLost" in seen["kinds"], seen
        assert "did not answer" in seen["text"]
    one.close()
    left = [name for name in one.threads() if "tango" in name]
    assert left == []
