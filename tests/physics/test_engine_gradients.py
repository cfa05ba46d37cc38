"""Derivatives of the response to gradients, and fits with them, on pyAT's rings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acctwin.analysis.loco import Gains, LocoData, Options, fit, kicked, shown
from acctwin.errors import PlanError
from acctwin.model.at_engine import AtEngine
from acctwin.model.fitted import FittedModel

Make = Callable[..., AtEngine]

OFF_AXIS = 0.03


def names(engine: AtEngine, *starts: str) -> list[str]:
    return [knob for knob in engine.layout.knobs if knob.startswith(starts)]


def differences(engine: AtEngine, gradient: str, actuators: list[str]) -> np.ndarray:
    """Central differences of the engine's exact response."""
    index = engine.layout.knobs.index(gradient)
    start = engine.values()[index]
    step, sides = 1e-4 * (abs(start) or 1.0), []
    for sign in (1, -1):
        engine.set([gradient], np.array([start + sign * step]))
        sides.append(engine.orbit_response(actuators))
    engine.set([gradient], np.array([start]))
    return (sides[0] - sides[1]) / (2 * step)


@pytest.mark.parametrize("name", ["hmba", "soleil", "fodo"])
@pytest.mark.parametrize("flat", [True, False], ids=["4D", "6D"])
def test_derivatives_on_axis_are_those_of_differences(
    make_engine: Make, name: str, flat: bool
) -> None:
    engine = make_engine(name, flat=flat)
    actuators = [*names(engine, "hkick")[::7], *names(engine, "vkick")[::7]]
    actuators += [] if flat else ["rf"]
    gradients = names(engine, "b1")[::5][:6]
    factors = engine.gradient_factors(engine.layout.monitors, actuators, gradients)
    assert factors.left.shape[2] <= 5
    found = factors.dense()
    # Radiation moves the orbit of the others, so that quadrupoles move it too.
    allowed = 1e-4 if flat or name == "hmba" else OFF_AXIS
    for i, gradient in enumerate(gradients):
        expected = differences(engine, gradient, actuators)
        gap = np.linalg.norm(found[:, :, i] - expected, axis=0)
        size = np.linalg.norm(expected, axis=0)
        size = size if allowed < OFF_AXIS else np.sqrt((size**2).mean())
        assert (gap / size).max() < allowed


def test_only_gradients_change_the_optics_to_first_order(make_engine: Make) -> None:
    engine = make_engine("fodo")
    with pytest.raises(PlanError, match="only 'b1' and 'a1' change the optics"):
        engine.gradient_factors(["BPM 0"], ["hkick HCM 0"], ["vkick VCM 0"])


def test_a_turned_corrector_kicks_the_other_plane(make_engine: Make) -> None:
    engine = make_engine("soleil", misaligned=True)
    horizontal, vertical = "hkick COR 3", "vkick COR 3"  # of the same element
    found = engine.crossed_response([horizontal, vertical, "rf"])
    direct = engine.orbit_response([horizontal, vertical])
    assert found[:, 0] == pytest.approx(direct[:, 1], abs=1e-4)
    assert found[:, 1] == pytest.approx(-direct[:, 0], abs=1e-4)
    assert not found[:, 2].any()


def test_a_fit_recovers_a_machine_with_errors(make_engine: Make) -> None:
    """One seed of the benchmark with errors of magnets and BPMs, on a whole ring."""
    engine, rng = make_engine("soleil"), np.random.default_rng(4)
    monitors = list(engine.layout.monitors)
    actuators = [*names(engine, "hkick")[::2], *names(engine, "vkick")[::2], "rf"]
    groups = [[name] for name in names(engine, "b1")]
    model = FittedModel(engine, monitors, actuators, groups)
    start, design = model.start, engine.optics().beta.copy()
    true = start * (1 + rng.normal(0, 1e-3, len(start)))
    gains = Gains.ideal(len(monitors), len(actuators))
    gains.bpm[:, [0, 1], [0, 1]] += rng.normal(0, 0.02, (len(monitors), 2))
    model.set(true)
    beta = engine.optics().beta.copy()
    row = np.full(2 * len(monitors), 2e-7)
    column = np.full(len(actuators), 1 / 20e-6)
    column[-1] = 1 / 100.0
    matrix = shown(gains.bpm, kicked(model.linear(), gains))
    matrix += rng.normal(0, 1, matrix.shape) * np.outer(row, column)
    good = np.ones(matrix.shape, dtype=bool)
    data = LocoData(tuple(monitors), tuple(actuators), matrix, row, column, good)
    model.set(start)
    found = fit(data, model, Options(blocks=("bpm_gain",)))
    assert found.converged
    assert len(found.history) <= 4
    assert 0.95 < found.chi2_dof < 1.05
    before = (beta / design - 1).std(axis=0)
    after = (engine.optics().beta / beta - 1).std(axis=0)
    assert before.min() > 3e-3
    assert after.max() < 5e-4
    pulls = (found.gains.bpm - gains.bpm) / np.where(
        found.gains_sigma.bpm > 0, found.gains_sigma.bpm, np.inf
    )
    assert 0.8 < pulls[:, [0, 1], [0, 1]].std() < 1.2
    strengths = (found.values - true) / found.sigma
    assert 0.6 < strengths.std() < 1.5
