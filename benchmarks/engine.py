"""The engine against pyAT as it is normally called: times and differences.

Run it with ``python benchmarks/engine.py``. CPU times of one process with one BLAS
thread; only ratios within one run mean anything. The ring is hmba x 32 in 6D with
radiation: 3872 elements, 320 BPMs, 288 horizontal and 288 vertical correctors, 512
quadrupoles. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.model.at_engine import AtEngine
from acctwin.model.engine import EngineSpec, Knob, Monitor
from acctwin.profiles.profile import ElementRef, LatticeSource

CELLS = 32
CORRECTORS = ("SD1A", "SF2A", "SD1B", "SD1D", "SF2E", "SD1E", "SH1A", "SH2B", "SH3E")
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
REPEATS = 9
FD_STEP_RAD = 1e-6
FD_COLUMNS = 6


@dataclass(frozen=True)
class Line:
    """One comparison: how long, how much quicker, how different."""

    what: str
    against: str
    ours_s: float
    theirs_s: float
    wanted: float
    difference: float
    allowed: float
    unit: str

    @property
    def ratio(self) -> float:
        """How much quicker ours is."""
        return self.theirs_s / self.ours_s

    @property
    def is_met(self) -> bool:
        """Whether it is quick enough and right."""
        return self.ratio >= self.wanted and self.difference <= self.allowed


def hmba_spec() -> EngineSpec:
    """Return the ring with a knob for every corrector."""
    knobs = [
        Knob(f"{family}/{cell}/{plane}", ElementRef(family, cell), component)
        for plane, component in (("H", "hkick"), ("V", "vkick"))
        for cell in range(CELLS)
        for family in CORRECTORS
    ]
    monitors = [
        Monitor(f"BPM_{i:02d}/{cell}", ElementRef(f"BPM_{i:02d}", cell))
        for cell in range(CELLS)
        for i in range(1, 11)
    ]
    source = LatticeSource("at:hmba.mat", repeat=CELLS)
    return EngineSpec(source, tuple(knobs), tuple(monitors))


def cpu(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU time of a call [s], and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def median(times: Sequence[float]) -> float:
    """Return the middle one of some times."""
    return float(np.median(times))


class Reference:
    """pyAT as it is normally called, on a copy of the engine's lattice."""

    def __init__(self, engine: AtEngine) -> None:
        self.ring = engine.ring_copy()
        self.monitors = [
            i for i, e in enumerate(self.ring) if e.FamName.startswith("BPM_")
        ]
        places = {}
        for i, element in enumerate(self.ring):
            places.setdefault(element.FamName, []).append(i)
        self.correctors = [
            places[family][cell] for cell in range(CELLS) for family in CORRECTORS
        ]
        self.start = self.ring.find_orbit6()[0]

    def kick(self, knob: int, angle: float) -> None:
        """Set a corrector [rad]."""
        count = len(self.correctors)
        element = self.ring[self.correctors[knob % count]]
        element.KickAngle[knob // count] = angle

    def orbit(self, **options: Any) -> np.ndarray:
        """Return x, y at the BPMs [m], (n_bpms, 2)."""
        _, orbit = self.ring.find_orbit6(refpts=self.monitors, **options)
        return orbit[:, [0, 2]]

    def column(self, knob: int) -> np.ndarray:
        """Return one column of the response matrix, by two orbits [m/rad]."""
        sides = []
        for sign in (1, -1):
            self.kick(knob, sign * FD_STEP_RAD)
            sides.append(self.orbit(guess=self.start))
        self.kick(knob, 0.0)
        return ((sides[0] - sides[1]) / (2 * FD_STEP_RAD)).T.ravel()


def compare_orbit(engine: AtEngine, reference: Reference) -> list[Line]:
    """Move one corrector by 10 µrad and read all BPMs."""
    ours, cold, near, worst = [], [], [], 0.0
    rng = np.random.default_rng(1)
    for knob in rng.integers(0, len(engine.layout.knobs) - 1, REPEATS).tolist():

        def update(knob: int = knob) -> np.ndarray:
            engine.set(np.array([knob]), np.array([1e-5]))
            return engine.orbit()

        spent, orbit = cpu(update)
        ours.append(spent)
        reference.kick(knob, 1e-5)
        spent, expected = cpu(reference.orbit)
        cold.append(spent)
        near.append(cpu(lambda: reference.orbit(guess=reference.start))[0])
        worst = max(worst, float(np.abs(orbit - expected).max()))
        reference.kick(knob, 0.0)
        engine.set(np.array([knob]), np.array([0.0]))
        engine.orbit()
    t = median(ours)
    what = "setpoint -> orbit at 320 BPMs"
    return [
        Line(what, "find_orbit6", t, median(cold), 20, worst, 1e-9, "m"),
        Line(what, "find_orbit6(guess=)", t, median(near), 8, worst, 1e-9, "m"),
    ]


def compare_response(engine: AtEngine, reference: Reference) -> Line:
    """Compute the whole matrix afresh; the reference from a few of its columns."""

    def fresh() -> np.ndarray:
        return engine.orbit_response()

    first = np.array([0])
    ours = []
    for i in range(3):
        engine.set(first, np.array([1e-9 * (i + 1)]))
        engine.orbit()
        spent, _ = cpu(fresh)
        ours.append(spent)
    engine.set(first, np.array([0.0]))
    engine.orbit()
    spent, matrix = cpu(fresh)
    ours.append(spent)
    chosen = np.linspace(0, matrix.shape[1] - 1, FD_COLUMNS).astype(int)
    spent, columns = cpu(lambda: np.array([reference.column(k) for k in chosen]).T)
    theirs = spent / FD_COLUMNS * matrix.shape[1]
    error = np.linalg.norm(matrix[:, chosen] - columns) / np.linalg.norm(columns)
    what = f"orbit response {matrix.shape[0]} x {matrix.shape[1]}"
    against = f"differences of find_orbit6(guess=), {FD_COLUMNS} columns scaled"
    return Line(what, against, median(ours), theirs, 1000, float(error), 1e-6, "rel")


def compare_optics(engine: AtEngine, reference: Reference) -> Line:
    """Compute Twiss everywhere, maps and all, after a change of the machine."""
    ours = []
    for i in range(3):
        engine.set(np.array([0]), np.array([1e-9 * (i % 2)]))
        engine.orbit()
        spent, optics = cpu(lambda: engine.optics(everywhere=True))
        ours.append(spent)
    places, theirs = range(len(reference.ring) + 1), []
    for _ in range(3):
        spent, (_, _, expected) = cpu(lambda: reference.ring.linopt6(refpts=places))
        theirs.append(spent)
    error = float(np.abs(optics.beta / expected.beta - 1).max())
    what = f"Twiss at {len(optics.s)} places"
    return Line(what, "linopt6", median(ours), median(theirs), 10, error, 1e-5, "rel")


def main() -> int:
    """Print a table; return 1 when a target is missed."""
    engine = AtEngine(hmba_spec())
    engine.orbit_response()
    engine.set(np.array([0]), np.array([1e-6]))
    engine.orbit()
    engine.set(np.array([0]), np.array([0.0]))
    engine.orbit()
    reference = Reference(engine)
    lines = [
        *compare_orbit(engine, reference),
        compare_response(engine, reference),
        compare_optics(engine, reference),
    ]
    print(f"{'':3} {'':29} {'acctwin':>10} {'pyAT':>12} {'ratio':>8} {'wanted':>7}")
    for line in lines:
        mark = "ok " if line.is_met else "BAD"
        print(
            f"{mark} {line.what:29} {1e3 * line.ours_s:7.1f} ms "
            f"{1e3 * line.theirs_s:9.0f} ms {line.ratio:8.0f} {line.wanted:7.0f}  "
            f"difference {line.difference:.1e} {line.unit} "
            f"(at most {line.allowed:.0e}); pyAT: {line.against}"
        )
    return 0 if all(line.is_met for line in lines) else 1


def pinned_environment() -> dict[str, str] | None:
    """Return an environment with one BLAS thread; None if this is one."""
    pinned = {**os.environ, **dict.fromkeys(BLAS_THREADS, "1")}
    return None if pinned == dict(os.environ) else pinned


if __name__ == "__main__":
    environment = pinned_environment()
    if environment is not None:
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    sys.exit(main())
