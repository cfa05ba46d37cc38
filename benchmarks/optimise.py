"""How much generators gain for how many evaluations, and what an evaluation costs.

    python benchmarks/optimise.py [SEEDS]

The vertical emittance of soleil, made small with the eight combinations of skew
quadrupoles that the design model chooses; its readings have 1 % noise. One machine for
each seed. Prints a table of medians, with random search as the yardstick; then the time
of an evaluation that is cheap itself, the orbit of fodo, bare and as a plan.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402

import acctwin  # noqa: E402
from acctwin import plans  # noqa: E402
from acctwin.analysis.optimisation import OptimisationResult  # noqa: E402
from acctwin.model.process import EngineProcess  # noqa: E402
from acctwin.model.spec import spec_of  # noqa: E402
from acctwin.plans.optimisation import problems  # noqa: E402
from acctwin.profiles import load_profile  # noqa: E402

EVALUATIONS = {"rcds": 100, "neldermead": 100, "bayesian": 60, "random": 100}
MODES, NOISE = 8, 8e-14
CHEAP = 100


def search(session, generator: str, seed: int) -> OptimisationResult:
    """Return an optimisation from skew quadrupoles at 0."""
    machine = session.machine
    session.run(plans.set_values(machine, "skew_quadrupoles", 0.0))
    problem = problems.vertical_emittance(machine, modes=MODES, noise=NOISE)
    plan = plans.optimise(
        machine, problem, generator, evaluations=EVALUATIONS[generator], seed=seed
    )
    return session.run(plan)


def needed(result: OptimisationResult, value: float) -> float:
    """Return after how many evaluations a value was reached; infinity: never."""
    reached = np.flatnonzero(result.history <= value)
    return float(reached[0]) + 1 if len(reached) else np.inf


def compare(seeds: int) -> None:
    """Print what each generator gains."""
    found: dict[str, list[OptimisationResult]] = {name: [] for name in EVALUATIONS}
    for seed in range(1, seeds + 1):
        with acctwin.open_session(
            "soleil", seed=seed, catalog="temporary", progress=False
        ) as session:
            session.run(plans.correct_orbit(session.machine, goal="zero"))
            for name, results in found.items():
                results.append(search(session, name, seed))
                print(f"seed {seed}: {results[-1].summary()}", file=sys.stderr)
    print(
        "| generator | evaluations | vertical emittance [pm] | start over end |", end=""
    )
    print(" evaluations to what random search found |")
    print("|---|---|---|---|---|")
    random = [result.values[-1, 0] for result in found["random"]]
    for name, results in found.items():
        first = np.array([result.values[0, 0] for result in results])
        last = np.array([result.values[-1, 0] for result in results])
        counts = [needed(*pair) for pair in zip(results, random, strict=True)]
        print(
            f"| `{name}` | {EVALUATIONS[name]} | {1e12 * np.median(first):.2f} → "
            f"{1e12 * np.median(last):.2f} | {np.median(first / last):.2f} "
            f"({(first / last).min():.2f} to {(first / last).max():.2f}) | "
            f"{np.median(counts):.0f} |"
        )


def cost() -> None:
    """Print what an evaluation costs where the reading is cheap."""
    profile = load_profile("fodo")
    rng = np.random.default_rng(1)
    engine = EngineProcess(spec_of(profile))
    knobs = [name for name in engine.layout.knobs if name.endswith("CM")]
    begun = time.perf_counter()
    for _ in range(CHEAP):
        engine.set(knobs, rng.uniform(-1e-5, 1e-5, len(knobs)))
        engine.orbit()
    bare = (time.perf_counter() - begun) / CHEAP
    engine.close()
    print(f"\nAn evaluation of the orbit of fodo: bare loop {1e3 * bare:.2f} ms")
    with acctwin.open_session(
        "fodo", seed=1, catalog="temporary", progress=False
    ) as session:
        machine = session.machine
        for name in ("random", "rcds", "neldermead"):
            problem = problems.orbit(machine, reach=1e-5)
            session.run(plans.optimise(machine, problem, name, evaluations=3, seed=1))
            begun = time.perf_counter()
            plan = plans.optimise(machine, problem, name, evaluations=CHEAP, seed=1)
            session.run(plan)
            each = (time.perf_counter() - begun) / CHEAP
            print(f"plan, {name}, data: {1e3 * each:.2f} ms, {each / bare:.1f} times")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    cost()
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
