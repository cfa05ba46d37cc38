"""A served machine as any EPICS client sees it: pyepics and p4p, on loopback."""

from __future__ import annotations

import sys
from pathlib import Path

import at
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import (
    COMMAND,
    children,
    client,
    epics_network,
    line_of,
    process,
    server,
    wait_until,
)

from acctwin.model.fodo import fodo_ring

pytestmark = pytest.mark.slow

CORRECTOR = "C01:PS-HCM"
#: Integrated field per current of devices/fodo/curves.csv [T m/A], and B·rho [T m].
FIELD, RIGIDITY = 0.0011, np.sqrt(1.5e9**2 - 0.51099895e6**2) / 299792458.0


@pytest.fixture(scope="module")
def network():
    return epics_network()


@pytest.fixture(scope="module")
def ready(network):
    with server("epics", "fodo", env=network) as line:
        yield line


@pytest.fixture(scope="module")
def started(ready, network):
    with client("epics_client.py", network) as one:
        yield one


@pytest.fixture
def c(started):
    """The client; afterwards the machine is as it was."""
    yield started
    for name, value in {f"{CORRECTOR}:SP": 0.0, "fodo:SIM:DROP_BEAM": 0}.items():
        started.caput(name, value)
    started.caput("fodo:SIM:REPAIR", CORRECTOR)


def orbit_of_pyat(current: float) -> np.ndarray:
    """x at the BPMs [m] for a current in the first corrector [A]: pyAT, by itself."""
    ring = fodo_ring()
    ring.enable_6d()
    ring.set_cavity_phase(method=at.ELossMethod.INTEGRAL)
    first = ring.get_uint32_index("HCM")[0]
    ring[first].KickAngle = [current * FIELD / RIGIDITY, 0.0]
    return at.find_orbit6(ring, ring.get_uint32_index("BPM"))[1][:, 0]


def moved(c) -> np.ndarray:
    """x of all BPMs in the order of their names, by s: BPM1 and BPM2 of each cell."""
    names = c.caget("fodo:BPM:NAMES")
    found = dict(zip(names, c.caget("fodo:BPM:X"), strict=True))
    return np.array([found[name] for name in sorted(names)])


def test_ready_says_how_many_and_where(ready, network):
    assert "epics fodo" in ready
    assert network["EPICS_CA_SERVER_PORT"] in ready
    assert network["EPICS_PVA_SERVER_PORT"] in ready


def test_a_put_is_over_when_the_orbit_has_moved_as_the_design_says(c):
    before = moved(c)
    assert c.caput(f"{CORRECTOR}:SP", 0.5)
    change = moved(c) - before
    expected = orbit_of_pyat(0.5) - orbit_of_pyat(0.0)
    assert np.abs(expected).max() > 1e-4
    assert np.allclose(change, expected, atol=1e-8)
    assert c.caget(f"{CORRECTOR}:RB") == 0.5
    assert c.caget(f"{CORRECTOR}:MOVING") == 0
    assert c.caget("C01:BPM1:X") == c.caget("fodo:BPM:X")[0]


def test_pv_access_serves_and_takes_the_same(c):
    c.pvput(f"{CORRECTOR}:SP", 0.3)
    assert c.caget(f"{CORRECTOR}:RB") == 0.3
    assert c.pvget("fodo:BPM:X") == c.caget("fodo:BPM:X")
    table = c.pvget_table("fodo:ORBIT")
    assert table["name"][:2] == c.caget("fodo:BPM:NAMES")[:2]
    assert table["x"] == c.caget("fodo:BPM:X")
    assert table["y"] == c.caget("fodo:BPM:Y")


def test_limits_units_and_precision_are_those_of_the_profile(c):
    found = c.control(f"{CORRECTOR}:SP")
    assert (found["lower_ctrl_limit"], found["upper_ctrl_limit"]) == (-5.0, 5.0)
    assert (found["units"], found["precision"]) == ("A", 4)
    assert c.control("C01:BPM1:X")["units"] == "m"
    assert c.control("fodo:TUNE:QX")["precision"] == 6


def test_a_put_outside_the_limits_is_clamped_with_an_alarm(c):
    assert c.caput(f"{CORRECTOR}:SP", 50.0)
    assert c.caget(f"{CORRECTOR}:SP") == c.caget(f"{CORRECTOR}:RB") == 5.0
    assert c.control(f"{CORRECTOR}:SP")["severity"] == 1


def test_no_number_is_not_taken(c):
    c.caput(f"{CORRECTOR}:SP", 0.1)
    c.caput(f"{CORRECTOR}:SP", float("nan"))
    assert c.caget(f"{CORRECTOR}:SP") == c.caget(f"{CORRECTOR}:RB") == 0.1


@pytest.mark.parametrize("name", ["C01:PS-HCM:RB", "C01:BPM1:X", "fodo:DCCT"])
def test_what_is_read_only_is_refused(c, name):
    assert not c.control(name)["write_access"]
    with pytest.raises(RuntimeError, match="access denied"):
        c.caput(name, 1.0)
    with pytest.raises(RuntimeError, match="putDisabled|not permitted"):
        c.pvput(name, 1.0)


def test_a_monitor_hears_of_a_put(c):
    c.monitor("C01:BPM1:X")
    before = c.caget("C01:BPM1:X")
    c.caput(f"{CORRECTOR}:SP", -0.4)
    after = c.caget("C01:BPM1:X")
    assert after != before
    assert after in [value for _, value in c.seen("C01:BPM1:X")]


def test_many_puts_at_once_and_all_supplies_in_one(c):
    names = [f"C{cell:02d}:PS-HCM:SP" for cell in range(1, 17)]
    start = moved(c)
    c.caput_all(dict.fromkeys(names, 0.1))
    assert [c.caget(name.replace(":SP", ":RB")) for name in names] == [0.1] * 16
    assert not np.allclose(moved(c), start, atol=1e-6)
    supplies = c.caget("fodo:SUPPLIES:NAMES")
    values = c.caget("fodo:SUPPLIES:SP")
    assert values == c.caget("fodo:SUPPLIES:RB")
    both = zip(supplies, values, strict=True)
    zero = [0.0 if name.endswith("-HCM") else value for name, value in both]
    assert c.caput("fodo:SUPPLIES:SP", zero)
    assert np.allclose(moved(c), start, atol=1e-9)
    assert wait_until(lambda: c.caget(names[3]) == 0.0)  # single setpoints follow
    worse = [1e6, *zero[1:]]
    c.caput("fodo:SUPPLIES:SP", worse)
    assert c.caget("fodo:SUPPLIES:RB") == zero
    assert "PS-HCM" in c.caget("fodo:SIM:MESSAGE") or wait_until(
        lambda: "1e+06" in c.caget("fodo:SIM:MESSAGE")
    )


def test_a_tripped_supply_delivers_nothing_until_it_is_repaired(c):
    zero = moved(c)
    c.caput(f"{CORRECTOR}:SP", 0.5)
    there = moved(c)
    c.caput("fodo:SIM:TRIP", "C01/PS-HCM")
    assert (c.caget(f"{CORRECTOR}:SP"), c.caget(f"{CORRECTOR}:RB")) == (0.5, 0.0)
    assert np.allclose(moved(c), zero, atol=1e-9)
    c.caput("fodo:SIM:REPAIR", CORRECTOR)
    assert np.allclose(moved(c), there, atol=1e-9)
    c.caput("fodo:SIM:TRIP", "C01/PS-NONE")
    assert wait_until(lambda: "PS-NONE" in c.caget("fodo:SIM:MESSAGE"))


def test_a_frozen_bpm_stays_where_it_is(c):
    c.caput("fodo:SIM:FREEZE_BPM", "C02/BPM1")
    frozen, other = c.caget("C02:BPM1:X"), c.caget("C02:BPM2:X")
    c.caput(f"{CORRECTOR}:SP", 0.5)
    assert c.caget("C02:BPM1:X") == frozen
    assert c.caget("C02:BPM2:X") != other
    c.caput("fodo:SIM:REPAIR", "C02/BPM1")
    assert c.caget("C02:BPM1:X") != frozen


def test_without_beam_the_bpms_are_invalid(c):
    c.caput("fodo:SIM:DROP_BEAM", 1)
    assert np.isnan(c.caget("fodo:BPM:X")).all()
    for name in ("fodo:BPM:X", "C01:BPM1:X"):
        assert c.control(name)["severity"] == 3
    assert c.caget("fodo:DCCT") == 0.0
    assert "dropped" in c.caget("fodo:SIM:BEAM")
    c.caput("fodo:SIM:DROP_BEAM", 0)
    assert np.isfinite(c.caget("fodo:BPM:X")).all()
    assert c.control("fodo:BPM:X")["severity"] == 0
    assert c.caget("fodo:DCCT") == pytest.approx(0.2)
    assert c.caget("fodo:SIM:BEAM") == ""


def test_rf_pinger_turns_and_slow_monitors(c):
    start, rf = moved(c), c.caget("RF:SP")
    c.caput("RF:SP", rf + 1e4)
    assert np.abs(moved(c) - start).max() > 1e-5
    c.caput("RF:SP", rf)
    c.caput("PINGER-H:SP", 1e-4)
    c.caput("fodo:TURNS:COUNT", 16)
    assert c.caput("fodo:TURNS:ACQUIRE", 1)
    turns = np.reshape(c.caget("fodo:TURNS:X"), (16, 32))
    assert np.ptp(turns[:, 0]) > 1e-5
    assert wait_until(lambda: 0.0 < c.caget("fodo:TUNE:QX") < 1.0)
    assert wait_until(lambda: c.caget("fodo:EMIT:EX") > 0.0)


def test_the_server_lives_and_has_a_time(c):
    beat, now = c.caget("fodo:SIM:HEARTBEAT"), c.caget("fodo:SIM:TIME")
    assert wait_until(lambda: c.caget("fodo:SIM:HEARTBEAT") > beat)
    assert wait_until(lambda: c.caget("fodo:SIM:TIME") > now)
    assert c.caget("fodo:SIM:SERVER").startswith("fodo-")


def test_a_read_only_server_takes_nothing_and_ends_when_told():
    net = epics_network()
    arguments = ("serve", "epics", "fodo", "--read-only", "--until-eof")
    with process("-c", COMMAND, *arguments, env=net) as child:
        line_of(child, "READY")
        (engine,) = children(child.pid)
        with client("epics_client.py", net) as one:
            for name in (f"{CORRECTOR}:SP", "fodo:SIM:TRIP", "fodo:SIM:DROP_BEAM"):
                assert not one.control(name)["write_access"]
        child.terminate()
        assert child.wait(10) == 0
    assert wait_until(lambda: not Path(f"/proc/{engine}").exists())
