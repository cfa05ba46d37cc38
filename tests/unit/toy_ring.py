"""The toy as a ring with optics: quadrupoles, sextupoles, skews, RF, all linear.

A quadrupole kicks by how far the beam is off its centre, the tunes follow the
quadrupoles, the chromaticity follows the sextupoles, and the RF moves the energy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from toy import (
    N_BPM,
    N_COR,
    ORIGIN,
    RF_HZ,
    ToyEngine,
    toy_error,
    toy_matrix,
    toy_profile,
)

from acctwin.analysis.loco.gains import Linear
from acctwin.analysis.optics import LocalOptics
from acctwin.backends.build import build_machine
from acctwin.backends.link import Links
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.plant import SimPlant
from acctwin.devices.ring import Machine
from acctwin.model.imperfections import draw
from acctwin.names import Component
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.profile import (
    Diagnostics,
    ElementRef,
    KickRow,
    MagnetRow,
    PingerRow,
    Profile,
    RfRow,
)

#: α_c − 1/γ² of the toy.
SLIP = 0.1
TUNES = np.array([5.2, 3.3, 0.01])
CHROMATICITY = np.array([1.0, 2.0])
LENGTH = 0.5
#: Of each quadrupole: the BPM beside it, and where its magnetic centre is [m].
BESIDE = {"T/QF0": 1, "T/QD0": 3, "T/QF1": 5, "T/QD1": 7}
CENTRES = np.array([[50e-6, -30e-6], [-80e-6, 20e-6], [40e-6, 60e-6], [-20e-6, -70e-6]])
#: Strength, limits' distance from it, and step of each kind of magnet.
KINDS: dict[str, tuple[Component, str, float, float, float]] = {
    "QF": ("b1", "1/m^2", 1.5, 0.3, 0.01),
    "QD": ("b1", "1/m^2", -1.4, 0.3, 0.01),
    "SF": ("b2", "1/m^3", 20.0, 15.0, 0.2),
    "SD": ("b2", "1/m^3", -30.0, 25.0, 0.2),
    "SQ": ("a1", "1/m^2", 0.0, 0.1, 0.005),
}
FAMILIES = {"b1": "quadrupoles", "b2": "sextupoles", "a1": "skew_quadrupoles"}
BETA = {"QF": (8.0, 2.0), "QD": (2.0, 8.0), "SF": (7.0, 3.0), "SD": (3.0, 7.0)}
MAGNETS = tuple(f"T/{kind}{i}" for kind in KINDS for i in range(2))


def ring_profile(**changes: Any) -> Profile:
    """Return the toy's profile with two magnets of each kind."""
    plain = toy_profile()
    extra = []
    for name in MAGNETS:
        kind = name[2:4]
        component, unit, strength, reach, delta = KINDS[kind]
        extra.append(
            MagnetRow(
                name=name,
                families=(kind, FAMILIES[component]),
                element=ElementRef(kind, int(name[-1])),
                component=component,
                unit=unit,
                low=strength - reach,
                high=strength + reach,
                tolerance=1e-9,
                delta=delta,
                status=True,
                origin=ORIGIN,
                length=LENGTH,
            )
        )
    kicks = [KickRow(f"T/PING-{p}", 0.0, 1e-3, 1e-9, 1e-4, ORIGIN) for p in "HV"]
    instruments = {
        "rf": RfRow("T/RF", RF_HZ - 5e5, RF_HZ + 5e5, 0.1, 1e5, ORIGIN),
        "pinger": PingerRow(ElementRef("COR", 0), *kicks, ORIGIN),
        "diagnostics": Diagnostics(emittance=True, turns=64, lifetime=True),
        "injection": InjectedBunch(x=-0.01),
    }
    magnets = (*plain.magnets, *extra)
    return replace(plain, **({"magnets": magnets} | instruments | changes))


@dataclass
class RingEngine(ToyEngine):
    """The toy's engine with linear optics.

    Attributes:
        centres: Magnetic centre of each quadrupole [m], (4, 2).
        start: What the strengths are in the lattice.
    """

    centres: np.ndarray = field(default_factory=CENTRES.copy)

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = self.layout
        strengths = np.array([KINDS[name[2:4]][2] for name in MAGNETS])
        s = np.array([1.5 + 3.5 * int(name[-1]) for name in MAGNETS])
        for i, name in enumerate(BESIDE):
            s[MAGNETS.index(name)] = BESIDE[name] + 0.1 * (i + 1) / 10
        self.layout = replace(
            plain,
            knobs=(*plain.knobs[:-1], *MAGNETS, "rf"),
            knob_s=np.concatenate([plain.knob_s[:-1], s, [0.0]]),
            values=np.concatenate([plain.values[:-1], strengths, [RF_HZ]]),
        )
        self.knobs = self.layout.values.copy()

    def change(self, *names: str) -> np.ndarray:
        """Return how far some knobs are from the lattice."""
        where = [self.layout.knobs.index(name) for name in names]
        return (self.knobs - self.layout.values)[where]

    def orbit(self) -> np.ndarray:
        kicks = self.matrix[:, : 2 * N_COR] @ (self.knobs[: 2 * N_COR])
        flat = self.error + kicks + self.matrix[:, -1] * self.change("rf")[0]
        feed, pull = quadrupole_columns(), np.zeros((2 * N_BPM, 2 * N_BPM))
        offset = np.zeros(2 * N_BPM)
        for (name, bpm), centre, dk in zip(
            BESIDE.items(), self.centres, self.change(*BESIDE), strict=True
        ):
            for plane, sign in ((0, -1.0), (1, 1.0)):
                row = plane * N_BPM + bpm
                column = feed[name][plane] * sign * dk * LENGTH
                pull[:, row] += column
                offset += column * centre[plane]
        skew = np.zeros((2 * N_BPM, 2 * N_BPM))
        for i, strength in enumerate(self.change("T/SQ0", "T/SQ1")):
            bpm = 2 + 3 * i
            columns = quadrupole_columns()["T/QF0"]
            skew[:, N_BPM + bpm] += columns[0] * strength * LENGTH
            skew[:, bpm] += columns[1] * strength * LENGTH
        flat = np.linalg.solve(np.eye(2 * N_BPM) - pull - skew, flat - offset)
        if np.abs(flat).max() > self.aperture:
            from acctwin.errors import BeamLost

            raise BeamLost("no closed orbit: hit the toy's aperture")
        return flat.reshape(2, N_BPM).T

    def tunes(self) -> np.ndarray:
        delta = -self.change("rf")[0] / RF_HZ / SLIP
        moved = tune_matrix(tuple(BESIDE)) @ self.change(*BESIDE)
        chromatic = self.chromaticity() * delta
        return TUNES + np.append(moved + chromatic, 0.0)

    def chromaticity(self) -> np.ndarray:
        names = tuple(n for n in MAGNETS if n[2] == "S" and n[3] != "Q")
        return CHROMATICITY + chromaticity_matrix(names) @ self.change(*names)

    def turn_by_turn(self, turns: int, kick: Any) -> np.ndarray:
        """Return free oscillations with the tunes, (turns, N_BPM, 2)."""
        n, tunes = np.arange(turns)[:, None], self.tunes()
        seen = [
            np.sqrt(8.0 * 4.0)
            * kick[axis]
            * np.cos(2 * np.pi * (tunes[axis] * (n + np.arange(N_BPM) / N_BPM)))
            for axis in (0, 1)
        ]
        return np.stack(seen, axis=2) + self.orbit()

    def equilibrium(self) -> Any:
        """Return emittances; the skews make the vertical one."""
        error = 0.01
        skew = np.abs(self.change("T/SQ0", "T/SQ1") - error) ** 2
        return SimpleNamespace(emittances=np.array([1e-9, 1e-12 + 1e-9 * skew.sum()]))

    def injection_efficiency(self, bunch):
        return 0.8 + bunch.x

    def touschek_lifetime(self, bunch_current, how):
        """Return what the sextupoles leave [s]."""
        change = np.abs(self.change("T/SF0", "T/SD0")).sum()
        return 3.6e4 / (1.0 + change)


def quadrupole_columns() -> dict[str, np.ndarray]:
    """Return what a kick at each quadrupole does, by plane, (2, 2·N_BPM)."""
    s = np.arange(N_BPM)[:, None] * 1.0
    found = {}
    for name, bpm in BESIDE.items():
        columns = np.zeros((2, 2 * N_BPM))
        for plane, k in ((0, 0.9), (1, 0.6)):
            shape = 3.0 * np.cos(np.abs(s[:, 0] - bpm - 0.05) * k - 0.7)
            columns[plane, plane * N_BPM : (plane + 1) * N_BPM] = shape
        found[name] = columns
    return found


def tune_matrix(names: tuple[str, ...]) -> np.ndarray:
    """Return dQ/dk, (2, n): ±βL/4π."""
    beta = np.array([BETA[name[2:4]] for name in names]).reshape(-1, 2).T
    return np.array([[1.0], [-1.0]]) * beta * LENGTH / (4 * np.pi)


def chromaticity_matrix(names: tuple[str, ...]) -> np.ndarray:
    """Return dξ/dm, (2, n): ±2βηL/4π with η = 0.5 m."""
    return tune_matrix(names) * 2 * 0.5


class RingDesign:
    """The toy ring as a design model that knows no errors."""

    def __init__(self) -> None:
        self.engine = RingEngine(np.zeros(2 * N_BPM))

    def orbit_response(self, monitors: Any, actuators: Any) -> np.ndarray:
        full = dict(zip(toy_names(), toy_matrix().T, strict=True))
        rows = [self.engine.layout.monitors.index(name) for name in monitors]
        matrix = np.column_stack([full[name] for name in actuators])
        return matrix[[*rows, *(row + N_BPM for row in rows)]]

    def place_response(self, places: Any, actuators: Any) -> np.ndarray:
        near = [self._bpm(place) for place in places]
        flat = self.orbit_response([f"T/B{i}" for i in near], actuators)
        x, y = np.split(flat, 2)
        return np.stack([x, 0.3 * x, y, 0.3 * y])

    def optics(self, places: Any) -> LocalOptics:
        layout = self.engine.layout
        known = dict(zip(layout.monitors, layout.monitor_s, strict=True))
        known |= dict(zip(layout.knobs, layout.knob_s, strict=True))
        s = np.array([known[name] for name in places])
        beta = np.array([BETA.get(name[2:4], (8.0, 8.0)) for name in places])
        is_magnet = np.array([name in MAGNETS for name in places])
        return LocalOptics(
            tuple(places),
            s,
            np.where(is_magnet, LENGTH, 0.0),
            beta,
            np.zeros((len(s), 2)),
            2 * np.pi * TUNES[:2] * s[:, None] / N_BPM,
            np.column_stack([0.5 * (1 + 0.1 * s), 0 * s]),
            TUNES[:2].copy(),
        )

    def beta_with(self, monitors: Any, knobs: Any, values: Any) -> np.ndarray:
        return np.ones((len(monitors), 2))

    def linear_with(
        self, monitors: Any, actuators: Any, knobs: Any, values: Any
    ) -> Linear:
        direct = self.orbit_response(monitors, actuators)
        return Linear(direct, np.zeros_like(direct), np.zeros(len(direct)))

    def tunes(self) -> np.ndarray:
        return TUNES.copy()

    def chromaticity(self) -> np.ndarray:
        return CHROMATICITY.copy()

    def slip_factor(self) -> float:
        return SLIP

    def circumference(self) -> float:
        return self.engine.layout.circumference

    def tune_response(self, magnets: Any) -> np.ndarray:
        return tune_matrix(tuple(magnets))

    def chromaticity_response(self, magnets: Any) -> np.ndarray:
        return chromaticity_matrix(tuple(magnets))

    def coupling_response(self, monitors: Any, actuators: Any, skews: Any) -> Any:
        """Central differences of the toy's orbit, so that it agrees with the toy."""
        rows = [self.engine.layout.monitors.index(name) for name in monitors]
        rows = [*rows, *(row + N_BPM for row in rows)]
        found = np.zeros((len(rows), len(actuators), len(skews)))
        engine = RingEngine(np.zeros(2 * N_BPM))
        engine.centres[:] = 0.0
        knobs = engine.layout.knobs
        for k, skew in enumerate(skews):
            for j, actuator in enumerate(actuators):
                total = 0.0
                for a in (1e-4, -1e-4):
                    for b in (1e-5, -1e-5):
                        engine.knobs = engine.layout.values.copy()
                        engine.knobs[knobs.index(skew)] += a
                        engine.knobs[knobs.index(actuator)] += b
                        total = total + np.sign(a * b) * engine.orbit().T.ravel()
                found[:, j, k] = total[rows] / (4 * 1e-4 * 1e-5)
        return found

    def setpoints(self, knobs: Any) -> np.ndarray:
        layout = self.engine.layout
        return layout.values[[layout.knobs.index(name) for name in knobs]]

    def _bpm(self, place: str) -> int:
        layout = self.engine.layout
        if place in layout.monitors:
            return layout.monitors.index(place)
        s = layout.knob_s[layout.knobs.index(place)]
        return int(np.clip(round(float(s)), 0, N_BPM - 1))


def toy_names() -> list[str]:
    """Return the columns of the toy's matrix."""
    return [*(f"T/C{i}-{p}" for p in "HV" for i in range(N_COR)), "rf"]


def ring_machine(
    engine: RingEngine | None = None, profile: Profile | None = None, **options: Any
) -> tuple[Machine, SimMachine]:
    """Return devices on the toy ring."""
    engine = engine or RingEngine(toy_error())
    profile, seed = profile or ring_profile(), options.get("seed")
    sim = SimMachine(engine, engine.layout, draw(profile, seed), profile, seed)
    machine = build_machine(
        profile, Links(SimPlant(sim)), RingDesign(), options.get("runs")
    )
    return machine, sim
