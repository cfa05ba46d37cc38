"""What an orbit correction works with: how it is solved, and of which matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.correction import (
    Inverse,
    Solution,
    invert_response,
    solve_correction,
    solve_micado,
)
from acctwin.analysis.orbit import OrbitResult
from acctwin.analysis.response import ResponseResult
from acctwin.defaults import CorrectionDefaults
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError, UnknownName
from acctwin.names import PLANES, VCM, FloatArray
from acctwin.plans.actuators import Units
from acctwin.plans.knobs import Knobs
from acctwin.plans.orbits.inputs import OrbitMatrix, goal_at, orbit_matrix, resolve
from acctwin.plans.stubs import ask


@dataclass(frozen=True)
class Options:
    """How a correction is solved and applied; see ``correct_orbit``."""

    singular_values: int | None
    cutoff: float
    tikhonov: float
    gain: float
    iterations: int
    rf: bool
    readings: int
    units: Units = "physics"
    best: int | None = None
    keep_energy: bool = False


def cut(
    default: CorrectionDefaults, singular_values: int | None, cutoff: float | None
) -> tuple[int | None, float]:
    """Return how many singular values are kept, or else the cutoff.

    A number that is given comes before a cutoff, and either before the profile's.
    """
    if singular_values is None and cutoff is None:
        return default.singular_values, default.cutoff
    return singular_values, default.cutoff if cutoff is None else cutoff


@dataclass(frozen=True)
class Task:
    """All that an iteration needs.

    Attributes:
        machine: The machine.
        response: Knobs, BPMs, and the matrix between them.
        goal: x then y [m], (2·n_bpm,).
        monitor_weights: (2·n_bpm,).
        freedom: Relative freedom of each knob, (n_knobs,).
        held: Coefficients of a sum of the knobs that must not change, (n_knobs,), or
            None.
        options: How it is solved and applied.
    """

    machine: Machine
    response: OrbitMatrix
    goal: FloatArray
    monitor_weights: FloatArray
    freedom: FloatArray
    held: FloatArray | None
    options: Options

    @property
    def knobs(self) -> Knobs:
        """What is set."""
        return self.response.knobs

    @property
    def devices(self) -> tuple[Any, ...]:
        """Families, and the RF, that are set."""
        return self.knobs.devices

    @property
    def matrix(self) -> FloatArray:
        """Response, (2·n_bpm, n_knobs)."""
        return self.response.matrix

    def residual(self, orbit: OrbitResult) -> FloatArray:
        """Return orbit minus goal at the BPMs in the matrix, x then y [m]."""
        return self.response.flat(orbit) - self.goal

    def solve(self, residual: FloatArray) -> Solution:
        """Return the steps that cancel a residual."""
        if self.options.best is not None:
            return solve_micado(
                self.matrix,
                residual,
                self.options.best,
                monitor_weights=self.monitor_weights,
                actuator_weights=self.freedom,
                always=np.array([name == "rf" for name in self.knobs.names]),
                held=self.held,
            )
        return solve_correction(self.matrix, residual, **self._how())

    def inverse(self) -> Inverse:
        """Return what turns a residual into steps, for use again and again."""
        return invert_response(self.matrix, **self._how())

    def keeping(self, solution: Solution) -> Task:
        """Return the task of the next iteration: chosen correctors stay chosen."""
        if self.options.best is None:
            return self
        return replace(self, freedom=np.where(solution.steps != 0.0, self.freedom, 0.0))

    def predicted(self, before: OrbitResult, residual: FloatArray) -> OrbitResult:
        """Return the orbit that a residual stands for, at the BPMs in the matrix."""
        x, y, rows = before.x.copy(), before.y.copy(), self.response.rows
        x[rows], y[rows] = np.split(residual + self.goal, 2)
        return replace(before, x=x, y=y)

    def _how(self) -> dict[str, Any]:
        size = np.sqrt(np.mean(np.square(self.matrix), axis=0))
        return {
            "monitor_weights": self.monitor_weights,
            "actuator_weights": self.freedom / np.where(size > 0.0, size, np.inf),
            "singular_values": self.options.singular_values,
            "cutoff": self.options.cutoff,
            "tikhonov": self.options.tikhonov,
            "held": self.held,
        }


def prepare(
    machine: Machine,
    response: ResponseResult | str | None,
    goal: OrbitResult | None,
    options: Options,
    plan_name: str,
    bpm_weights: Mapping[str, float] | None = None,
    corrector_weights: Mapping[str, float] | None = None,
) -> MsgGenerator[Task]:
    """Choose the good BPMs and correctors that the response knows.

    Raises:
        PlanError: There are none, or the goal does not know a BPM; or the options
            make no sense together.
        UnknownName: A weight for something that takes no part.
    """
    _check(options)
    units = options.units
    measured = yield from resolve(machine, response, plan_name, units)
    chosen = yield from orbit_matrix(machine, measured, units, rf=options.rf)
    held = None
    if options.keep_energy:
        held = yield from _energy(machine, chosen.knobs)
    return Task(
        machine=machine,
        response=chosen,
        goal=goal_at(goal, chosen.bpms),
        monitor_weights=np.tile(_weights(bpm_weights, chosen.bpms), len(PLANES)),
        freedom=_weights(corrector_weights, chosen.knobs.names),
        held=held,
        options=options,
    )


def _check(options: Options) -> None:
    if options.best is not None and options.best < 1:
        raise PlanError(f"best is at least 1 corrector, not {options.best}")
    if options.keep_energy and options.units == "hardware":
        raise PlanError(
            "keep_energy sums kicks times dispersion, and units='hardware' sets "
            "currents: leave one of them out"
        )


def _energy(machine: Machine, knobs: Knobs) -> MsgGenerator[FloatArray]:
    """Return what a kick of each corrector does to the path length [m], (n_knobs,).

    A kick θ where the dispersion is η makes the closed orbit longer by ηθ; with the
    RF as it is, the energy has to follow: δ = −Σηθ / (α_c C).
    """
    names = [name for name in knobs.names if name != "rf"]
    local = yield from ask(lambda: machine.design.optics(names))
    vertical = set(machine[VCM].names) if machine.has(VCM) else set()
    plane = [int(name in vertical) for name in names]
    path = dict(zip(names, local.dispersion[np.arange(len(names)), plane], strict=True))
    return np.array([path.get(name, 0.0) for name in knobs.names])


def _weights(weights: Mapping[str, float] | None, names: Sequence[str]) -> FloatArray:
    given = weights or {}
    for name in given:
        if name not in names:
            raise UnknownName("BPM or corrector in this correction", name, names)
    return np.array([given.get(name, 1.0) for name in names], dtype=np.float64)
