"""Get, set and step in a real session: what is stored, what the beam does."""

from __future__ import annotations

import numpy as np
import pytest

import acctwin
from acctwin.errors import DeviceError, LimitError, UnknownName

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session("fodo", catalog="temporary") as opened:
        yield opened


def test_a_step_moves_the_beam_as_the_model_says(session):
    x, _ = session.get("bpms")
    session.step("C05/HCM", 2e-5)
    moved, _ = session.get("bpms")
    session.step("C05/HCM", -2e-5)
    machine = session.machine
    response = machine.design.orbit_response(machine.bpms.names, ["C05/HCM"])[:32, 0]
    assert np.allclose(
        moved - x, 2e-5 * response, atol=1e-3 * 2e-5 * abs(response).max()
    )


def test_what_is_set_is_stored_and_what_is_got_is_not(session):
    session.set("vcm", 1e-5)
    uid = session.store.run(-1).uid
    session.get("vcm")
    session.get("tune")
    run = session.store.run(-1)
    assert run.uid == uid
    assert run.start["plan_name"] == "set_values"
    before_and_after = np.outer([0.0, 1e-5], np.ones(16))
    assert np.allclose(run["primary"]["vcm_strength"], before_and_after, atol=1e-15)
    assert np.allclose(run["baseline"]["vcm_strength"], before_and_after, atol=1e-15)
    session.set("vcm", 0.0)


def test_tunes_and_current(session):
    fractional = session.model.tunes()[:2] % 1.0
    assert np.allclose(session.get("tune")[:2], fractional, atol=1e-4)
    assert session.get("dcct") == pytest.approx(0.2)


def test_both_units_of_a_family(session):
    strengths = session.get("QF")
    amperes = session.get("QF", units="hardware")
    session.step("QF", 1.0, units="hardware")
    assert np.allclose(session.get("QF", units="hardware"), amperes + 1.0)
    assert (session.get("QF") > strengths).all()
    session.set("QF", strengths)
    assert np.allclose(session.get("QF", units="hardware"), amperes)


def test_a_series_is_one_current_and_its_magnets_agree(session):
    assert session.get("SF", units="hardware").shape == (1,)
    before = session.get("SF")
    session.set("SF", before * 1.01)
    with pytest.raises(LimitError):
        session.set("SF", before * np.linspace(1.0, 1.1, 16))
    assert np.allclose(session.get("SF"), before * 1.01)
    session.set("SF", before)


def test_errors_come_out_as_they_are(session):
    with pytest.raises(UnknownName, match="did you mean"):
        session.set("hcn", 0.0)
    with pytest.raises(LimitError):
        session.set("QF", 9.0)
    waits = session.machine.hcm.supplies.waits
    session.machine.hcm.supplies.waits = type(waits)(timeout_s=0.2)
    session.simulation.stick("C03/PS-HCM")
    try:
        with pytest.raises(DeviceError, match="C03/PS-HCM"):
            session.set("hcm", 0.1, units="hardware")
    finally:
        session.simulation.repair("C03/PS-HCM")
        session.machine.hcm.supplies.waits = waits
    assert np.allclose(session.get("hcm"), 0.0, atol=1e-12)
