"""``acctwin loco`` on stored runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import acctwin
from acctwin import plans
from acctwin.cli.main import app
from acctwin.workflows import loco

pytestmark = pytest.mark.slow


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return a catalogue with a measurement and a fit of it, and their uids."""
    catalog = tmp_path_factory.mktemp("catalog")
    with acctwin.open_session("fodo", seed=1, catalog=catalog) as session:
        session.run(plans.correct_orbit(session.machine, goal="zero"))
        measured = session.run(plans.measure_loco(session.machine))
        found = loco.fit(session, measured.uid)
    return catalog, measured.uid, found.model_version


def test_a_fit_is_compared_with_the_design(stored, tmp_path):
    catalog, _, version = stored
    options = ["--compare", "design", "--catalog", str(catalog)]
    plot = tmp_path / "compared.png"
    done = run("loco", version[:8], *options, "--json", "--out", str(plot))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["version"] == version
    assert found["reference"] == "design"
    assert 0.3 < found["figures"]["beta beat at BPMs [%], rms"][0] < 10.0
    assert plot.stat().st_size > 1000
