from __future__ import annotations

import numpy as np
import pytest

from acctwin.backends.sim.clock import SimClock
from acctwin.backends.sim.supplies import Dynamics, SimSupplies
from acctwin.errors import UnknownName

ALL = np.arange(3)


class Clock(SimClock):
    """Real time that the test makes."""

    def __init__(self):
        super().__init__(is_real_time=True)
        self.now = 100.0

    def __call__(self):
        return self.now


def supplies(rate=10.0, lag_s=0.0, clock=None):
    clock = clock or Clock()
    dynamics = Dynamics(np.full(3, rate), lag_s)
    return SimSupplies(("A", "B", "C"), np.zeros(3), dynamics, clock), clock


def test_in_its_own_time_a_move_is_over_at_once_and_its_time_has_passed():
    clock = SimClock(is_real_time=False)
    ps, _ = supplies(rate=10.0, clock=clock)
    assert ps.put(ALL, np.array([1.0, 0.0, 3.0])).tolist() == [0, 2]
    assert ps.delivered().tolist() == [1.0, 0.0, 3.0]
    assert not ps.is_moving()
    assert clock() == pytest.approx(0.3), "the longest ramp: 3 at 10 a second"


def test_in_real_time_it_ramps():
    ps, clock = supplies(rate=10.0)
    ps.put(ALL, np.array([5.0, -5.0, 1.0]))
    assert ps.delivered().tolist() == [0.0, 0.0, 0.0]
    clock.now += 0.25
    assert ps.delivered() == pytest.approx([2.5, -2.5, 1.0])
    assert ps.is_moving()
    clock.now += 0.25
    assert ps.delivered() == pytest.approx([5.0, -5.0, 1.0])
    assert not ps.is_moving()


def test_a_lag_follows_an_exponential():
    ps, clock = supplies(rate=np.inf, lag_s=2.0)
    ps.put(ALL, np.ones(3))
    clock.now += 2.0
    assert ps.delivered() == pytest.approx(1.0 - np.exp(-1.0))
    clock.now += 100.0
    assert ps.delivered().tolist() == [1.0, 1.0, 1.0]
    assert not ps.is_moving()


@pytest.mark.parametrize("clock", [Clock(), SimClock(is_real_time=False)])
def test_a_stuck_supply_takes_setpoints_and_stays(clock):
    ps, _ = supplies(rate=np.inf, clock=clock)

    def wait():
        if clock.is_real_time:
            clock.now += 1.0

    ps.put(ALL, np.ones(3))
    wait()
    ps.stick("B")
    ps.put(ALL, np.full(3, 2.0))
    wait()
    assert ps.delivered().tolist() == [2.0, 1.0, 2.0]
    assert ps.setpoints[1] == 2.0
    ps.repair("B")
    wait()
    assert ps.delivered().tolist() == [2.0, 2.0, 2.0]


def test_a_tripped_supply_delivers_nothing():
    ps, clock = supplies(rate=np.inf)
    ps.put(ALL, np.ones(3))
    clock.now += 1.0
    ps.trip("C")
    ps.put(ALL, np.full(3, 2.0))
    clock.now += 1.0
    assert ps.delivered().tolist() == [2.0, 2.0, 0.0]
    with pytest.raises(UnknownName, match="no supply is called 'D'"):
        ps.trip("D")
