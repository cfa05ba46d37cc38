"""``acctwin loco`` on stored runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent.parent / "physics"))

from loco_mat import structures, write

import acctwin
from acctwin import plans
from acctwin.analysis.loco.measurement import LocoMeasurement
from acctwin.analysis.loco.version import LocoResult
from acctwin.cli.main import app
from acctwin.workflows import loco

pytestmark = pytest.mark.slow


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def fitted(catalog: Path | str) -> tuple[LocoMeasurement, LocoResult]:
    """Return a measurement of the fodo ring in a catalogue, and its fit."""
    with acctwin.open_session("fodo", seed=1, catalog=catalog) as session:
        session.run(plans.correct_orbit(session.machine, goal="zero"))
        measured = session.run(plans.measure_loco(session.machine))
        return measured, loco.fit(session, measured.uid)


@pytest.mark.long
def test_a_fit_is_compared_with_the_design(tmp_path):
    catalog = tmp_path / "catalog"
    version = fitted(catalog)[1].model_version
    options = ["--compare", "design", "--catalog", str(catalog)]
    plot = tmp_path / "compared.png"
    done = run("loco", version[:8], *options, "--json", "--out", str(plot))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["version"] == version
    assert found["reference"] == "design"
    assert 0.3 < found["figures"]["beta beat at BPMs [%], rms"][0] < 10.0
    assert plot.stat().st_size > 1000


@pytest.mark.long
def test_a_file_of_mml_is_fitted_and_both_answers_printed(tmp_path):
    path = write(tmp_path / "LOCO_fodo.mat", structures(*fitted("temporary")))
    options = ["--mml", str(path), "--catalog", str(tmp_path / "catalog")]
    done = run("loco", "fodo", *options)
    assert done.exit_code == 0, done.output
    assert "model version" in done.stdout
    (line,) = (one for one in done.stdout.splitlines() if "quadrupole error," in one)
    theirs, ours, difference = (float(word) for word in line.split()[-3:])
    assert theirs == pytest.approx(ours, rel=1e-3)
    assert difference < 0.01 * ours


def test_a_file_that_is_not_there_is_said():
    done = run("loco", "fodo", "--mml", "none.mat")
    assert done.exit_code == 1
    assert "no such file" in done.stderr
