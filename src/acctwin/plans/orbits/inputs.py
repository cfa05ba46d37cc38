"""What orbit plans start from: a response, a goal, and what of them is good."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.loco.version import LocoResult
from acctwin.analysis.orbit import OrbitResult
from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import HCM, PLANES, VCM, FloatArray, IntArray
from acctwin.plans import loco_version
from acctwin.plans import response as response_plan
from acctwin.plans.actuators import Units
from acctwin.plans.knobs import Knobs, correctors
from acctwin.plans.orbits import orbit as orbit_plan
from acctwin.plans.saving.reference import (
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
class OrbitMatrix:
    """What knobs do to the orbit.

    Attributes:
        knobs: Good correctors that the response knows, or their supplies.
        bpms: Good BPMs that the response knows.
        rows: Where they are among the good BPMs, (n_bpm,).
        matrix: x at them, then y, by the knobs, (2·n_bpm, n_knobs).
    """

    knobs: Knobs
    bpms: tuple[str, ...]
    rows: IntArray
    matrix: FloatArray

    def row(self, bpm: str, axis: int) -> int:
        """Return the row of a BPM, in x (0) or y (1)."""
        return self.bpms.index(bpm) + axis * len(self.bpms)

    def flat(self, orbit: OrbitResult) -> FloatArray:
        """Return an orbit of the good BPMs at these, x then y [m], (2·n_bpm,)."""
        return np.concatenate([orbit.x[self.rows], orbit.y[self.rows]])


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


def resolve(
    machine: Machine,
    response: ResponseResult | str | None,
    plan_name: str,
    units: Units = "physics",
) -> MsgGenerator[ResponseResult]:
    """Return the response itself: the one given, of a run, or the design model's.

    Raises:
        PlanError: It would be the design model's, in amperes.
    """
    if isinstance(response, ResponseResult):
        return response
    if isinstance(response, str):
        run = yield from ask(lambda: machine.runs.run(response))
        if run.start.get("plan_name") == loco_version.NAME:
            _refuse_amperes(plan_name, units)
            return (yield from _fitted_response(machine, loco_version.analyse(run)))
        return response_plan.analyse(run)
    _refuse_amperes(plan_name, units)
    log.warning(
        "%s: no measured response was given, and there is no reference in use; using "
        "the design model's",
        plan_name,
    )
    families = [getattr(machine, name) for name in (HCM, VCM) if machine.has(name)]
    actuators = tuple(name for family in families for name in family.names)
    bpms = machine.bpms.names
    matrix = yield from ask(lambda: machine.design.orbit_response(bpms, actuators))
    return _of_model(matrix, bpms, actuators)


def orbit_matrix(
    machine: Machine,
    measured: ResponseResult,
    units: Units = "physics",
    *,
    rf: bool = False,
) -> MsgGenerator[OrbitMatrix]:
    """Choose the good BPMs and correctors that a response knows.

    Args:
        machine: The machine.
        measured: The response.
        units: ``"physics"``: correctors; ``"hardware"``: the supplies behind them.
        rf: Whether the RF is a knob too.

    Raises:
        PlanError: There are none.
    """
    known = set(measured.actuators)
    knobs = correctors(machine, units, known.__contains__)
    good = machine.bpms.good().names
    rows = [i for i, name in enumerate(good) if _is_known(name, measured)]
    if not knobs.names:
        raise PlanError(_no_knobs(machine, measured, units))
    if not rows:
        raise PlanError("no good BPM is in the response")
    bpms = tuple(good[i] for i in rows)
    labels = [f"{name}:{plane}" for plane in PLANES for name in bpms]
    matrix = measured.block(labels, knobs.names)
    if rf:
        knobs = knobs.with_rf(machine)
        column = yield from _rf_column(machine, measured, labels, bpms)
        matrix = np.column_stack([matrix, column])
    return OrbitMatrix(knobs, bpms, np.array(rows), matrix)


def goal_at(goal: OrbitResult | None, bpms: Sequence[str]) -> FloatArray:
    """Return a goal at some BPMs, x then y [m], (2·n_bpm,).

    Raises:
        PlanError: It has no value for one.
    """
    if goal is None:
        return np.zeros(2 * len(bpms))
    index = {name: i for i, name in enumerate(goal.names)}
    missing = [name for name in bpms if name not in index]
    if missing:
        raise PlanError(f"the goal has no value for {', '.join(missing[:5])}")
    rows = [index[name] for name in bpms]
    return np.concatenate([goal.x[rows], goal.y[rows]])


def name_of(response: ResponseResult | str | None) -> str:
    """Return how a response is written in a start document."""
    if response is None:
        return "design model"
    return response if isinstance(response, str) else response.uid


def sources(
    response: ResponseResult | str | None, goal: OrbitResult | None = None
) -> list[str]:
    """Return the uids of the runs that a plan's response and goal are of."""
    uids = [name_of(response)] if response is not None else []
    return [uid for uid in [*uids, goal.uid if goal else ""] if uid]


def _refuse_amperes(plan_name: str, units: Units) -> None:
    if units == "hardware":
        raise PlanError(
            f"{plan_name}: the model knows no amperes; give a response of "
            "measure_orbit_response(machine, units='hardware')"
        )


def _fitted_response(machine: Machine, fit: LocoResult) -> MsgGenerator[ResponseResult]:
    """Return what a fitted model says that the machine shows, gains included."""
    members = [name for group in fit.members for name in group]

    def predict() -> FloatArray:
        setpoints = machine.design.setpoints(members).tolist()
        nominal = dict(zip(members, setpoints, strict=True))
        names, values = fit.magnets(fit.values, nominal)
        return fit.seen(
            machine.design.linear_with(fit.bpms, fit.actuators, names, values)
        )

    matrix = yield from ask(predict)
    is_rf = [name == "rf" for name in fit.actuators]
    found = _of_model(matrix, fit.bpms, fit.actuators, fit.model_version)
    if not any(is_rf):
        return found
    rf = machine.rf.info.name
    names = tuple(rf if is_rf[i] else name for i, name in enumerate(fit.actuators))
    units = tuple("m/Hz" if one else "m/rad" for one in is_rf)
    return replace(found, actuators=names, units=units)


def _of_model(
    matrix: FloatArray, bpms: Sequence[str], actuators: Sequence[str], uid: str = ""
) -> ResponseResult:
    return ResponseResult(
        matrix=matrix,
        sigma=np.full_like(matrix, np.nan),
        monitors=tuple(f"{name}:{plane}" for plane in PLANES for name in bpms),
        actuators=tuple(actuators),
        deltas=np.zeros(len(actuators)),
        units=tuple("m/rad" for _ in actuators),
        uid=uid,
    )


def _no_knobs(machine: Machine, measured: ResponseResult, units: Units) -> str:
    other: Units = "hardware" if units == "physics" else "physics"
    first = measured.actuators[0] if measured.actuators else "nothing"
    families = [getattr(machine, name) for name in (HCM, VCM) if machine.has(name)]
    has_others = all(family.supplies is not None for family in families)
    if has_others and correctors(machine, other, set(measured.actuators).__contains__):
        return (
            f"the response is in {other} units (of {first} …) and the correction in "
            f"{units} units: say units={other!r}, or give a response of "
            f"measure_orbit_response(machine, units={units!r})"
        )
    return f"no good corrector is in the response (of {first} …)"


def _is_known(bpm: str, measured: ResponseResult) -> bool:
    return all(f"{bpm}:{plane}" in measured.monitors for plane in PLANES)


def _rf_column(
    machine: Machine,
    measured: ResponseResult,
    labels: Sequence[str],
    bpms: Sequence[str],
) -> MsgGenerator[FloatArray]:
    name = machine.rf.info.name
    if name in measured.actuators:
        return measured.block(labels, [name])[:, 0]
    log.warning("the response holds no RF; using the design model's")
    column = yield from ask(lambda: machine.design.orbit_response(bpms, ["rf"]))
    return column[:, 0]
