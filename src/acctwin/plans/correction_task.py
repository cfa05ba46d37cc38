"""What an orbit correction works with: which knobs, which BPMs, which matrix."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.correction import Solution, solve_correction
from acctwin.analysis.orbit import OrbitResult
from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError, UnknownName
from acctwin.names import HCM, PLANES, VCM, FloatArray, IntArray
from acctwin.plans import orbit as orbit_plan
from acctwin.plans import response as response_plan
from acctwin.plans.guards import require
from acctwin.plans.reference import (
    ORBIT,
    ORBIT_RESPONSE,
    current_reference,
    refuse_other_machine,
)
from acctwin.plans.stubs import ask

log = logging.getLogger(__name__)

#: What is said to use no reference: the design model, and no orbit.
MODEL, ZERO = "model", "zero"


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


@dataclass(frozen=True)
class Task:
    """All that an iteration needs.

    Attributes:
        machine: The machine.
        devices: Families, and the RF, that are set.
        knobs: Name of each knob, in the order of the matrix's columns.
        places: Index of each knob in its device's array, by device.
        rows: Which of the good BPMs are in the matrix, (n_bpm,).
        matrix: Response, (2·n_bpm, n_knobs).
        goal: x then y [m], (2·n_bpm,).
        monitor_weights: (2·n_bpm,).
        freedom: Relative freedom of each knob, (n_knobs,).
        options: How it is solved and applied.
    """

    machine: Machine
    devices: tuple[Any, ...]
    knobs: tuple[str, ...]
    places: tuple[IntArray, ...]
    rows: IntArray
    matrix: FloatArray
    goal: FloatArray
    monitor_weights: FloatArray
    freedom: FloatArray
    options: Options

    def residual(self, orbit: OrbitResult) -> FloatArray:
        """Return orbit minus goal at the BPMs in the matrix, x then y [m]."""
        return np.concatenate([orbit.x[self.rows], orbit.y[self.rows]]) - self.goal

    def solve(self, residual: FloatArray) -> Solution:
        """Return the steps that cancel a residual."""
        size = np.sqrt(np.mean(np.square(self.matrix), axis=0))
        return solve_correction(
            self.matrix,
            residual,
            monitor_weights=self.monitor_weights,
            actuator_weights=self.freedom / np.where(size > 0.0, size, np.inf),
            singular_values=self.options.singular_values,
            cutoff=self.options.cutoff,
            tikhonov=self.options.tikhonov,
        )

    def moves(
        self, start: Sequence[Any], steps: FloatArray
    ) -> list[tuple[Any, float | FloatArray]]:
        """Return where each device goes when steps are added to its start."""
        moves: list[tuple[Any, float | FloatArray]] = []
        ends = np.cumsum([len(places) for places in self.places])
        shares = np.split(steps, ends[:-1])
        for device, before, places, share in zip(
            self.devices, start, self.places, shares, strict=True
        ):
            wanted = np.array(before, dtype=np.float64, ndmin=1)
            wanted[places] += share
            moves.append((device, wanted if np.ndim(before) else float(wanted[0])))
        return moves

    def setpoints(self, start: Sequence[Any], steps: FloatArray) -> FloatArray:
        """Return where each knob goes, (n_knobs,)."""
        return np.concatenate([
            np.atleast_1d(value)[places]
            for (_, value), places in zip(
                self.moves(start, steps), self.places, strict=True
            )
        ])

    def predicted(self, before: OrbitResult, residual: FloatArray) -> OrbitResult:
        """Return the orbit that a residual stands for, at the BPMs in the matrix."""
        x, y = before.x.copy(), before.y.copy()
        x[self.rows], y[self.rows] = np.split(residual + self.goal, 2)
        return replace(before, x=x, y=y)


def response_or_reference(
    machine: Machine, response: ResponseResult | str | None
) -> MsgGenerator[ResponseResult | str | None]:
    """Return what was given, else the uid of the reference; None: the design model."""
    if response is None:
        response = yield from current_reference(machine, ORBIT_RESPONSE)
    return None if response == MODEL else response


def goal_or_reference(
    machine: Machine, goal: OrbitResult | str | None
) -> MsgGenerator[OrbitResult | None]:
    """Return what was given, else the reference orbit; None: zero.

    Raises:
        PlanError: The orbit is of another machine.
    """
    if goal is None:
        goal = yield from current_reference(machine, ORBIT)
    if goal is None or goal == ZERO:
        return None
    if isinstance(goal, OrbitResult):
        return goal
    uid = goal
    run = yield from ask(lambda: machine.runs.run(uid))
    refuse_other_machine(machine, run)
    return orbit_plan.analyse(run)


def prepare(
    machine: Machine,
    response: ResponseResult | str | None,
    goal: OrbitResult | None,
    options: Options,
    bpm_weights: Mapping[str, float],
    corrector_weights: Mapping[str, float],
) -> MsgGenerator[Task]:
    """Choose the good BPMs and correctors that the response knows.

    Raises:
        PlanError: There are none, or the goal does not know a BPM.
        UnknownName: A weight for something that takes no part.
    """
    measured = yield from _resolve(machine, response)
    families = [getattr(machine, name) for name in (HCM, VCM) if machine.has(name)]
    bpms = machine.bpms.good().names
    rows = [i for i, name in enumerate(bpms) if _is_known(name, measured)]
    used = [bpms[i] for i in rows]
    places = [_places(family, measured) for family in families]
    names = [
        family.names[i]
        for family, chosen in zip(families, places, strict=True)
        for i in chosen
    ]
    if not rows or not names:
        raise PlanError("no good BPM, or no good corrector, is in the response")
    labels = [f"{name}:{plane}" for plane in PLANES for name in used]
    matrix = measured.block(labels, names)
    if options.rf:
        require(machine, ["rf"], "the RF cannot be a knob")
        column = yield from _rf_column(machine, measured, labels, used)
        matrix = np.column_stack([matrix, column])
        families, places = [*families, machine.rf], [*places, np.array([0])]
        names = [*names, "rf"]
    return Task(
        machine=machine,
        devices=tuple(families),
        knobs=tuple(names),
        places=tuple(places),
        rows=np.array(rows),
        matrix=matrix,
        goal=_goal(goal, used),
        monitor_weights=np.tile(_weights(bpm_weights, used), 2),
        freedom=_weights(corrector_weights, names),
        options=options,
    )


def _resolve(
    machine: Machine, response: ResponseResult | str | None
) -> MsgGenerator[ResponseResult]:
    if isinstance(response, ResponseResult):
        return response
    if isinstance(response, str):
        run = yield from ask(lambda: machine.runs.run(response))
        return response_plan.analyse(run)
    log.warning(
        "correct_orbit: no measured response was given, and there is no reference in "
        "use; using the design model's"
    )
    families = [getattr(machine, name) for name in (HCM, VCM) if machine.has(name)]
    actuators = tuple(name for family in families for name in family.names)
    bpms = machine.bpms.names
    matrix = yield from ask(lambda: machine.design.orbit_response(bpms, actuators))
    return ResponseResult(
        matrix=matrix,
        sigma=np.full_like(matrix, np.nan),
        monitors=tuple(f"{name}:{plane}" for plane in PLANES for name in bpms),
        actuators=actuators,
        deltas=np.zeros(len(actuators)),
        units=("m/rad",) * len(actuators),
    )


def _is_known(bpm: str, measured: ResponseResult) -> bool:
    return all(f"{bpm}:{plane}" in measured.monitors for plane in PLANES)


def _places(family: Any, measured: ResponseResult) -> IntArray:
    """Return which good members of a family the response knows."""
    known = set(measured.actuators)
    chosen = [
        i
        for i, (name, good) in enumerate(zip(family.names, family.status, strict=True))
        if good and name in known
    ]
    return np.array(chosen, dtype=np.int64)


def _rf_column(
    machine: Machine, measured: ResponseResult, labels: list[str], bpms: list[str]
) -> MsgGenerator[FloatArray]:
    name = machine.rf.info.name
    if name in measured.actuators:
        return measured.block(labels, [name])[:, 0]
    log.warning("correct_orbit: the response holds no RF; using the design model's")
    column = yield from ask(lambda: machine.design.orbit_response(bpms, ["rf"]))
    return column[:, 0]


def _goal(goal: OrbitResult | None, bpms: list[str]) -> FloatArray:
    if goal is None:
        return np.zeros(2 * len(bpms))
    index = {name: i for i, name in enumerate(goal.names)}
    missing = [name for name in bpms if name not in index]
    if missing:
        raise PlanError(f"the goal has no value for {', '.join(missing[:5])}")
    rows = [index[name] for name in bpms]
    return np.concatenate([goal.x[rows], goal.y[rows]])


def _weights(given: Mapping[str, float], names: Sequence[str]) -> FloatArray:
    for name in given:
        if name not in names:
            raise UnknownName("BPM or corrector in this correction", name, names)
    return np.array([given.get(name, 1.0) for name in names], dtype=np.float64)
