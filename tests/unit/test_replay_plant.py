"""Devices on a stored run: they read what was recorded where it was recorded."""

from __future__ import annotations

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.preprocessors import SupplementalData
from bluesky.run_engine import call_in_bluesky_event_loop
from toy import (
    DELTA,
    N_BPM,
    RF_HZ,
    ToyEngine,
    ToyReferences,
    ToyRuns,
    engine_design,
    powered_profile,
    toy_profile,
    toy_run,
)

from acctwin import plans
from acctwin.analysis.correction import solve_correction
from acctwin.backends.build import build_machine
from acctwin.backends.link import Links
from acctwin.backends.replay.plant import ReplayPlant
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.plant import SimPlant
from acctwin.data.runs import Run
from acctwin.errors import DataError, DeviceError, PlanError
from acctwin.model.imperfections import draw
from acctwin.plans.stubs import take


class Lab:
    """A toy machine with a baseline that can be put on its own runs."""

    def __init__(self, run, profile=None):
        self.engine, self.profile = ToyEngine(), profile or toy_profile()
        errors = draw(self.profile, 1)
        sim = SimMachine(self.engine, self.engine.layout, errors, self.profile, 1)
        self.links, design = Links(SimPlant(sim)), engine_design(self.engine)
        self.machine = build_machine(self.profile, self.links, design, ToyRuns())
        call_in_bluesky_event_loop(self.machine.connect())
        self.run = run
        run.RE.md["profile"] = self.profile.name
        supplemental = SupplementalData(baseline=list(self.machine.baseline()))
        run.RE.preprocessors.append(supplemental)

    def stored(self) -> Run:
        return Run.from_documents(list(self.run.documents))

    def replay(self, stored=None) -> ReplayPlant:
        plant = ReplayPlant(self.profile, self.engine.layout, stored or self.stored())
        call_in_bluesky_event_loop(self.links.rebind(plant, 1.0))
        return plant


@pytest.fixture(params=[toy_profile, powered_profile], ids=["plain", "powered"])
def lab(run, request):
    return Lab(run, request.param())


@pytest.mark.parametrize("method", ["bipolar", "unipolar"])
def test_a_response_measured_again_is_the_same_to_the_bit(lab, method):
    lab.run(plans.set_values(lab.machine, "T/C1-H", 3e-5))
    options = {"method": method, "readings": 2}
    first = lab.run(plans.measure_orbit_response(lab.machine, **options))
    stored = lab.stored()
    lab.run(plans.set_values(lab.machine, "T/C1-H", 0.0))
    lab.engine.calls.clear()
    lab.replay(stored)
    again = lab.run(plans.measure_orbit_response(lab.machine, **options))
    assert again.matrix.tobytes() == first.matrix.tobytes()
    assert lab.engine.calls == [], "the simulated machine was asked"
    events, recorded = lab.run.events(), stored["primary"]
    for key in ("bpms_x", "hcm_strength", "hcm_readback", "step_offset"):
        seen = np.array([event["data"][key] for event in events])
        assert np.allclose(seen, recorded[key], rtol=0.0, atol=1e-15), key
    stamps = [event["timestamps"]["bpms_x"] for event in events]
    assert stamps == recorded.timestamps["bpms_x"].tolist()


def test_the_machine_stands_where_the_run_began(lab):
    lab.run(plans.set_values(lab.machine, "rf", RF_HZ + 20.0))
    lab.run(plans.set_values(lab.machine, "T/C2-V", 4e-5))
    lab.run(plans.measure_orbit(lab.machine))
    stored = lab.stored()
    lab.run(plans.set_values(lab.machine, "T/C2-V", 0.0))
    lab.replay(stored)
    found = lab.run(plans.save_machine(lab.machine))
    assert found["vcm"].setpoints[2] == 4e-5
    assert found["rf"].setpoints.tolist() == [RF_HZ + 20.0]
    assert lab.machine.hcm.setpoint.source.startswith(f"replay://{stored.uid}/")


def test_other_settings_on_recorded_orbits(lab):
    response = lab.run(plans.measure_orbit_response(lab.machine))
    lab.run(plans.measure_orbit(lab.machine, readings=3))
    stored = lab.stored()
    lab.replay(stored)
    x, y = (stored["primary"][f"bpms_{plane}"].mean(axis=0) for plane in "xy")
    for kept in (2, 5):
        lab.links.plant.tape.rewind()
        options = {"singular_values": kept, "gain": 1.0, "readings": 3}
        found = lab.run(
            plans.correct_orbit(
                lab.machine, response, goal="zero", preview=True, **options
            )
        )
        wanted = solve_correction(
            response.matrix, np.concatenate([x, y]), singular_values=kept
        )
        assert np.array_equal(found.steps, wanted.steps)


def test_a_correction_goes_the_way_it_went(run):
    lab = Lab(run)
    response = lab.run(plans.measure_orbit_response(lab.machine))
    options = {"iterations": 2, "goal": "zero"}
    first = lab.run(plans.correct_orbit(lab.machine, response, **options))
    lab.replay()
    again = lab.run(plans.correct_orbit(lab.machine, response, **options))
    assert np.array_equal(again.after.x, first.after.x)
    assert np.allclose(again.steps, first.steps, rtol=1e-12, atol=0.0)


def test_where_nothing_was_recorded_one_may_go_and_not_read(lab):
    lab.run(plans.measure_orbit(lab.machine))
    lab.replay()
    lab.run(plans.set_values(lab.machine, "T/C1-V", 3 * DELTA))
    with pytest.raises(DeviceError, match=r"T/C1-V is at 6e-05 rad, recorded 0.*1 rea"):
        lab.run(plans.measure_orbit(lab.machine))
    lab.run(plans.set_values(lab.machine, "T/C1-V", 0.0))
    assert len(lab.run(plans.measure_orbit(lab.machine)).x) == N_BPM


def test_a_plan_that_fails_there_puts_the_correctors_back(run):
    lab = Lab(run)
    lab.run(plans.measure_orbit(lab.machine))
    lab.replay()
    with pytest.raises(DeviceError, match="bpms was not recorded with these setpoints"):
        lab.run(plans.correct_orbit(lab.machine, "model", iterations=1))
    state = lab.run(plans.save_machine(lab.machine))
    assert np.allclose(state["hcm"].setpoints, 0.0, atol=1e-12)


def test_each_recorded_repeat_is_given_once(lab):
    lab.run(plans.measure_orbit(lab.machine, readings=3))
    recorded = lab.stored()["primary"]["bpms_x"]
    plant = lab.replay()
    lab.run(plans.measure_orbit(lab.machine, readings=2))
    seen = [event["data"]["bpms_x"] for event in lab.run.events()]
    assert np.array_equal(seen, recorded[:2])
    lab.run(plans.measure_orbit(lab.machine, readings=1))
    assert np.array_equal(lab.run.events()[0]["data"]["bpms_x"], recorded[2])
    with pytest.raises(DeviceError, match="all 3 readings of bpms .* are used up"):
        lab.run(plans.measure_orbit(lab.machine, readings=1))
    plant.tape.rewind()
    lab.run(plans.measure_orbit(lab.machine, readings=3))


def test_what_was_not_recorded_is_said(lab):
    lab.run(plans.measure_orbit(lab.machine))
    lab.replay()
    with pytest.raises(DeviceError, match="tune was not recorded; the run holds.*bpms"):
        lab.run(plans.measure_tune(lab.machine))


def test_some_bpms_alone_are_not_all_of_them(run):
    lab = Lab(run)
    machine = lab.machine

    def read(*devices):
        yield from bps.open_run()
        event = yield from take(devices)
        yield from bps.close_run()
        return event

    devices = machine["T/B1"], machine["T/B3"], machine.tune
    recorded = lab.run(read(*devices))
    lab.replay()
    assert lab.run(read(*devices)) == recorded
    with pytest.raises(DeviceError, match="T/B2 was not recorded"):
        lab.run(read(machine["T/B2"]))


def test_currents_may_be_set_where_strengths_were_recorded(run):
    lab = Lab(run, powered_profile())
    lab.run(plans.set_values(lab.machine, "T/C1-H", 4e-5))
    lab.run(plans.measure_orbit(lab.machine))
    stored = lab.stored()
    lab.replay(stored)
    lab.run(plans.set_values(lab.machine, "T/C1-H", 0.0))
    baseline = stored["baseline"]
    current = baseline["hcm_supplies_current"][0][2]
    assert baseline.config("hcm_supplies_names")[2] == "PS1" and current != 0.0
    lab.run(plans.set_values(lab.machine, "PS1", current))
    lab.run(plans.measure_orbit(lab.machine))
    assert np.array_equal(
        lab.run.events()[0]["data"]["bpms_x"], stored["primary"]["bpms_x"][0]
    )


def test_runs_that_cannot_be_replayed_are_refused(run):
    lab = Lab(run)
    lab.run(plans.measure_orbit(lab.machine))
    stored = lab.stored()
    other = Run(stored.uid, {**stored.start, "profile": "ebs"}, None, stored.streams)
    with pytest.raises(DataError, match="of the machine 'ebs', and this is 'toy'"):
        lab.replay(other)
    bare = Run(stored.uid, stored.start, None, {"primary": stored["primary"]})
    with pytest.raises(DataError, match="no baseline"):
        lab.replay(bare)
    assert isinstance(lab.links.plant, SimPlant)


def test_a_replay_is_no_reference(run):
    lab = Lab(run)
    lab.machine.references = ToyReferences()
    lab.machine.runs = ToyRuns(toy_run("measure_orbit", mode="replay"))
    with pytest.raises(PlanError, match="in replay"):
        lab.run(plans.promote_reference(lab.machine, "orbit", "run"))
    lab.machine.runs = ToyRuns(toy_run("measure_orbit"))
    lab.machine.references.is_frozen = True
    with pytest.raises(PlanError, match="references are not changed from here"):
        lab.run(plans.promote_reference(lab.machine, "orbit", "run"))
