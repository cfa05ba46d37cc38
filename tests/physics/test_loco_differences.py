"""Derivatives of a fitted model by differences, against the engine's formula."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acctwin import plans
from acctwin.analysis.loco import Gains, LocoData, Options, fit, kicked, shown
from acctwin.errors import PlanError
from acctwin.model.at_engine import AtEngine
from acctwin.model.fitted import FittedModel
from acctwin.model.spec import spec_of
from acctwin.profiles import load_profile
from acctwin.workflows import loco

pytestmark = pytest.mark.slow

Make = Callable[..., AtEngine]


def fodo(make_engine: Make) -> AtEngine:
    """Return a ring without RF, on axis."""
    return make_engine("fodo", "hkick", "vkick", "b1", flat=True)


def names(engine: AtEngine, *starts: str) -> list[str]:
    return [knob for knob in engine.layout.knobs if knob.startswith(starts)]


def response_of(model: FittedModel, engine: AtEngine, actuators: list[str]) -> LocoData:
    """Return what perfect BPMs of 0.1 um would show of a model."""
    linear = model.linear()
    gains = Gains.ideal(len(engine.layout.monitors), len(actuators))
    matrix = shown(gains.bpm, kicked(linear, gains))
    return LocoData(
        tuple(engine.layout.monitors),
        tuple(actuators),
        matrix,
        np.full(len(matrix), 1e-7),
        np.full(len(actuators), 1e4),
        np.ones(matrix.shape, dtype=bool),
    )


def test_differences_agree_with_the_formula(make_engine: Make) -> None:
    engine = fodo(make_engine)
    actuators = names(engine, "hkick", "vkick")
    groups = [("b1 QF 0",), ("b1 QD 3", "b1 QD 4"), ("b1 QF 5",)]
    made = {
        steps: FittedModel(
            engine, engine.layout.monitors, actuators, groups, np.array(steps)
        )
        for steps in [(0.0, 0.0, 0.0), (1e-4, 1e-4, 1e-4), (0.0, 1e-4, 0.0)]
    }
    start = engine.values().copy()
    formula, differences, mixed = (model.factors().dense() for model in made.values())
    size = np.abs(formula).max()
    assert np.abs(differences - formula).max() < 1e-4 * size
    assert np.abs(mixed - formula).max() < 1e-4 * size
    assert np.array_equal(mixed[:, :, [0, 2]], formula[:, :, [0, 2]])
    assert np.array_equal(engine.values(), start)


def test_a_fit_by_differences_finds_the_same(make_engine: Make) -> None:
    engine = fodo(make_engine)
    actuators = names(engine, "hkick", "vkick")
    groups = [(name,) for name in names(engine, "b1")[::8]]
    model = FittedModel(engine, engine.layout.monitors, actuators, groups)
    design = model.start
    true = design * (1 + np.array([1e-3, -2e-3, 1.5e-3, 0.5e-3]))
    model.set(true)
    measured = response_of(model, engine, actuators)
    for steps in (None, np.full(4, 1e-4)):
        model.set(design)
        tried = FittedModel(engine, engine.layout.monitors, actuators, groups, steps)
        found = fit(measured, tried, Options(blocks=(), iterations=4))
        assert found.values == pytest.approx(true, rel=1e-6)
    model.set(design)


def test_sextupoles_are_fitted_where_the_beam_is_off_axis() -> None:
    engine = AtEngine(spec_of(load_profile("fodo")))
    sextupoles = [name for name in engine.layout.knobs if "/SF" in name][:3]
    actuators = [name for name in engine.layout.knobs if name.endswith(("HCM", "VCM"))]
    engine.set(["C02/HCM", "C07/HCM"], np.array([3e-4, -2e-4]))
    groups, steps = [(name,) for name in sextupoles], np.full(3, 0.05)
    model = FittedModel(engine, engine.layout.monitors, actuators, groups, steps)
    design = model.start
    true = design * np.array([1.05, 0.97, 1.02])
    model.set(true)
    measured = response_of(model, engine, actuators)
    model.set(design)
    found = fit(measured, model, Options(blocks=(), iterations=8, tolerance=1e-8))
    assert found.values == pytest.approx(true, rel=1e-4)


def test_options_are_kept_and_what_cannot_be_fitted_is_refused(accelerator) -> None:
    machine = accelerator("fodo", None)
    measured = machine.run(plans.measure_loco(machine.machine, readings=1))
    found = loco.fit(
        machine,
        measured.uid,
        families=["QF", "SF"],
        options=Options(dispersion_weight=3.0),
    )
    assert set(found.kinds) == {"b1", "b2"}
    stored = machine.run(found.model_version).start["plan_args"]
    assert stored["dispersion_weight"] == 3.0
    with pytest.raises(PlanError, match="correctors: a fit finds their gains"):
        loco.fit(machine, measured.uid, families=["hcm"])
    with pytest.raises(PlanError, match="not a family of magnets"):
        loco.fit(machine, measured.uid, families=["bpms"])
