"""LOCO on the full EBS: two minutes; run with ``just test-long``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acctwin import plans
from acctwin.analysis.loco import Options
from acctwin.profiles import load_profile
from acctwin.workflows import loco

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

GRADIENT, GAIN = 1e-3, 0.02


def test_the_model_is_the_machine_and_the_machine_becomes_the_design(accelerator):
    spread = load_profile("ebs").imperfections
    quadrupoles, correctors = spread.magnets
    errors = replace(
        spread,
        magnets=(
            replace(quadrupoles, scale=GRADIENT),
            replace(correctors, scale=GAIN),
        ),
        bpms=replace(spread.bpms, gain=GAIN),
    )
    ebs = accelerator("ebs", 1, imperfections=errors)
    machine = ebs.machine
    ebs.run(plans.correct_orbit(machine, goal="zero"))
    place = {name: i for i, name in enumerate(ebs.model.layout.monitors)}
    measured = ebs.run(plans.measure_loco(machine))
    found = loco.fit(ebs, measured.uid, options=Options(iterations=3))
    rows = [place[name] for name in found.bpms]

    def beat(against: np.ndarray) -> np.ndarray:
        """Return the rms of the machine's beta over another, minus 1, both planes."""
        return (ebs.true("optics").beta[rows] / against - 1).std(axis=0)

    before, emittance = beat(found.design_beta_at_bpms), vertical(ebs)
    assert before.min() > 0.01
    assert beat(found.beta_at_bpms).max() < 0.002
    ebs.run(plans.apply_loco(machine, found))
    after = beat(found.design_beta_at_bpms)
    assert after.max() < 0.005
    assert vertical(ebs) < 0.2 * emittance


def vertical(ebs) -> float:
    """Return the true vertical emittance [m rad]."""
    return float(ebs.true("equilibrium").emittances[1])
