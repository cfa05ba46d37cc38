"""Coupling from responses, tunes and emittances, and its correction, on a toy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bluesky.run_engine import call_in_bluesky_event_loop
from toy_ring import RF_HZ, SLIP, RingDesign, RingEngine, ring_machine, ring_profile

from acctwin import plans
from acctwin.analysis.closest_tunes import fit_closest_tunes, tune_distance
from acctwin.analysis.coupling import CrossTerms, cross_response, emittance_ratio
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.defaults import CouplingDefaults, Defaults, TuneDefaults
from acctwin.errors import DataError, LimitError, PlanError
from acctwin.plans.coupling import correction as coupling_correction
from acctwin.plans.coupling import coupling
from acctwin.profiles.imperfections import BpmSpread, Imperfections

PLANES = ("x", "y", "rf")
SKEWS = ("T/SQ0", "T/SQ1")


def response_of(matrix, sigma=0.0):
    """Return a response of two BPMs to a horizontal, a vertical knob and the RF."""
    matrix = np.asarray(matrix, dtype=float)
    names = ("a:x", "b:x", "a:y", "b:y")
    units = ("m/rad", "m/rad", "m/Hz")
    full = np.full(matrix.shape, sigma)
    return ResponseResult(matrix, full, names, ("h", "v", "rf"), np.ones(3), units, "u")


MATRIX = [[3.0, 0.1, -2e-6], [4.0, 0.2, -2e-6], [0.2, 3.0, 1e-7], [0.4, 4.0, -1e-7]]


def toy(noise=1e-9, skew=(0.0, 0.0), reach=0.3, **changes):
    """Return a toy ring with noisy BPMs, connected, whose skews are somewhere.

    Its quadrupoles may go ``reach`` to both sides.
    """
    magnets = tuple(
        replace(row, low=middle - reach, high=middle + reach)
        if row.component == "b1"
        else row
        for row in ring_profile().magnets
        for middle in [(row.low + row.high) / 2]
    )
    profile = ring_profile(
        magnets=magnets,
        imperfections=Imperfections(bpms=BpmSpread(noise=noise), tune_noise=1e-6),
        defaults=Defaults(
            coupling=CouplingDefaults(correctors=2, **changes),
            tune=TuneDefaults(families=("QF", "QD")),
        ),
    )
    machine, sim = ring_machine(RingEngine(np.zeros(16)), profile, seed=1)
    call_in_bluesky_event_loop(machine.connect())
    knobs = [sim.layout.knobs.index(name) for name in SKEWS]
    sim.put(np.array(knobs), np.array(skew))
    sim.changes.notify()
    return machine, sim, knobs


def test_the_ratio_is_cross_over_direct_and_the_rf_gives_the_dispersion():
    found = cross_response(
        response_of(MATRIX, 0.01), PLANES, slip_factor=SLIP, rf_hz=RF_HZ
    )
    cross = np.sqrt(0.1**2 + 0.2**2 + 0.2**2 + 0.4**2)
    assert found.value == pytest.approx(cross / np.sqrt(50.0))
    assert found.sigma == pytest.approx(0.01 / np.sqrt(50.0))
    assert found.noise == pytest.approx(0.02 / np.sqrt(50.0))
    assert found.names == ("a", "b")
    # δ = −(Δf/f)/η, so η_y = −η f dy/df.
    assert found.eta_y == pytest.approx(np.array([-1.0, 1.0]) * SLIP * RF_HZ * 1e-7)
    assert np.all(found.sigma_eta_y > 0.0)


def test_without_rf_there_is_no_dispersion():
    plain = response_of(MATRIX)
    plain = replace(plain, matrix=plain.matrix[:, :2], sigma=plain.sigma[:, :2])
    found = cross_response(plain, PLANES[:2], slip_factor=0.0, rf_hz=0.0)
    assert np.isnan(found.eta_y).all()
    assert found.eta_y.shape == (2,)
    terms = CrossTerms.of(found, 1.0)
    assert terms.select(found.response.matrix).shape == (4,)


def test_the_terms_are_relative_and_do_not_see_the_direct_response():
    found = cross_response(response_of(MATRIX), PLANES, slip_factor=SLIP, rf_hz=RF_HZ)
    direct = np.sqrt(12.5)
    without = CrossTerms.of(found, 0.0).select(found.response.matrix)
    rms = np.sqrt(np.mean(np.square([0.1, 0.2, 0.2, 0.4]))) / direct
    assert np.linalg.norm(without) == pytest.approx(rms)
    terms = CrossTerms.of(found, 2.0)
    values = terms.select(found.response.matrix)
    assert len(values) == 6
    vertical = 2.0 * 0.05 / np.sqrt(2.0)  # weight × ratio, one column of two
    assert np.linalg.norm(values) == pytest.approx(np.hypot(rms, vertical))
    tensor = np.stack([found.response.matrix] * 3, axis=2)
    assert np.array_equal(terms.select(tensor)[:, 1], values)


def repelled(coupling_strength, noise=0.0, seed=0, readings=2):
    """Return offsets and tunes of a scan through a coupling resonance."""
    offset = np.repeat(np.linspace(-0.02, 0.02, 13), readings)
    middle, part = 0.25 + 0.1 * offset, 1.02 * (offset - 0.0013)
    apart = np.sqrt(part**2 + coupling_strength**2)
    tunes = np.column_stack([5 + middle + apart / 2, 3 + middle - apart / 2])
    tunes += np.random.default_rng(seed).normal(0.0, noise, tunes.shape)
    return offset, tunes


def test_the_closest_approach_of_exact_tunes():
    found = fit_closest_tunes(*repelled(0.004), uid="u")
    assert found.value == pytest.approx(0.004, rel=1e-6)
    assert found.center == pytest.approx(0.0013, abs=1e-9)
    assert found.slope == pytest.approx(1.02, rel=1e-6)
    assert found.uid == "u"
    assert found.distance.shape == found.offset.shape == (13,)


@pytest.mark.parametrize("strength", [0.001, 0.004, 0.015])
def test_the_error_of_the_closest_approach_is_that_of_many_scans(strength):
    fits = [fit_closest_tunes(*repelled(strength, 5e-5, seed)) for seed in range(150)]
    values = np.array([fit.value for fit in fits])
    sigmas = np.array([fit.sigma for fit in fits])
    # 150 scans: the spread is known to 6 %, the mean to 8 % of it; the weights follow
    # the noisy distances, which costs a little more.
    assert values.std() / np.sqrt(np.mean(sigmas**2)) == pytest.approx(1.0, abs=0.3)
    assert abs(values.mean() - strength) < 0.5 * values.std()


def test_tunes_that_cross_are_not_coupled():
    found = fit_closest_tunes(*repelled(0.0, 5e-5))
    assert found.value < 3 * found.sigma
    assert found.sigma < 5e-4


def test_tunes_that_do_not_meet_are_refused():
    offset, tunes = repelled(0.004)
    with pytest.raises(DataError, match="do not meet between offsets"):
        fit_closest_tunes(offset[:10], tunes[:10])
    with pytest.raises(DataError, match="at 3 places; the fit needs at least 4"):
        fit_closest_tunes(offset[:6], tunes[:6])


def test_the_distance_of_tunes_has_no_integer():
    tunes = np.array([[5.2, 3.3], [0.05, 0.95], [76.21, 27.34]])
    assert tune_distance(tunes) == pytest.approx([-0.1, 0.1, -0.13])


def test_emittances_are_averaged():
    found = emittance_ratio(np.array([2e-9, 4e-9]), np.array([3e-12, 3e-12]), "u")
    assert found.value == pytest.approx(1e-3)
    assert found.sigma_ex == pytest.approx(1e-9)
    assert found.sigma == pytest.approx(1e-3 / 3)
    assert np.isnan(emittance_ratio(np.ones(1), np.ones(1)).sigma)


def test_the_response_is_measured_and_the_stored_run_gives_the_same(run):
    machine, sim, _ = toy(skew=(0.02, -0.01))
    before = sim.setpoints.copy()
    found = run(plans.measure_coupling(machine))
    assert np.array_equal(sim.setpoints, before)
    assert found.actuator_planes == ("x", "x", "y", "y", "rf")
    names = [*found.response.actuators[:4], "rf"]
    derivative = RingDesign().coupling_response(machine.bpms.names, names, SKEWS)
    direct = RingDesign().orbit_response(machine.bpms.names, names)
    expected = direct + derivative @ np.array([0.02, -0.01])
    cross = found.response.matrix[8:, :2]
    # The derivative is of first order; the next is (skew strength × length × β)².
    assert cross == pytest.approx(expected[8:, :2], abs=0.05 * np.abs(cross).max())
    assert found.value > 0.02
    assert found.noise < 0.01 * found.value
    again = coupling.analyse(Run.from_documents(run.documents))
    assert again.value == found.value
    assert again.sigma == found.sigma
    assert np.array_equal(again.eta_y, found.eta_y)
    (event,) = run.events("result")
    assert event["data"]["coupling_value"][0] == found.value
    assert len(run.events()) == run.start["num_points"]


def test_correctors_can_be_named(run):
    machine, _, _ = toy()
    chosen = [machine["T/C1-H"], machine["T/C3-V"]]
    found = run(plans.measure_coupling(machine, correctors=chosen, readings=1))
    assert found.response.actuators == ("T/C1-H", "T/C3-V", "T/RF")
    assert np.isnan(found.sigma)
    with pytest.raises(PlanError, match="found 1 horizontal and 0 vertical"):
        run(plans.measure_coupling(machine, correctors=[machine["T/C1-H"]]))
    with pytest.raises(PlanError, match="T/QF0 is no corrector"):
        run(plans.measure_coupling(machine, correctors=[machine["T/QF0"]]))
    with pytest.raises(PlanError, match="at least 1 corrector of each plane"):
        run(plans.measure_coupling(machine, correctors=0))


def test_uncoupled_tunes_pass_through_each_other(run):
    machine, sim, _ = toy()
    found = run(plans.measure_coupling(machine, method="tunes"))
    assert np.array_equal(sim.setpoints, sim.layout.values)
    assert found.value < 4 * found.sigma + 1e-6
    assert found.center == pytest.approx(0.1, abs=1e-4)  # 5.2 and 3.3
    assert found.slope == pytest.approx(1.0, abs=1e-3)
    again = coupling.analyse(Run.from_documents(run.documents))
    assert (again.value, again.sigma) == (found.value, found.sigma)
    assert len(run.events()) == run.start["num_points"]


def test_tunes_that_cannot_be_brought_together_are_refused(run):
    machine, _, _ = toy()
    with pytest.raises(PlanError, match="cannot move the two tunes independently"):
        run(plans.measure_coupling(machine, method="tunes", quadrupoles=["QF"]))
    machine, sim, _ = toy(reach=0.01)
    with pytest.raises(PlanError) as error:
        run(plans.measure_coupling(machine, method="tunes"))
    words = str(error.value)
    assert "the tunes 5.2000 and 3.3000 are 0.1000 apart" in words
    assert "must change by 0.1200, and the limits allow 0.0" in words
    assert np.array_equal(sim.setpoints, sim.layout.values)


def test_tunes_are_not_brought_across_a_half_integer(run):
    machine, sim, _ = toy()
    sim.engine.tunes = lambda: np.array([5.2, 3.63, 0.01])
    with pytest.raises(PlanError, match="one would have to cross 3.5"):
        run(plans.measure_coupling(machine, method="tunes"))


def test_the_emittances_are_read(run):
    machine, _, _ = toy()
    found = run(plans.measure_coupling(machine, method="emittance", readings=3))
    assert found.ey / found.ex == pytest.approx(1.2e-3)
    assert coupling.analyse(Run.from_documents(run.documents)) == found


def test_what_makes_no_sense_is_refused(run):
    machine, _, _ = toy()
    with pytest.raises(PlanError, match="method is one of 'response'"):
        run(plans.measure_coupling(machine, method="guess"))
    with pytest.raises(PlanError, match="span is between 0 and 0.5"):
        run(plans.measure_coupling(machine, method="tunes", span=0.7))
    with pytest.raises(PlanError, match="at least 1 reading"):
        run(plans.measure_coupling(machine, method="emittance", readings=0))
    with pytest.raises(PlanError, match="target is 'minimum', not 'ratio'"):
        run(plans.set_coupling(machine, target="ratio"))
    with pytest.raises(PlanError, match="iterations 1 or more, found 1.0 and 0"):
        run(plans.set_coupling(machine, iterations=0))
    with pytest.raises(PlanError, match="T/QF0 is not one of the machine's skew"):
        run(plans.set_coupling(machine, skews=["T/QF0"]))


def test_the_skews_are_brought_to_where_there_is_no_coupling(run):
    machine, sim, knobs = toy(skew=(0.02, -0.01), iterations=3)
    found = run(plans.set_coupling(machine))
    assert sim.setpoints[knobs] == pytest.approx(0.0, abs=1e-4)
    others = np.delete(sim.setpoints - sim.layout.values, knobs)
    assert not others.any()
    assert found.after.value < 0.01 * found.before.value
    assert np.all(np.diff(found.residual) < 0.0)
    assert found.setpoints == pytest.approx(sim.setpoints[knobs])
    assert found.skews == SKEWS
    again = coupling_correction.analyse(Run.from_documents(run.documents))
    assert again.after.value == found.after.value
    assert again.before.value == found.before.value
    assert again.stopped == found.stopped
    assert np.array_equal(again.steps, found.steps)


def test_a_preview_sets_nothing_and_is_about_right(run):
    machine, sim, knobs = toy(skew=(0.02, -0.01))
    found = run(plans.set_coupling(machine, preview=True))
    assert sim.setpoints[knobs].tolist() == [0.02, -0.01]
    assert found.is_preview
    assert found.iterations == 0
    assert found.steps == pytest.approx([-0.02, 0.01], rel=0.1)
    assert found.after.value < 0.2 * found.before.value
    again = coupling_correction.analyse(Run.from_documents(run.documents))
    assert again.after.value == found.after.value
    assert again.is_preview


def test_some_skews_only(run):
    machine, sim, knobs = toy(skew=(0.02, -0.01))
    found = run(plans.set_coupling(machine, skews=["T/SQ1"]))
    assert found.skews == ("T/SQ1",)
    assert sim.setpoints[knobs[0]] == 0.02
    machine.mark_bad("T/SQ0")
    assert run(plans.set_coupling(machine)).skews == ("T/SQ1",)


def test_an_iteration_that_makes_it_worse_is_taken_back(run, monkeypatch):
    machine, sim, knobs = toy(skew=(0.02, -0.01))
    right = machine.design.coupling_response
    monkeypatch.setattr(
        machine.design, "coupling_response", lambda *names: -right(*names)
    )
    found = run(plans.set_coupling(machine))
    assert "made it worse and was taken back" in found.stopped
    assert sim.setpoints[knobs].tolist() == [0.02, -0.01]
    assert found.iterations == 0
    assert not found.steps.any()


def test_a_solution_outside_the_limits_is_refused(run, monkeypatch):
    machine, sim, knobs = toy(skew=(0.09, -0.09))
    right = machine.design.coupling_response
    monkeypatch.setattr(
        machine.design, "coupling_response", lambda *names: 0.2 * right(*names)
    )
    with pytest.raises(LimitError, match="leaves the limits; use fewer"):
        run(plans.set_coupling(machine))
    assert sim.setpoints[knobs].tolist() == [0.09, -0.09]


@pytest.mark.parametrize("later", [3, 30, 60])
def test_stopped_after_the_skews_have_moved_it_puts_them_back(run, later):
    machine, sim, knobs = toy(skew=(0.02, -0.01))
    before = sim.setpoints.copy()
    moved = []

    def stopped(plan):
        messages, answer, left = iter(plan), None, later
        while True:
            try:
                if moved and left == 0:
                    assert not np.array_equal(sim.setpoints[knobs], before[knobs])
                    message = messages.throw(RuntimeError("stop here"))
                else:
                    message = messages.send(answer)
            except StopIteration as end:
                return end.value
            if message.obj is machine.skew_quadrupoles and message.command == "set":
                moved.append(message)
            left -= bool(moved)
            answer = yield message

    with pytest.raises(RuntimeError, match="stop here"):
        run(stopped(plans.set_coupling(machine)))
    assert moved
    assert np.array_equal(sim.setpoints, before)
