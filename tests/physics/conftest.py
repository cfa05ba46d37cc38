"""Engines of the physics tests, built by hand: nothing here needs a profile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import at
import machine_data
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from accelerator import accelerator, engines

from acctwin.model.at_engine import AtEngine
from acctwin.model.engine import EngineSpec, Knob, Misalignment, Monitor
from acctwin.profiles.profile import ElementRef, LatticeSource

__all__ = ["accelerator", "engines"]  # fixtures of all tests here

#: Lattice families of monitors, H and V correctors, and quadrupoles, and how many.
HMBA_CORRECTORS = "SD1A SF2A SD1B SD1D SF2E SD1E SH1A SH2B SH3E"
HMBA_QUADRUPOLES = (
    "QF1A QD2A QD3A QF4A QF4B QD5B QF6B QF8B QF8D QF6D QD5D QF4D QF4E QD3E QD2E QF1E"
)
MACHINES: dict[str, dict[str, Any]] = {
    "hmba": {
        "lattice": LatticeSource("at:hmba.mat", repeat=32),
        "monitors": {f"BPM_{i:02d}": 32 for i in range(1, 11)},
        "hkick": dict.fromkeys(HMBA_CORRECTORS.split(), 32),
        "vkick": dict.fromkeys(HMBA_CORRECTORS.split(), 32),
        "b1": dict.fromkeys(HMBA_QUADRUPOLES.split(), 32),
        "moved": {"SD1A": 32, "SF2A": 32, "QF1A": 32, "QD2A": 32, "QF8B": 32},
        "shift": 15e-6,
    },
    "soleil": {
        "lattice": LatticeSource("at:soleil.m"),
        "monitors": {"BPM": 122},
        "hkick": {"COR": 122},
        "vkick": {"COR": 122},
        "b1": {"Q1": 8, "Q2": 8, "Q3": 8},
        "moved": {"Q1": 8, "Q2": 8, "Q3": 8, "S1": 6},
        "shift": 30e-6,
    },
    "fodo": {
        "lattice": LatticeSource("code:fodo"),
        "monitors": {"BPM": 32},
        "hkick": {"HCM": 16},
        "vkick": {"VCM": 16},
        "b1": {"QF": 16, "QD": 16},
        "moved": {"QF": 16, "QD": 16, "SF": 16, "SD": 16},
        "shift": 100e-6,
    },
}


def misalignments(name: str, seed: int = 5) -> tuple[Misalignment, ...]:
    """Return shifts and rolls of some magnets, normal, cut at two sigma."""
    rng, machine = np.random.default_rng(seed), MACHINES[name]
    found = []
    for family, count in machine["moved"].items():
        for i in range(count):
            dx, dy, roll = np.clip(rng.standard_normal(3), -2, 2) * machine["shift"]
            found.append(Misalignment(ElementRef(family, i), dx, dy, 10 * roll))
    return tuple(found)


def spec_by_hand(
    name: str,
    components: Sequence[str] = ("hkick", "vkick", "b1"),
    errors: tuple[Misalignment, ...] = (),
    lattice: LatticeSource | None = None,
) -> EngineSpec:
    """Return the spec of a machine; knobs are called like ``"hkick QF 3"``."""
    machine = MACHINES[name]
    return EngineSpec(
        lattice=lattice or machine["lattice"],
        knobs=tuple(
            Knob(f"{component} {family} {i}", ElementRef(family, i), component)  # type: ignore[arg-type]
            for component in components
            for family, count in machine[component].items()
            for i in range(count)
        ),
        monitors=tuple(
            Monitor(f"{family} {i}", ElementRef(family, i))
            for family, count in machine["monitors"].items()
            for i in range(count)
        ),
        misalignments=errors,
    )


def flat_lattice(name: str, folder: Path) -> LatticeSource:
    """Return a lattice file without cavities, so that an engine takes it as 4D."""
    source = MACHINES[name]["lattice"]
    if source.source == "code:fodo":
        from acctwin.model.fodo import fodo_ring

        ring = fodo_ring()
    else:
        file = Path(machine_data.__file__).parent / source.source.partition(":")[2]
        ring = at.load_lattice(str(file))
    ring.disable_6d()
    kept = [e for e in ring if not isinstance(e, at.RFCavity)]
    flat = at.Lattice(kept, name=name, energy=ring.energy, periodicity=ring.periodicity)
    path = folder / f"{name}.json"
    flat.save(str(path))
    return LatticeSource(str(path), source.repeat)


@pytest.fixture(scope="session")
def make_engine(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AtEngine]:
    """Return a function that builds an engine of one of :data:`MACHINES`."""

    def make(
        name: str,
        *components: str,
        misaligned: bool = False,
        flat: bool = False,
        seed: int = 5,
        pinger: ElementRef | None = None,
    ) -> AtEngine:
        lattice = None
        if flat:
            lattice = flat_lattice(name, tmp_path_factory.mktemp(name))
        errors = misalignments(name, seed) if misaligned else ()
        chosen = components or ("hkick", "vkick", "b1")
        spec = spec_by_hand(name, chosen, errors, lattice)
        return AtEngine(replace(spec, pinger=pinger))

    return make


class Oracle:
    """pyAT as it is normally called, on a copy of an engine's lattice."""

    def __init__(self, engine: AtEngine) -> None:
        self.ring = engine.ring_copy()
        places: dict[str, list[int]] = {}
        for i, element in enumerate(self.ring):
            places.setdefault(element.FamName, []).append(i)
        names = [name.split() for name in engine.layout.monitors]
        self.monitors = [places[family][int(i)] for family, i in names]
        self.is_6d = self.ring.is_6d

    def at_monitors(self, values: np.ndarray) -> np.ndarray:
        """Pick the monitors' rows, in the engine's order, from sorted ones."""
        return values[np.searchsorted(np.unique(self.monitors), self.monitors)]

    def orbit(self, **options: Any) -> np.ndarray:
        """Return x, y at the monitors [m], (n_monitors, 2)."""
        find = self.ring.find_orbit6 if self.is_6d else self.ring.find_orbit4
        _, orbit = find(refpts=np.unique(self.monitors), **options)
        return self.at_monitors(orbit)[:, [0, 2]]

    def start(self, **options: Any) -> np.ndarray:
        """Return the closed orbit at the beginning, (6,)."""
        find = self.ring.find_orbit6 if self.is_6d else self.ring.find_orbit4
        return find(**options)[0]


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    return Oracle
