"""The outcome that a newcomer sees, at full size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def acctwin_command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = "from acctwin.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = acctwin_command("demo", "--seed", "1", "--out", "out", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_the_orbit_is_ten_times_smaller_in_both_planes(demo):
    _, summary = demo
    assert min(summary["reduction"]) >= 10.0
    assert min(summary["rms_before_um"]) > 100.0


def test_the_kicks_are_inside_their_limits(demo):
    from acctwin.profiles.load import load_profile

    _, summary = demo
    rows = [
        row for row in load_profile("ebs").magnets if {"hcm", "vcm"} & set(row.families)
    ]
    assert len(rows) == 576
    assert summary["largest_kick_urad"] < 1e6 * min(row.high for row in rows)


def test_every_event_is_stored(demo):
    _, summary = demo
    # 577 knobs up and down, start and end of the baseline of 4 runs, 4 results,
    # an orbit before, one after, and one for each iteration and the start.
    orbits = 1 + 1 + summary["iterations"] + 1
    assert summary["runs"] == 4
    assert summary["events"] >= 2 * 577 + 2 * 4 + 4 + orbits


def test_plots_are_there(demo):
    folder, summary = demo
    assert len(summary["plots"]) == 2
    for name in summary["plots"]:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_the_runs_are_listed_afterwards(demo):
    folder, _ = demo
    done = acctwin_command("runs", "--catalog", "out/data", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [run["plan_name"] for run in found] == [
        "measure_orbit",
        "correct_orbit",
        "measure_orbit_response",
        "measure_orbit",
    ]
    assert {run["exit_status"] for run in found} == {"success"}


def test_errors_are_a_line_and_not_a_traceback(tmp_path):
    done = acctwin_command("demo", "--profile", "eps", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'ebs'" in done.stderr
    assert "Traceback" not in done.stderr
