"""Response matrices: move actuators one by one, read the monitors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bluesky.utils import MsgGenerator

from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.columns import Monitor
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import BPMS, HCM, VCM
from acctwin.plans.actuators import Actuators, Units
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.response_walk import (
    Job,
    Taken,
    job_of,
    step_note,
    stored_taken,
    taken_by,
    walk,
)
from acctwin.plans.stubs import in_run

Method = Literal["bipolar", "unipolar"]


@plan
def measure_orbit_response(
    machine: Machine,
    *,
    correctors: Sequence[Actuators] | None = None,
    scale: float = 1.0,
    method: Method = "bipolar",
    units: Units = "physics",
    readings: int | None = None,
    settle_s: float | None = None,
) -> MsgGenerator[ResponseResult]:
    """Measure what each corrector does to the orbit at every good BPM.

    Args:
        machine: The machine.
        correctors: Which; default: all good ones, horizontal then vertical.
        scale: Of the steps in the profile.
        method: ``"bipolar"``: ±half a step; ``"unipolar"``: zero and a full step.
        units: ``"physics"``: strengths are moved; ``"hardware"``: the currents of the
            supplies behind them.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.

    Returns:
        Matrix in m/rad: x at all BPMs then y at all, by correctors.
    """
    require(machine, [BPMS], "there is no orbit to measure")
    if correctors is None:
        require(machine, [HCM, VCM], "there are no correctors to move")
        correctors = [machine.hcm, machine.vcm]
    return (
        yield from _measure(
            "measure_orbit_response",
            machine,
            correctors,
            [machine.bpms],
            scale=scale,
            method=method,
            units=units,
            readings=readings,
            settle_s=settle_s,
        )
    )


@plan
def measure_response(
    machine: Machine,
    actuators: Sequence[Actuators],
    monitors: Sequence[Monitor],
    *,
    scale: float = 1.0,
    method: Method = "bipolar",
    units: Units = "physics",
    readings: int | None = None,
    settle_s: float | None = None,
) -> MsgGenerator[ResponseResult]:
    """Measure what any actuators do to any monitors.

    Each actuator is moved on its own by its step of the profile, and put back
    before the next one moves.

    Args:
        machine: The machine.
        actuators: Families (their good members), selections, magnets, the RF.
        monitors: Devices that say what they measure: BPMs, the tune monitor.
        scale: Of the steps in the profile.
        method: ``"bipolar"``: ±half a step; ``"unipolar"``: zero and a full step.
        units: ``"physics"``: strengths are moved; ``"hardware"``: the currents of the
            supplies behind them.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.

    Returns:
        Matrix, good monitors by good actuators.

    Raises:
        PlanError: Nothing to move or to read.
        LimitError: A step would leave the limits; nothing was moved.
    """
    return (
        yield from _measure(
            "measure_response",
            machine,
            actuators,
            monitors,
            scale=scale,
            method=method,
            units=units,
            readings=readings,
            settle_s=settle_s,
        )
    )


def analyse(run: Run) -> ResponseResult:
    """Return the response matrix of a stored run, from its readings alone."""
    stream = run["primary"]
    taken = stored_taken(stream)
    return taken.fit({key: stream[key] for key in taken.all_keys}, run.uid)


def _measure(
    name: str,
    machine: Machine,
    actuators: Sequence[Actuators],
    monitors: Sequence[Monitor],
    *,
    scale: float,
    method: Method,
    units: Units,
    readings: int | None,
    settle_s: float | None,
) -> MsgGenerator[ResponseResult]:
    job = job_of(
        machine,
        actuators,
        monitors,
        offsets=_offsets(method, scale),
        units=units,
        readings=readings,
        settle_s=settle_s,
    )
    taken = taken_by(job)
    metadata = {
        "plan_name": name,
        "plan_args": {
            "actuators": [device.name for device in job.moved],
            "monitors": [monitor.name for monitor in monitors],
            "scale": scale,
            "method": method,
            "units": units,
            "readings": job.readings,
            "settle_s": job.settle_s,
        },
        "num_points": len(job.knobs) * len(job.offsets) * job.readings,
    }
    return (yield from in_run(lambda uid: _run(job, taken, uid), metadata))


def _run(job: Job, taken: Taken, uid: str) -> MsgGenerator[ResponseResult]:
    result = yield from walk(job, taken, step_note(taken, job.knobs), uid)
    yield from write_result(_result_note(result))
    return result


def _offsets(method: Method, scale: float) -> tuple[float, float]:
    if method not in ("bipolar", "unipolar"):
        raise PlanError(f"method is 'bipolar' or 'unipolar', not {method!r}")
    if not scale > 0.0:
        raise PlanError(f"scale is a positive number, not {scale!r}")
    return (scale / 2, -scale / 2) if method == "bipolar" else (0.0, scale)


def _result_note(result: ResponseResult) -> Note:
    units = set(result.units)
    unit = units.pop() if len(units) == 1 else "various"
    return Note(
        "response",
        {"matrix": result.matrix, "sigma": result.sigma, "deltas": result.deltas},
        {"matrix": unit, "sigma": unit},
        {
            "monitors": list(result.monitors),
            "actuators": list(result.actuators),
            "units": list(result.units),
        },
    )
