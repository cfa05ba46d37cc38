"""The machine that the physics tests run on does what it says."""

import numpy as np

from acctwin import plans
from acctwin.plans.orbits import orbit


def test_plans_run_and_what_they_moved_can_be_reset(accelerator):
    thomx = accelerator("thomx", seed=1)
    before = thomx.run(plans.measure_orbit(thomx.machine))
    assert np.array_equal(orbit.analyse(thomx.last).x, before.x)
    thomx.run(plans.step(thomx.machine, "hcm", 1e-4))
    moved = thomx.run(plans.measure_orbit(thomx.machine))
    assert np.abs(moved.x - before.x).max() > 1e-4
    thomx.reset()
    after = thomx.run(plans.measure_orbit(thomx.machine))
    assert np.allclose(after.x, before.x, atol=2e-5)
    assert thomx.run(thomx.last.uid) is thomx.last
    assert np.allclose(
        thomx.true_lattice().get_tune()[:2] % 1, thomx.true("tunes")[:2] % 1
    )
