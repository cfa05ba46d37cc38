"""A fitted model, as it is stored: a version of the design model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.analysis.loco.gains import Gains, Linear, kicked, shown
from acctwin.errors import UnknownName
from acctwin.names import FloatArray


@dataclass(frozen=True)
class LocoResult:
    """A model that reproduces a measured response, and what it says of the machine.

    Attributes:
        model_version: Run that it is stored in.
        uid: Measurement that was fitted.
        strengths: Names of the fitted strengths, the first of magnets in series.
        members: Magnets of each strength.
        kinds: ``"b1"`` or ``"a1"`` of each.
        design: Their values in the design model, (n,).
        values: Fitted ones, (n,).
        sigma: Standard errors, (n,).
        bpms: Names of the BPMs.
        beta_at_bpms: Of the fitted model [m], (n_bpm, 2).
        design_beta_at_bpms: Of the design model [m], (n_bpm, 2).
        tunes: Of the fitted model: qx, qy with integer part, and qs, (3,).
        actuators: Correctors, and ``"rf"``.
        gains: Of BPMs and actuators.
        gains_sigma: Their standard errors; 0 of what was not fitted.
        chi2_dof: χ² per degree of freedom.
        history: χ² after each iteration, (n_iterations,).
        kept: How many singular values of the strengths were used.
        left_out: How many entries were left out as outliers.
    """

    model_version: str
    uid: str
    strengths: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    design: FloatArray
    values: FloatArray
    sigma: FloatArray
    bpms: tuple[str, ...]
    beta_at_bpms: FloatArray
    design_beta_at_bpms: FloatArray
    tunes: FloatArray
    actuators: tuple[str, ...]
    gains: Gains
    gains_sigma: Gains
    chi2_dof: float
    history: FloatArray
    kept: int
    left_out: int

    @property
    def beta_beat(self) -> FloatArray:
        """β of the fitted model over that of the design, minus 1, (n_bpm, 2)."""
        return self.beta_at_bpms / self.design_beta_at_bpms - 1

    @property
    def quadrupole_errors(self) -> dict[str, float]:
        """Fitted over design strength, minus 1, of each quadrupole strength."""
        return {
            name: float(value / design - 1)
            for name, kind, value, design in zip(
                self.strengths, self.kinds, self.values, self.design, strict=True
            )
            if kind == "b1" and design != 0.0
        }

    def magnets(
        self, values: FloatArray, nominal: Mapping[str, float]
    ) -> tuple[list[str], FloatArray]:
        """Return the strength of every magnet.

        Args:
            values: Of the strengths that were fitted, (n,).
            nominal: Of every magnet, in the design: those in series keep their ratio.

        Returns:
            Names, and their strengths.
        """
        names, found = list[str](), list[float]()
        for group, value in zip(self.members, values.tolist(), strict=True):
            first = nominal[group[0]]
            names += group
            found += [value * (nominal[n] / first if first else 1.0) for n in group]
        return names, np.array(found)

    def seen(self, linear: Linear) -> FloatArray:
        """Return the response that imperfect BPMs and actuators show.

        Args:
            linear: That of the model at the BPMs, to all actuators of the fit.

        Returns:
            x at the BPMs, then y, (2·n_bpm, n_actuators).
        """
        return shown(self.gains.bpm, kicked(linear, self.gains))

    def bpm_gains(self, names: Sequence[str]) -> FloatArray:
        """Return what BPMs make of positions: reading = gain·(x, y), (n, 2, 2).

        Args:
            names: BPMs.

        Raises:
            UnknownName: One was not fitted.
        """
        place = {name: i for i, name in enumerate(self.bpms)}
        for name in names:
            if name not in place:
                raise UnknownName("BPM of the fit", name, self.bpms)
        return self.gains.bpm[[place[name] for name in names]]

    def of_kind(self, kind: str) -> np.ndarray:
        """Return the places of strengths of a kind, (n_kind,)."""
        return np.flatnonzero(np.array(self.kinds) == kind)

    def summary(self) -> str:
        """Return what was found, in a few lines."""
        beat = 100 * self.beta_beat.std(axis=0)
        errors = list(self.quadrupole_errors.values())
        rms = 100 * float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0
        return (
            f"chi2/dof {self.chi2_dof:.3f} after {len(self.history)} iterations, "
            f"{self.kept} of {len(self.strengths)} singular values, "
            f"{self.left_out} outliers\n"
            f"beta beat {beat[0]:.2f} % and {beat[1]:.2f} % rms, "
            f"quadrupole errors {rms:.3f} % rms"
        )
