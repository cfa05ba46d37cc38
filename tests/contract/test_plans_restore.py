"""Every plan, stopped at every message, leaves the setpoints where they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import ToyReferences, ToyRuns, toy_run, toy_state
from toy_ring import ring_machine

from acctwin import plans
from acctwin.analysis.loco import Gains
from acctwin.analysis.loco.version import LocoResult
from acctwin.errors import RestoreError


def with_references(machine):
    """Give the machine a run and a reference."""
    machine.runs, machine.references = (
        ToyRuns(toy_run("measure_orbit")),
        ToyReferences(),
    )
    machine.references.add("orbit", "run")
    return machine


def fitted_quadrupoles(machine):
    """Return a fit of two quadrupoles that are a little too strong."""
    names = machine.quadrupoles.names[:2]
    ideal = Gains.ideal(1, 1)
    return LocoResult(
        model_version="a fit",
        uid="a measurement",
        strengths=names,
        members=tuple((name,) for name in names),
        kinds=("b1", "b1"),
        design=np.ones(2),
        values=np.array([1.001, 0.999]),
        sigma=np.full(2, 1e-5),
        bpms=("B",),
        beta_at_bpms=np.ones((1, 2)),
        design_beta_at_bpms=np.ones((1, 2)),
        tunes=np.ones(3),
        actuators=("C",),
        gains=ideal,
        gains_sigma=ideal,
        chi2_dof=1.0,
        history=np.ones(1),
        kept=2,
        left_out=0,
    )


#: How to call each plan on the toy machine. A plan without a case fails below.
CASES = {
    "apply_loco": lambda m: plans.apply_loco(m, fitted_quadrupoles(m)),
    "bba": lambda m: plans.bba(m, ["T/B1"], plane="x", points=3, neighbours=False),
    "measure_orbit": lambda m: plans.measure_orbit(m, readings=2),
    "monitor_orbit": lambda m: plans.monitor_orbit(m, readings=2),
    "measure_coupling": lambda m: plans.measure_coupling(m, correctors=1, readings=1),
    # Without coupling nothing is to be corrected; with it: see its own tests.
    "set_coupling": lambda m: plans.set_coupling(
        m, skews=["T/SQ0"], correctors=1, readings=1, iterations=1
    ),
    "measure_loco": lambda m: plans.measure_loco(
        m, correctors=[m.hcm.select("T/C[01]-H")], noise_readings=2, chunk=1
    ),
    "measure_lifetime": lambda m: plans.measure_lifetime(m, max_s=5.0),
    "measure_orbit_response": lambda m: plans.measure_orbit_response(
        m, correctors=[m.hcm.select("T/C[01]-H"), m["T/C2-V"]]
    ),
    "measure_response": lambda m: plans.measure_response(
        m, [m["T/C0-H"], m.rf], [m.bpms, m.tune]
    ),
    "correct_orbit": lambda m: plans.correct_orbit(m, rf=True, iterations=2),
    "orbit_bump": lambda m: plans.orbit_bump(m, "x", "T/B3", position=2e-5),
    "orbit_feedback": lambda m: plans.orbit_feedback(m, cycles=2, period_s=0.0),
    "measure_injection": lambda m: plans.measure_injection(m, shots=2),
    "optimise": lambda m: plans.optimise(
        m, "vertical_emittance", "random", evaluations=3, seed=1
    ),
    "measure_dispersion": lambda m: plans.measure_dispersion(m, points=3, readings=1),
    "set_rf": lambda m: plans.set_rf(m, m.rf.limits[1]),
    "center_rf": lambda m: plans.center_rf(m, iterations=1),
    "measure_chromaticity": lambda m: plans.measure_chromaticity(
        m, points=3, readings=1, max_step_hz=1e5
    ),
    "measure_chromaticity_response": lambda m: plans.measure_chromaticity_response(
        m, ["SF"], points=2, order=1, readings=1, max_step_hz=1e6
    ),
    "set_chromaticity": lambda m: plans.set_chromaticity(
        m,
        1.2,
        2.3,
        families=["SF", m["SD"]],
        points=2,
        order=1,
        readings=1,
        max_step_hz=1e6,
    ),
    "measure_tune": lambda m: plans.measure_tune(m, method="turns"),
    "measure_tune_response": lambda m: plans.measure_tune_response(
        m, ["QF"], readings=1
    ),
    "set_tune": lambda m: plans.set_tune(
        m, 5.22, 0.31, quadrupoles=["QF", m["QD"]], readings=1
    ),
    "step_tune": lambda m: plans.step_tune(m, 0.02, 0.0, quadrupoles=["QF", "QD"]),
    "measure_beta": lambda m: plans.measure_beta(
        m, quadrupoles=[m["T/QD0"]], readings=1
    ),
    "set_values": lambda m: plans.set_values(m, m.hcm.select("T/C[01]-H"), 1e-5),
    "step": lambda m: plans.step(m, "hcm", 1e-5),
    "save_machine": lambda m: plans.save_machine(m, "for a test"),
    "compare_machine": lambda m: plans.compare_machine(m, toy_state(m)),
    # Without undo it stays where it was stopped, on purpose: see its own tests.
    "restore_machine": lambda m: plans.restore_machine(
        m, toy_state(m), steps=2, undo=True
    ),
    "cycle": lambda m: plans.cycle(m, "hcm", [0.5, -0.5], with_beam=True),
    "promote_reference": lambda m: plans.promote_reference(
        with_references(m), "orbit", "run"
    ),
    "roll_back_reference": lambda m: plans.roll_back_reference(
        with_references(m), "orbit"
    ),
}
#: Plans that, when they succeed, leave the machine where they brought it.
MOVERS = {
    "apply_loco",
    "correct_orbit",
    "restore_machine",
    "set_values",
    "step",
    "orbit_bump",
    "optimise",
    "orbit_feedback",
    "center_rf",
    "set_chromaticity",
    "set_coupling",
    "set_rf",
    "set_tune",
    "step_tune",
}


class Stopped(Exception):
    """Thrown into a plan where the test stops it."""


def stop_at(plan, number):
    """Hand on a plan's messages, and throw into it at one of them."""
    messages, answer = iter(plan), None
    for count in range(10**6):
        try:
            if count == number:
                message = messages.throw(Stopped(f"at message {number}"))
            else:
                message = messages.send(answer)
        except StopIteration as end:
            return end.value
        answer = yield message
    return None


def counted(plan, numbers):
    """Hand on a plan's messages and count them."""
    messages, answer = iter(plan), None
    while True:
        try:
            message = messages.send(answer)
        except StopIteration:
            return
        numbers.append(message.command)
        answer = yield message


@pytest.fixture(scope="module")
def engine():
    run_engine = RunEngine({})
    yield run_engine
    run_engine.loop.call_soon_threadsafe(run_engine.loop.stop)
    run_engine._th.join(5)
    run_engine.loop.close()


def test_every_plan_has_a_case():
    assert set(CASES) == set(plans.__all__), "a plan has no case in CASES"


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_plan_that_is_stopped_anywhere_restores(engine, name):
    machine, sim = ring_machine()
    call_in_bluesky_event_loop(machine.connect())
    commands: list[str] = []
    engine(counted(CASES[name](machine), commands))
    if name not in MOVERS:
        assert np.array_equal(sim.setpoints, sim.layout.values)
    # From the last change of rewindability on, all that is left is to close the run.
    done = len(commands) - 1 - commands[::-1].index("rewindable")
    for number in range(1, done):
        sim.put(np.arange(len(sim.setpoints)), sim.layout.values)
        sim.changes.notify()
        with pytest.raises((Stopped, RestoreError)):
            engine(stop_at(CASES[name](machine), number))
        assert np.array_equal(sim.setpoints, sim.layout.values), (
            f"{name} stopped at message {number} ({commands[number]}) left the "
            f"machine at {sim.setpoints}"
        )
