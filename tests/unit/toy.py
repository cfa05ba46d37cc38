"""A machine small enough to know by heart: a linear engine behind real devices."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from acctwin.analysis.machine_state import FamilyState, MachineState
from acctwin.backends.build import build_machine
from acctwin.backends.link import Links
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.plant import SimPlant
from acctwin.calibration.curves import Linear
from acctwin.data.references import Promotion
from acctwin.data.runs import Run
from acctwin.defaults import Defaults
from acctwin.devices.ring import Machine
from acctwin.errors import BeamLost, UnknownName
from acctwin.model.engine import Layout
from acctwin.model.imperfections import Errors, draw
from acctwin.profiles.imperfections import BpmSpread, Imperfections
from acctwin.profiles.profile import (
    BpmRow,
    ElementRef,
    Feed,
    LatticeSource,
    MagnetRow,
    Origin,
    Profile,
    RfRow,
    SupplyRow,
)

N_BPM, N_COR = 8, 4
LIMIT = 1e-3
DELTA = 2e-5
RF_HZ = 500e6
ORIGIN = Origin("toy.csv", 1)


def toy_profile(**changes: Any) -> Profile:
    """Return a profile of 8 BPMs, 4 + 4 correctors and an RF."""

    def corrector(i: int, plane: str) -> MagnetRow:
        return MagnetRow(
            name=f"T/C{i}-{plane.upper()}",
            families=(f"{plane}cm", f"COR{plane.upper()}"),
            element=ElementRef("COR", i),
            component="hkick" if plane == "h" else "vkick",
            unit="rad",
            low=-LIMIT,
            high=LIMIT,
            tolerance=1e-9,
            delta=DELTA,
            status=True,
            origin=ORIGIN,
        )

    values: dict[str, Any] = {
        "name": "toy",
        "description": "for tests",
        "path": Path("toy.yaml"),
        "operational_mode": "test",
        "lattice": LatticeSource("code:toy"),
        "magnets": tuple(corrector(i, p) for p in "hv" for i in range(N_COR)),
        "bpms": tuple(
            BpmRow(f"T/B{i}", ("bpms",), ElementRef("BPM", i), True, ORIGIN)
            for i in range(N_BPM)
        ),
        "rf": RfRow("T/RF", RF_HZ - 1e4, RF_HZ + 1e4, 0.1, 100.0, ORIGIN),
        "beam_current_a": 0.2,
        "imperfections": Imperfections(bpms=BpmSpread(noise=1e-6)),
        "defaults": Defaults(),
        "hash": "0" * 64,
    }
    return Profile(**(values | changes))


#: C0-H and C0-V are made by two coils, C1-H has a supply of its own, C2-H and C3-H
#: are in series and not quite alike, the other vertical ones have no supply.
FEEDS = {
    "T/C0-H": (Feed("PS0a", 1e-4), Feed("PS0b", 1e-4)),
    "T/C0-V": (Feed("PS0a", 1e-4), Feed("PS0b", -1e-4)),
    "T/C1-H": (Feed("PS1", 2e-4),),
    "T/C2-H": (Feed("PS23", 1e-4),),
    "T/C3-H": (Feed("PS23", 1.01e-4),),
}


def powered_profile() -> Profile:
    """Return the toy's profile with supplies behind some correctors."""
    plain = toy_profile()
    magnets = tuple(
        replace(row, feeds=FEEDS.get(row.name, ())) for row in plain.magnets
    )
    supplies = tuple(
        SupplyRow(
            name,
            low=-10.0,
            high=10.0,
            tolerance=1e-6,
            ramp=5.0,
            curve=Linear(1.0, 0.0, -10.0, 10.0),
            status=True,
            origin=ORIGIN,
        )
        for name in ("PS0a", "PS0b", "PS1", "PS23")
    )
    return replace(plain, magnets=magnets, supplies=supplies, energy_ev=1e9)


@dataclass
class ToyEngine:
    """Orbit = error + R·knobs; loses the beam when x exceeds ``aperture``."""

    error: np.ndarray = field(default_factory=lambda: toy_error())
    matrix: np.ndarray = field(default_factory=lambda: toy_matrix())
    aperture: float = np.inf
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = tuple(f"T/C{i}-{p}" for p in "HV" for i in range(N_COR))
        values = np.append(np.zeros(2 * N_COR), RF_HZ)
        s = np.append(np.tile(np.arange(N_COR) * 2.0 + 1.0, 2), 0.0)
        self.layout = Layout(
            (*names, "rf"),
            tuple(f"T/B{i}" for i in range(N_BPM)),
            s,
            np.arange(N_BPM) * 1.0,
            values,
            8.0,
            1e9,
            1.0,
            2000.0,
            RF_HZ,
            100,
            "f" * 64,
        )
        self.knobs = values.copy()

    def submit(self, method: str, *args: Any) -> Future[Any]:
        """Answer at once, as the engine process would later."""
        future: Future[Any] = Future()
        self.calls.append(method)
        try:
            future.set_result(getattr(self, method)(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def set(self, knobs: np.ndarray, values: np.ndarray) -> int:
        self.knobs[knobs] = values
        return 0

    def orbit(self) -> np.ndarray:
        change = self.knobs - self.layout.values
        flat = self.error + self.matrix @ change
        if np.abs(flat).max() > self.aperture:
            raise BeamLost("no closed orbit: hit the toy's aperture")
        return flat.reshape(2, N_BPM).T

    def tunes(self) -> np.ndarray:
        return np.array([5.2, 3.3, 0.01])

    def orbit_response(self, knobs: list[str]) -> np.ndarray:
        return self.matrix[:, [self.layout.knobs.index(name) for name in knobs]]

    def close(self) -> None:
        """Nothing to free."""


def toy_matrix() -> np.ndarray:
    """Return d(x then y)/d(knob), (16, 9): rotations of two tunes, and dispersion."""
    s_bpm = np.arange(N_BPM)[:, None] * 1.0
    s_cor = (np.arange(N_COR) * 2.0 + 1.0)[None, :]
    blocks = [3.0 * np.cos(np.abs(s_bpm - s_cor) * k - 0.7) for k in (0.9, 0.6)]
    matrix = np.zeros((2 * N_BPM, 2 * N_COR + 1))
    matrix[:N_BPM, :N_COR], matrix[N_BPM:, N_COR : 2 * N_COR] = blocks
    matrix[:N_BPM, -1] = -1e-8 * (1.0 + 0.1 * np.arange(N_BPM))
    return matrix


def toy_error() -> np.ndarray:
    """Return an orbit that the toy's correctors can cancel exactly."""
    kicks = np.array([1, -2, 3, -1, 2, 1, -1, 2, 0]) * 1e-5
    return toy_matrix() @ kicks


def toy_machine(
    engine: ToyEngine | None = None, profile: Profile | None = None, **options: Any
) -> tuple[Machine, SimMachine]:
    """Return devices on a toy engine."""
    engine, profile = engine or ToyEngine(), profile or toy_profile()
    seed = options.get("seed")
    errors: Errors = draw(profile, seed)
    sim = SimMachine(engine, engine.layout, errors, profile, seed)
    links = Links(SimPlant(sim, profile.members))
    design = engine_design(engine)
    machine = build_machine(profile, links, design, options.get("runs"))
    return machine, sim


def engine_design(engine: ToyEngine) -> Any:
    """Return the toy as a design model without its error."""
    from acctwin.model.design import Design

    return Design(ToyEngine(np.zeros_like(engine.error), engine.matrix))


def toy_state(machine: Machine, size: float = 1e-5) -> MachineState:
    """Return a state with every corrector at ``size``, and the RF 10 Hz up."""
    families = [
        FamilyState(
            family.name,
            family.names,
            np.full(len(family), size),
            np.full(len(family), size),
            "rad",
        )
        for family in (machine.hcm, machine.vcm)
    ]
    rf = np.array([RF_HZ + 10.0])
    return MachineState(
        "toy", (*families, FamilyState("rf", ("rf",), rf, rf, "Hz")), 0.0, uid="saved"
    )


class ToyRuns:
    """A source of a few runs."""

    def __init__(self, *runs: Run) -> None:
        self.runs = {run.uid: run for run in runs}

    def run(self, key: str | int) -> Run:
        """Return a run by its uid."""
        if key not in self.runs:
            raise UnknownName("run", str(key), self.runs)
        return self.runs[str(key)]


@dataclass
class ToyReferences:
    """References that are simply told what they are."""

    changes: list[Promotion] = field(default_factory=list)
    operational_mode: str = "test"
    is_frozen: bool = False

    def history(self, kind: str) -> list[Promotion]:
        """Return the changes of a kind."""
        return [change for change in self.changes if change.kind == kind]

    def current(self, kind: str) -> str | None:
        """Return the newest one's run."""
        history = self.history(kind)
        return history[-1].uid or None if history else None

    def add(self, kind: str, uid: str, action: Any = "promote") -> None:
        """Add a change."""
        self.changes.append(Promotion(uid, kind, action, 0.0, "me", "", "promotion"))


def toy_run(plan_name: str, uid: str = "run", **changes: Any) -> Run:
    """Return a run of the toy machine without events."""
    start = {
        "uid": uid,
        "plan_name": plan_name,
        "profile": "toy",
        "operational_mode": "test",
        "time": 0.0,
    }
    return Run(uid, start | changes, {"exit_status": "success"}, {})
