from __future__ import annotations

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.plans import count
from bluesky.utils import FailedStatus
from toy import DELTA, LIMIT, N_BPM, N_COR, RF_HZ

from acctwin.errors import LimitError, UnknownName


def failed_with(kind, run, plan):
    with pytest.raises(FailedStatus) as caught:
        run(plan)
    assert isinstance(caught.value.__cause__, kind)
    return str(caught.value.__cause__)


def test_families_come_in_s_order(toy):
    assert toy.machine.hcm.names == tuple(f"T/C{i}-H" for i in range(N_COR))
    assert toy.machine.hcm.s.tolist() == [1.0, 3.0, 5.0, 7.0]
    assert len(toy.machine.bpms) == N_BPM


def test_one_put_moves_a_family_and_its_members(run, toy):
    wanted = np.arange(N_COR) * 1e-5
    run(bps.abs_set(toy.machine.hcm, wanted, wait=True))
    assert toy.sim.setpoints[:N_COR].tolist() == wanted.tolist()
    assert run(bps.rd(toy.machine["T/C2-H"].strength)) == wanted[2]


def test_a_member_moves_its_families(run, toy):
    run(bps.mv(toy.machine["T/C1-V"], 3e-5))
    for family in ("vcm", "CORV"):
        assert run(bps.rd(toy.machine[family].strength))[1] == 3e-5


def test_puts_together_reach_the_engine_as_one(run, toy):
    run(bps.mv(toy.machine.hcm, np.full(N_COR, 1e-6)))
    run(bps.mv(toy.machine.vcm, np.full(N_COR, 1e-6)))
    toy.engine.calls.clear()
    run(bps.rd(toy.machine.bpms.x))
    assert toy.engine.calls == ["set", "orbit"]
    run(bps.rd(toy.machine.bpms.y))
    assert toy.engine.calls == ["set", "orbit"], "nothing moved, nothing is computed"


@pytest.mark.parametrize("value", [2 * LIMIT, -2 * LIMIT, np.nan, np.inf])
def test_limits_hold_for_a_device(run, toy, value):
    message = failed_with(
        LimitError, run, bps.abs_set(toy.machine["T/C1-H"], value, wait=True)
    )
    assert "T/C1-H" in message
    assert "limits -0.001 to 0.001" in message
    assert not toy.sim.setpoints[: 2 * N_COR].any()


def test_limits_hold_for_a_signal_that_goes_round_its_device(run, toy):
    failed_with(
        LimitError, run, bps.abs_set(toy.machine["T/C1-H"].strength, 1.0, wait=True)
    )
    failed_with(
        LimitError,
        run,
        bps.abs_set(toy.machine.hcm.strength, np.ones(N_COR), wait=True),
    )
    failed_with(LimitError, run, bps.abs_set(toy.machine.rf, RF_HZ * 2, wait=True))
    assert not toy.sim.setpoints[: 2 * N_COR].any()
    assert toy.sim.setpoints[-1] == RF_HZ


def test_a_family_needs_a_value_for_each_member(run, toy):
    message = failed_with(
        LimitError, run, bps.abs_set(toy.machine.hcm, [0.0, 0.0], wait=True)
    )
    assert "wanted 4 values" in message


def test_trigger_takes_fresh_noise_and_reading_does_not(run, make_toy):
    toy = make_toy(seed=3)
    run(count([toy.machine.bpms], 3))
    x = [event["data"]["bpms_x"] for event in run.events()]
    assert not np.array_equal(x[0], x[1])
    assert not np.array_equal(x[1], x[2])
    assert 0.2e-6 < np.std(np.array(x) - toy.engine.error[:N_BPM]) < 3e-6
    first = run(bps.rd(toy.machine.bpms.x))
    assert np.array_equal(first, run(bps.rd(toy.machine.bpms.x)))


def test_x_and_y_of_an_event_belong_together(run, make_toy):
    toy = make_toy(seed=3)
    run(count([toy.machine.bpms]))
    (event,) = run.events()
    stamps = event["timestamps"]
    assert stamps["bpms_x"] == stamps["bpms_y"]


def test_configuration_names_what_the_arrays_hold(run, toy):
    toy.machine.mark_bad("T/B3")
    run(count([toy.machine.bpms, toy.machine.hcm]))
    (descriptor,) = [d for n, d in run.documents if n == "descriptor"]
    config = descriptor["configuration"]["bpms"]["data"]
    assert list(config["bpms_names"]) == list(toy.machine.bpms.names)
    assert np.asarray(config["bpms_status"]).tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    key = descriptor["data_keys"]["bpms_x"]
    assert (key["units"], key["shape"]) == ("m", [N_BPM])
    assert descriptor["data_keys"]["hcm_strength"]["units"] == "rad"


def test_lost_beam_reads_no_current(run, toy):
    assert run(bps.rd(toy.machine.dcct.current)) == pytest.approx(0.2)
    toy.engine.aperture = 0.0
    assert run(bps.rd(toy.machine.dcct.current)) == 0.0


def test_tunes_are_fractional(run, toy):
    assert run(bps.rd(toy.machine.tune.qx)) == pytest.approx(0.2)
    assert run(bps.rd(toy.machine.tune.qy)) == pytest.approx(0.3)


def test_status_is_shared_by_all_families(toy):
    toy.machine.hcm.mark_bad("T/C1-H")
    assert toy.machine["CORH"].status.tolist() == [True, False, True, True]
    assert not toy.machine["T/C1-H"].is_good
    assert toy.machine.hcm.good().names == ("T/C0-H", "T/C2-H", "T/C3-H")
    toy.machine.mark_good("T/C1-H")
    assert toy.machine.hcm.status.all()


def test_selection_by_glob_keeps_the_order(toy):
    chosen = toy.machine.hcm.select("T/C3*", "T/C[01]-H")
    assert chosen.names == ("T/C0-H", "T/C1-H", "T/C3-H")
    with pytest.raises(UnknownName, match="did you mean 'T/C"):
        toy.machine.hcm.select("T/C9-H")


def test_unknown_names_offer_the_nearest(toy):
    with pytest.raises(UnknownName, match="did you mean 'T/C"):
        toy.machine["T/CO-H"]
    with pytest.raises(AttributeError, match="toy has no 'quadrupoles'; it has: hcm"):
        _ = toy.machine.quadrupoles
    with pytest.raises(UnknownName):
        toy.machine.mark_bad("T/C0-H", "nothing")
    assert toy.machine.hcm.status.all(), "all or nothing"


def test_magnets_know_their_limits_and_steps(toy):
    magnet = toy.machine["T/C1-H"]
    assert magnet.limits == (-LIMIT, LIMIT)
    assert magnet.delta == DELTA
    low, high = toy.machine.hcm.limits
    assert (low == -LIMIT).all()
    assert (high == LIMIT).all()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("strenght", "hcm has no 'strenght'; it has: moving, strength, readback"),
        ("strength", "hcm.strength is a device and cannot be assigned; set it with"),
        ("limits_", "hcm has no 'limits_'"),
    ],
)
def test_what_is_misspelt_or_looks_like_a_set_is_an_error(toy, name, says):
    with pytest.raises(AttributeError, match=says):
        setattr(toy.machine.hcm, name, 1e-5)


def test_every_device_is_sealed(toy):
    for device in (toy.machine, *toy.machine.everything()):
        with pytest.raises(AttributeError, match="has no 'curent'"):
            device.curent = 1.0
