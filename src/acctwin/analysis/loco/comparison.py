"""Two versions of a model beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray


@dataclass(frozen=True)
class VersionOptics:
    """What one version of a model says of the machine.

    Attributes:
        name: ``"design"``, or the uid of a fitted model.
        bpms: Names of the BPMs.
        beta: At the BPMs [m], (n_bpm, 2).
        phase: Phase advance from s = 0 [rad], (n_bpm, 2).
        dispersion: eta_x, eta_y at the BPMs [m], (n_bpm, 2).
        s: Position of every element boundary [m], (n,).
        beta_everywhere: β there [m], (n, 2).
        tunes: qx, qy with integer part, and qs, (3,).
        chromaticity: dQ/d(Δp/p) in x and y, (2,).
        emittances: Of the normal modes [m rad], (2,); NaN without RF.
        coupling: Rms of the orbit response across the planes over that within them;
            NaN without correctors of both planes.
    """

    name: str
    bpms: tuple[str, ...]
    beta: FloatArray
    phase: FloatArray
    dispersion: FloatArray
    s: FloatArray
    beta_everywhere: FloatArray
    tunes: FloatArray
    chromaticity: FloatArray
    emittances: FloatArray
    coupling: float


@dataclass(frozen=True)
class VersionComparison:
    """A version against another one of the same lattice.

    Attributes:
        version: The one that is looked at.
        reference: What it is compared with.
    """

    version: VersionOptics
    reference: VersionOptics

    @property
    def beta_beat(self) -> FloatArray:
        """β over that of the reference, minus 1, at the BPMs, (n_bpm, 2)."""
        return self.version.beta / self.reference.beta - 1

    @property
    def beta_beat_everywhere(self) -> FloatArray:
        """The same at every element boundary, (n, 2)."""
        return self.version.beta_everywhere / self.reference.beta_everywhere - 1

    @property
    def phase_change(self) -> FloatArray:
        """Change of the phase advance from the first BPM [rad], (n_bpm, 2)."""
        change = self.version.phase - self.reference.phase
        return change - change[0]

    @property
    def dispersion_change(self) -> FloatArray:
        """Change of the dispersion at the BPMs [m], (n_bpm, 2)."""
        return self.version.dispersion - self.reference.dispersion

    @property
    def dispersion_beat(self) -> FloatArray:
        """That over √β of the reference [√m], (n_bpm, 2)."""
        return self.dispersion_change / np.sqrt(self.reference.beta)

    @property
    def tune_change(self) -> FloatArray:
        """Change of qx, qy and qs, (3,)."""
        return self.version.tunes - self.reference.tunes

    @property
    def chromaticity_change(self) -> FloatArray:
        """Change of dQ/d(Δp/p), (2,)."""
        return self.version.chromaticity - self.reference.chromaticity

    def figures(self) -> dict[str, tuple[float, ...]]:
        """Return all as figures, rms and largest of what has many values.

        Returns:
            Figures of each plane, x first, or of the machine, by names with units.
        """
        version, reference = self.version, self.reference
        many = {
            "beta beat at BPMs [%]": 100 * self.beta_beat,
            "beta beat everywhere [%]": 100 * self.beta_beat_everywhere,
            "phase advance [mrad]": 1e3 * self.phase_change,
            "dispersion [mm]": 1e3 * self.dispersion_change,
            "dispersion over root beta [1e-3 m^1/2]": 1e3 * self.dispersion_beat,
        }
        found = dict[str, tuple[float, ...]]()
        for name, values in many.items():
            found[f"{name}, rms"] = _floats(np.sqrt((values**2).mean(axis=0)))
            found[f"{name}, largest"] = _floats(np.abs(values).max(axis=0))
        pairs = {
            "tunes": (version.tunes, reference.tunes),
            "chromaticity": (version.chromaticity, reference.chromaticity),
            "emittances [pm]": (1e12 * version.emittances, 1e12 * reference.emittances),
            "coupling": (version.coupling, reference.coupling),
        }
        for name, (new, old) in pairs.items():
            found[name] = _floats(np.atleast_1d(new))
            found[f"{name}, reference"] = _floats(np.atleast_1d(old))
        return found

    def summary(self) -> str:
        """Return the figures, one a line."""
        lines = [f"{self.version.name} against {self.reference.name}"]
        for name, values in self.figures().items():
            lines.append(f"{name:48} " + "".join(f"{one:12.5g}" for one in values))
        return "\n".join(lines)


def coupling_of(response: FloatArray, planes: Sequence[str]) -> float:
    """Return the rms response across the planes over that within them.

    Args:
        response: x at all monitors, then y, by correctors, (2·n_monitors, n_act).
        planes: ``"x"`` or ``"y"``: of each corrector, (n_act,).

    Returns:
        NaN unless there are correctors of both planes.
    """
    is_x = np.array([plane == "x" for plane in planes], dtype=bool)
    if is_x.all() or not is_x.any():
        return float("nan")
    half = len(response) // 2
    x, y = response[:half], response[half:]
    across = float(np.hypot(np.linalg.norm(y[:, is_x]), np.linalg.norm(x[:, ~is_x])))
    within = float(np.hypot(np.linalg.norm(x[:, is_x]), np.linalg.norm(y[:, ~is_x])))
    return across / within


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
