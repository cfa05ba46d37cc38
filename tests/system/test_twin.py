"""The machine's strengths in the model, and the model's in the machine."""

from __future__ import annotations

import numpy as np
import pytest

import acctwin
from acctwin import plans
from acctwin.errors import DeviceError, LimitError, PlanError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    with acctwin.open_session("fodo", catalog="temporary") as opened:
        yield opened


def strengths(session, family):
    return session.get(family)


def test_the_model_takes_over_what_was_changed_but_not_the_correctors(session):
    session.step("QF", 0.01)
    session.step("hcm", 1e-5)
    before = session.model.tunes()
    taken = session.machine_to_model()
    assert set(session.machine.quadrupoles.names) <= set(taken)
    assert "rf" in taken
    assert not set(session.machine.hcm.names) & set(taken)
    after = session.model.tunes()
    assert after[0] > before[0] + 1e-3, "stronger focusing quadrupoles"
    seen = session.run(
        plans.measure_response(
            session.machine, [session.machine.rf], [session.machine.tune]
        )
    )
    assert seen.monitors == ("tune:qx", "tune:qy")
    assert np.mod(after[0], 1.0) == pytest.approx(session.get("tune")[0], abs=2e-4)
    with_correctors = session.machine_to_model(correctors=True)
    assert set(session.machine.hcm.names) <= set(with_correctors)


def test_the_machine_takes_over_what_the_model_says(session):
    names = list(session.machine["QD"].names)
    wanted = strengths(session, "QD") * 1.01
    session.model.set(names, wanted)
    assert session.model_to_machine(["QD", "rf"]) == ("QD", "rf")
    assert np.allclose(strengths(session, "QD"), wanted, rtol=1e-9)


def test_a_model_beyond_the_limits_moves_nothing(session):
    names, before = list(session.machine["QD"].names), strengths(session, "QD")
    session.model.set(names, before * 2.0)
    try:
        with pytest.raises(LimitError, match="nothing was moved"):
            session.model_to_machine(["QF", "QD"])
    finally:
        session.model.set(names, before)
    assert np.array_equal(strengths(session, "QD"), before)


def test_a_machine_that_is_not_where_it_is_set_to_is_not_taken_over(session):
    before = session.model.values()
    session.simulation.trip("C03/PS-QF")
    try:
        with pytest.raises(DeviceError, match="quadrupoles is not where it is set to"):
            session.machine_to_model()
    finally:
        session.simulation.repair("C03/PS-QF")
    assert np.array_equal(session.model.values(), before)


def test_the_golden_state_goes_to_the_model_and_to_the_machine(session):
    with pytest.raises(PlanError, match="has no golden state"):
        session.machine_to_model("golden")
    saved = session.run(plans.save_machine(session.machine, "good optics"))
    session.run(plans.promote_reference(session.machine, "machine", saved.uid))
    golden = session.get("QF")
    session.step("QF", 0.01)
    session.machine_to_model()
    assert not np.allclose(model_strengths(session, "QF"), golden)
    session.machine_to_model("golden")
    assert np.array_equal(model_strengths(session, "QF"), golden)
    session.run(plans.restore_machine(session.machine, "golden"))
    assert np.allclose(session.get("QF"), golden, rtol=1e-12)


def model_strengths(session, family):
    layout = session.model.layout
    index = [layout.knobs.index(name) for name in session.machine[family].names]
    return session.model.values()[index]
