"""How long a LOCO fit takes: all quadrupoles, skews, BPMs and correctors of a ring.

    python benchmarks/loco.py [PROFILE]

Prints the CPU time of each part of an iteration, and of the same derivatives from
one-sided differences with the same engine (a few of them, times the number there
are), in one run.
"""

from __future__ import annotations

import os
import resource
import sys
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402

from acctwin.analysis.loco import (  # noqa: E402
    Gains,
    LocoData,
    Options,
    fit,
    kicked,
    normal_equations,
    parameters_of,
    shown,
)
from acctwin.analysis.loco.solvers import Reduced  # noqa: E402
from acctwin.model.at_engine import AtEngine  # noqa: E402
from acctwin.model.fitted import FittedModel  # noqa: E402
from acctwin.model.spec import spec_of  # noqa: E402
from acctwin.profiles import load_profile  # noqa: E402

NOISE_M, KICK_RAD, RF_HZ, SAMPLES = 1e-7, 20e-6, 100.0, 4


def show(what: str, value: object) -> None:
    """Print one figure."""
    print(f"  {what:52} {value}")


def timed(function, *args):
    """Return the result of a call, and its CPU time [s]."""
    begun = time.process_time()
    found = function(*args)
    return found, time.process_time() - begun


def measured(model, monitors, actuators, true) -> LocoData:
    """Return a response with errors of magnets, gains and noise."""
    rng = np.random.default_rng(1)
    start, ideal = model.start, Gains.ideal(len(monitors), len(actuators))
    movable = np.array([name != "rf" for name in actuators])
    kick = ideal.kick + np.where(movable, rng.normal(0, 0.02, len(movable)), 0.0)
    roll = np.where(movable, rng.normal(0, 1e-3, len(movable)), 0.0)
    bpm = ideal.bpm + rng.normal(0, 0.02, ideal.bpm.shape)
    model.set(true)
    matrix = shown(bpm, kicked(model.linear(), Gains(bpm, kick, roll, ideal.energy)))
    model.set(start)
    row = np.full(2 * len(monitors), NOISE_M)
    column = np.where(movable, 1 / KICK_RAD, 1 / RF_HZ)
    matrix += rng.normal(0, 1, matrix.shape) * np.outer(row, column)
    good = np.ones(matrix.shape, dtype=bool)
    return LocoData(tuple(monitors), tuple(actuators), matrix, row, column, good)


def iteration(engine, model, data, actuators) -> None:
    """Time the parts of an iteration, and plain differences."""
    parameters = parameters_of(data, model.strengths, Options().blocks)
    show("parameters, data", f"{parameters.count}, {data.matrix.size}")
    start = model.start
    model.set(start * (1 + 1e-12))
    linear, for_linear = timed(model.linear)
    factors, for_factors = timed(model.factors)
    gains = Gains.ideal(len(data.monitors), len(actuators))
    normal, for_normal = timed(
        normal_equations, data, linear, factors, gains, parameters
    )
    matrix = normal.matrix + np.diag(1 / parameters.prior**2)
    count = len(model.strengths)
    prior = parameters.prior[count:]
    reduced = Reduced(matrix, normal.gradient, count, Options().cut, prior)
    _, for_step = timed(reduced.step)
    show("response [s]", f"{for_linear:.2f}")
    show("derivatives, as factors [s]", f"{for_factors:.2f}")
    show("normal equations [s]", f"{for_normal:.2f}")
    show("solution [s]", f"{for_step:.2f}")
    total = for_linear + for_factors + for_normal + for_step
    show("one iteration [s]", f"{total:.2f}")
    show("standard errors, once [s]", f"{timed(reduced.sigma)[1]:.2f}")
    knob = np.array([engine.layout.knobs.index(model.strengths[0])])
    differences = 0.0
    for sample in range(SAMPLES):
        engine.set(knob, start[:1] * (1 + 1e-4 * (sample + 1)))
        differences += timed(engine.orbit_response, actuators)[1] / SAMPLES
    all_of_them = differences * len(model.strengths)
    show("derivatives by differences, same engine [s]", f"{all_of_them:.1f}")
    show("ratio", f"{all_of_them / for_factors:.0f}")
    model.set(start)


def main(name: str) -> None:
    """Measure one ring."""
    print(name)
    profile = load_profile(name)
    families, engine = profile.families(), AtEngine(spec_of(profile))
    quads = list(families["quadrupoles"])
    skews = list(families.get("skew_quadrupoles", ()))
    monitors = list(engine.layout.monitors)
    actuators = [*families["hcm"], *families["vcm"]]
    actuators += ["rf"] if "rf" in engine.layout.knobs else []
    model = FittedModel(engine, monitors, actuators, [[n] for n in quads + skews])
    rng, true = np.random.default_rng(2), model.start
    true[: len(quads)] *= 1 + rng.normal(0, 1e-3, len(quads))
    design = engine.optics().beta.copy()
    data = measured(model, monitors, actuators, true)
    iteration(engine, model, data, actuators)
    begun = time.perf_counter()
    found = fit(data, model, Options())
    show("whole fit, wall [s]", f"{time.perf_counter() - begun:.1f}")
    show("iterations, chi2/dof", f"{len(found.history)}, {found.chi2_dof:.3f}")
    fitted = engine.optics().beta.copy()
    model.set(true)
    machine = engine.optics().beta
    for what, beta in (("design", design), ("fit", fitted)):
        beat = 100 * (beta / machine - 1).std(axis=0)
        show(f"beta beat of machine and {what} [%]", f"{beat[0]:.3f} {beat[1]:.3f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    show("memory, at most [MB]", f"{peak:.0f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ebs")
