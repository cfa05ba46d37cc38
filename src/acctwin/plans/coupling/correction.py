"""Correct the coupling with skew quadrupoles: measure, solve, set, measure again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.coupling import SetCouplingResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.actuators import good_members, raw
from acctwin.plans.call import plan
from acctwin.plans.coupling.response import Correctors, cross_job, stored_cross
from acctwin.plans.coupling.task import Options, correct, predict, prepare
from acctwin.plans.guards import require, restoring_on_failure
from acctwin.plans.knobs import Knobs
from acctwin.plans.knobs import correctors as members
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run
from acctwin.plans.targets import Target, settable

SKEWS = "skew_quadrupoles"
_NAME = "coupling"


@plan
def set_coupling(
    machine: Machine,
    *,
    target: Literal["minimum"] = "minimum",
    skews: Sequence[Target] | None = None,
    correctors: Correctors | None = None,
    dispersion_weight: float | None = None,
    singular_values: int | None = None,
    cutoff: float | None = None,
    gain: float | None = None,
    iterations: int | None = None,
    readings: int | None = None,
    settle_s: float | None = None,
    preview: bool = False,
) -> MsgGenerator[SetCouplingResult]:
    """Make the coupling small, and with it the vertical emittance.

    Measures what some correctors do in the other plane, and the vertical dispersion;
    solves for the skew quadrupoles with the design's derivatives; sets them; measures
    again. It ends when the iterations are used up or one gains less than 1 %; an
    iteration that makes it worse is taken back. Rolls of BPMs and correctors look like
    coupling and are not known here: with an rms roll φ of the BPMs, about φ of the
    ratio stays, and with very small ``cutoff`` the skews fight what is not there.

    Args:
        machine: The machine.
        target: ``"minimum"``; an emittance ratio cannot be asked for.
        skews: Skew quadrupoles; default: all good ones.
        correctors: How many of each plane the response is measured with, or which;
            default: as many as the profile says.
        dispersion_weight: Of the vertical dispersion, in units of the horizontal one,
            against the orbit response, in units of its direct part; default: the
            profile's.
        singular_values: How many are kept; default: the profile's.
        cutoff: Drop singular values below this fraction of the largest; default: the
            profile's. ``singular_values`` comes first.
        gain: Fraction of the solution that is applied; default: the profile's.
        iterations: At most this many; default: the profile's.
        readings: Averaged at every step; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.
        preview: Measure, and only say what would be done.

    Raises:
        PlanError: No skew quadrupoles, or no correctors or BPMs.
        LimitError: The solution leaves the limits; nothing of it was set.
    """
    require(machine, [SKEWS], "the coupling cannot be corrected")
    if target != "minimum":
        raise PlanError(f"target is 'minimum', not {target!r}")
    by_cutoff = singular_values is None and cutoff is not None
    default = machine.defaults.coupling
    options = Options(
        None if by_cutoff else _either(singular_values, default.singular_values),
        _either(cutoff, default.cutoff),
        _either(dispersion_weight, default.dispersion_weight),
        _either(gain, default.gain),
        _either(iterations, default.iterations),
    )
    if options.dispersion_weight < 0.0 or options.iterations < 1:
        raise PlanError(
            "dispersion_weight is 0 or more and iterations 1 or more, found "
            f"{options.dispersion_weight!r} and {options.iterations!r}"
        )
    knobs = _skews(machine, skews)
    behind = raw(knobs.devices)
    job = cross_job(machine, correctors, readings, settle_s, [*knobs.devices, *behind])

    def body(uid: str) -> MsgGenerator[SetCouplingResult]:
        task = yield from prepare(job, knobs, options, uid)
        work = predict if preview else correct

        def correcting() -> MsgGenerator[SetCouplingResult]:
            result = yield from work(task)
            yield from write_result(_note(result))
            return result

        return (yield from restoring_on_failure(behind, correcting))

    metadata = {
        "plan_name": "set_coupling",
        "plan_args": {
            "target": target,
            "skews": list(knobs.names),
            "actuators": [knob.info.name for knob in job.job.knobs],
            "readings": job.job.readings,
            "settle_s": job.job.settle_s,
            **asdict(options),
            "preview": preview,
        },
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> SetCouplingResult:
    """Return what a stored run of ``set_coupling`` did.

    The couplings are computed again from its readings; what was decided is in its
    result.
    """
    stream = run["result"]
    before = stored_cross(run)
    iterations = int(stream[f"{_NAME}_iterations"][0])
    is_preview = bool(stream.config(f"{_NAME}_is_preview"))
    after = stored_cross(run, iterations)
    if is_preview:
        after = before.with_matrix(stream[f"{_NAME}_matrix"][0])
    return SetCouplingResult(
        before=before,
        after=after,
        skews=tuple(str(name) for name in stream.config(f"{_NAME}_skews")),
        steps=stream[f"{_NAME}_steps"][0],
        setpoints=stream[f"{_NAME}_setpoints"][0],
        unit=str(stream.config(f"{_NAME}_unit")),
        residual=stream[f"{_NAME}_residual"][0],
        kept=int(stream[f"{_NAME}_kept"][0]),
        iterations=iterations,
        stopped=str(stream.config(f"{_NAME}_stopped")),
        is_preview=is_preview,
        uid=run.uid,
    )


def _skews(machine: Machine, skews: Sequence[Target] | None) -> Knobs:
    """Return the skew quadrupoles that are set.

    Raises:
        PlanError: There are none, or a magnet is no skew quadrupole.
    """
    family = machine[SKEWS]
    names = family.good().names
    if skews is not None:
        chosen = good_members([settable(machine, target) for target in skews])
        names = tuple(magnet.info.name for magnet in chosen)
    strange = [name for name in names if name not in family.names]
    if strange:
        raise PlanError(f"{strange[0]} is not one of the machine's skew quadrupoles")
    if not names:
        raise PlanError("no skew quadrupole is good: the coupling cannot be corrected")
    return members(machine, "physics", set(names).__contains__, [SKEWS])


def _note(result: SetCouplingResult) -> Note:
    return Note(
        _NAME,
        {
            "matrix": result.after.response.matrix,
            "value": np.array([result.after.value, result.after.sigma]),
            "steps": result.steps,
            "setpoints": result.setpoints,
            "residual": result.residual,
            "kept": result.kept,
            "iterations": result.iterations,
        },
        {"steps": result.unit, "setpoints": result.unit},
        {
            "skews": list(result.skews),
            "unit": result.unit,
            "stopped": result.stopped,
            "is_preview": result.is_preview,
        },
    )


def _either(given: Any, default: Any) -> Any:
    return default if given is None else given
