"""A machine that came from an MML set-up is the machine it came from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from fodo_mml import B_RHO, KICK, write_mat
from typer.testing import CliRunner

import acctwin
from acctwin import plans
from acctwin.cli.main import app

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mml")
    setup = write_mat(folder / "setup.mat")
    done = CliRunner().invoke(
        app,
        [
            "import-mml",
            str(setup),
            "--out",
            str(folder / "lab"),
            "--lattice",
            "code:fodo",
        ],
    )
    assert done.exit_code == 0, done.output
    return folder / "lab"


@pytest.fixture(scope="module")
def session(site):
    with acctwin.open_session("fodoring", site=site, catalog="temporary") as opened:
        yield opened


@pytest.fixture(scope="module")
def design():
    """The built-in FODO ring's design response, (2·32, 16 H + 16 V) [m/rad]."""
    with acctwin.open_session("fodo", catalog="temporary") as opened:
        machine = opened.machine
        names = (*machine.hcm.names, *machine.vcm.names)
        yield machine.design.orbit_response(machine.bpms.names, names)


def test_the_orbit_response_is_the_design_models(session, design):
    measured = session.run(plans.measure_orbit_response(session.machine))
    # Steps of ±50 µrad: sextupoles bend the orbit by some 1e-4 of the response.
    assert np.abs(measured.matrix - design).max() < 1e-3 * np.abs(design).max()


def test_a_response_in_amperes_is_mmls_gain_times_as_large(session, design):
    measured = session.run(
        plans.measure_orbit_response(
            session.machine, correctors=[session.machine.hcm], units="hardware"
        )
    )
    expected = design[:, :16] * KICK
    assert np.abs(measured.matrix - expected).max() < 1e-3 * np.abs(expected).max()


def test_currents_are_those_of_mml(session):
    k1 = session.get("QF")
    amperes = session.get("QF", units="hardware")
    assert np.allclose(k1, 2.11616)
    assert np.allclose((0.0713 * amperes - 8.0e-8 * amperes**3) / B_RHO, k1)
    assert session.get("SF", units="hardware").shape == (1,), "one channel"
    assert session.get("BEND", units="hardware") == pytest.approx(400.0)


def test_families_have_mmls_names(session):
    session.set("HCM", 1e-5)
    assert np.array_equal(session.get("hcm"), session.get("HCM"))
    session.set("HCM", 0.0)
    x, _ = session.get("bpms")
    assert np.abs(x).max() < 1e-4
