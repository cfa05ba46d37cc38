"""Currents and strengths of one machine: whichever is set, the other follows."""

from __future__ import annotations

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.utils import FailedStatus
from toy import N_BPM, N_COR, powered_profile, toy_matrix

from acctwin import plans
from acctwin.errors import LimitError, PlanError


@pytest.fixture
def toy(make_toy):
    return make_toy(profile=powered_profile())


def rigidity(toy):
    return toy.sim.powering._rigidity


def test_a_strength_sets_the_current_behind_it(run, toy):
    magnet = toy.machine["T/C1-H"]
    run(bps.mv(magnet, 1e-4))
    amperes = 1e-4 * rigidity(toy) / 2e-4
    assert run(bps.rd(magnet.current)) == pytest.approx(amperes)
    assert run(bps.rd(toy.machine["PS1"].readback)) == pytest.approx(amperes)


def test_a_current_sets_the_strength(run, toy):
    run(bps.mv(toy.machine["PS1"], 2.0))
    expected = 2.0 * 2e-4 / rigidity(toy)
    assert run(bps.rd(toy.machine["T/C1-H"].strength)) == pytest.approx(expected)
    assert run(bps.rd(toy.machine.hcm.strength))[1] == pytest.approx(expected)
    x = run(bps.rd(toy.machine.bpms.x))
    kicked = toy.engine.error[:N_BPM] + toy_matrix()[:N_BPM, 1] * expected
    assert np.allclose(x, kicked)


def test_a_function_of_a_combined_magnet_leaves_the_others_alone(run, toy):
    run(bps.mv(toy.machine["T/C0-V"], 2e-5))
    run(bps.mv(toy.machine["T/C0-H"], 3e-5))
    assert run(bps.rd(toy.machine["T/C0-V"].strength)) == pytest.approx(2e-5)
    a, b = (run(bps.rd(toy.machine[name].current)) for name in ("PS0a", "PS0b"))
    assert (a, b) == pytest.approx(
        np.array([2.5e-5, 0.5e-5]) * rigidity(toy) / 1e-4, rel=1e-9
    )
    with pytest.raises(PlanError, match="no current of its own: .* PS0a, PS0b"):
        _ = toy.machine["T/C0-H"].current


def test_magnets_in_series_follow_each_other(run, toy):
    run(bps.mv(toy.machine["T/C2-H"], 1e-5))
    assert run(bps.rd(toy.machine["T/C3-H"].strength)) == pytest.approx(1.01e-5)
    with pytest.raises(FailedStatus) as caught:
        run(bps.abs_set(toy.machine.hcm, np.full(N_COR, 2e-5), wait=True))
    assert isinstance(caught.value.__cause__, LimitError)
    assert run(bps.rd(toy.machine["T/C2-H"].strength)) == pytest.approx(1e-5)


def test_the_first_state_is_the_lattice(toy):
    assert np.array_equal(toy.sim.setpoints, toy.engine.layout.values)


def test_a_supply_beyond_its_range_is_refused_and_nothing_moves(run, toy):
    with pytest.raises(FailedStatus) as caught:
        run(bps.abs_set(toy.machine["PS1"], 11.0, wait=True))
    assert "PS1: wanted 11 A, limits -10 to 10" in str(caught.value.__cause__)
    assert not toy.sim.setpoints[: 2 * N_COR].any()


def test_families_share_their_supplies(toy):
    machine = toy.machine
    assert machine.hcm.supplies.names == ("PS0a", "PS0b", "PS1", "PS23")
    assert machine.supplies is machine.hcm.supplies
    assert machine["CORH"].supplies is machine.hcm.supplies
    assert machine.vcm.supplies.names == ("PS0a", "PS0b")


def test_responses_in_amperes_and_radians_agree_through_the_calibration(run, toy):
    machine = toy.machine
    rows = machine.hcm.select("T/C[01]-H") | machine.hcm.select("T/C0-H")
    radians = run(
        plans.measure_orbit_response(
            machine, correctors=[rows, machine.vcm.select("T/C0-V")]
        )
    )
    amperes = run(
        plans.measure_orbit_response(machine, correctors=[rows], units="hardware")
    )
    assert amperes.actuators == ("PS0a", "PS0b", "PS1")
    assert set(amperes.units) == {"m/A"}
    slope = np.zeros((3, 3))
    for magnet, supply, value in toy.sim.powering.slopes():
        if magnet in radians.actuators and supply in amperes.actuators:
            place = radians.actuators.index(magnet), amperes.actuators.index(supply)
            slope[place] = value
    assert np.allclose(amperes.matrix, radians.matrix @ slope, rtol=1e-9, atol=1e-12)


def test_raw_currents_are_recorded_whatever_the_view(run, toy):
    run(plans.measure_orbit_response(toy.machine, correctors=[toy.machine["T/C1-H"]]))
    data = run.events()[0]["data"]
    assert data["PS1_current"] == pytest.approx(
        data["T-C1-H_strength"] * rigidity(toy) / 2e-4
    )


def test_currents_come_back_exactly(run, toy):
    run(bps.mv(toy.machine["PS0a"], 0.1234567))
    before = toy.sim.supplies.setpoints.copy()
    run(plans.measure_orbit_response(toy.machine))
    assert np.array_equal(toy.sim.supplies.setpoints, before)


def test_a_bad_supply_takes_its_magnets_out(run, toy):
    toy.machine.mark_bad("PS0b")
    assert toy.machine.hcm.status.tolist() == [False, True, True, True]
    assert toy.machine.vcm.status.tolist() == [False, True, True, True]
    result = run(plans.measure_orbit_response(toy.machine))
    assert "T/C0-H" not in result.actuators


def test_hardware_units_need_supplies(run, toy, make_toy):
    with pytest.raises(PlanError, match="T/C1-V has no supply"):
        run(
            plans.measure_orbit_response(
                toy.machine, correctors=[toy.machine["T/C1-V"]], units="hardware"
            )
        )
    bare = make_toy()
    with pytest.raises(PlanError, match="hcm has no power supplies"):
        run(plans.measure_orbit_response(bare.machine, units="hardware"))
    with pytest.raises(PlanError, match="'physics' or 'hardware'"):
        run(plans.measure_orbit_response(bare.machine, units="amps"))


def test_a_step_in_amperes(run, toy):
    before = run(bps.rd(toy.machine["PS1"].current))
    run(plans.step(toy.machine, "PS1", 0.5))
    assert run(bps.rd(toy.machine["PS1"].current)) == pytest.approx(before + 0.5)
