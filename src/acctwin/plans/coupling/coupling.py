"""Measure the coupling: in the orbit response, in the tunes, in the emittances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.coupling import (
    CouplingMethod,
    CouplingResult,
    CrossResponse,
    EmittanceRatio,
    emittance_ratio,
)
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import plan
from acctwin.plans.coupling.response import Correctors, cross_job, stored_cross
from acctwin.plans.coupling.tunes import NAME, Approach, stored_approach
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import Reading, in_run, take
from acctwin.plans.targets import Target
from acctwin.plans.tunes.knobs import tune_knobs
from acctwin.plans.tunes.reading import check_request

#: What a method does: metadata, and the plan inside the run, given its uid.
_Found = tuple[CouplingResult, Note]
_Work = tuple[dict[str, Any], Callable[[str], MsgGenerator[_Found]]]


@plan
def measure_coupling(
    machine: Machine,
    *,
    method: CouplingMethod = "response",
    correctors: Correctors | None = None,
    quadrupoles: Sequence[Target] | None = None,
    span: float | None = None,
    readings: int | None = None,
    settle_s: float | None = None,
) -> MsgGenerator[CouplingResult]:
    """Measure how strongly the horizontal and the vertical plane are coupled.

    Everything that is moved is put back.

    Args:
        machine: The machine.
        method: ``"response"``: a few correctors of each plane are moved, and the RF;
            what the orbit does in the other plane, against what it does in its own,
            and the vertical dispersion. ``"tunes"``: quadrupoles bring the tunes
            together; how near they come is |C⁻|. ``"emittance"``: the ratio that the
            emittance monitor shows.
        correctors: For ``"response"``: how many of each plane, evenly spaced, or
            which; default: as many as the profile says.
        quadrupoles: For ``"tunes"``: families or selections; default: those that set
            the tunes (``defaults: {tune: {families: …}}``).
        span: For ``"tunes"``: how far the scan of Qx − Qy goes to both sides; default:
            the profile's.
        readings: Averaged at every step; default: the profile's.
        settle_s: For ``"response"``: extra wait after every move [s]; default: the
            profile's.

    Returns:
        :class:`~acctwin.analysis.coupling.CrossResponse`,
        :class:`~acctwin.analysis.coupling.ClosestTunes` or
        :class:`~acctwin.analysis.coupling.EmittanceRatio`.

    Raises:
        PlanError: The machine lacks what the method needs; or the tunes are too far
            apart for the limits of the quadrupoles.
        LimitError: A step would leave the limits; nothing was moved.
        DataError: The tunes do not meet within the span.
    """
    if method == "response":
        work = _response(machine, correctors, readings, settle_s)
    elif method == "tunes":
        work = _tunes(machine, quadrupoles, span, readings)
    elif method == "emittance":
        work = _emittance(machine, readings)
    else:
        known = ", ".join(repr(name) for name in get_args(CouplingMethod))
        raise PlanError(f"method is one of {known}, not {method!r}")
    metadata, measuring = work

    def body(uid: str) -> MsgGenerator[CouplingResult]:
        result, note = yield from measuring(uid)
        yield from write_result(note)
        return result

    metadata["plan_name"] = "measure_coupling"
    metadata["plan_args"]["method"] = method
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> CouplingResult:
    """Return the coupling of a stored run of ``measure_coupling``."""
    method = run.start["plan_args"]["method"]
    if method == "response":
        return stored_cross(run)
    if method == "tunes":
        return stored_approach(run)
    stream = run["primary"]
    return emittance_ratio(stream["emittance_ex"], stream["emittance_ey"], run.uid)


def cross_note(result: CrossResponse) -> Note:
    """Return what is stored of a coupling in the orbit response."""
    return Note(
        NAME,
        {
            "value": np.array([result.value, result.sigma]),
            "noise": result.noise,
            "eta_y": result.eta_y,
            "sigma_eta_y": result.sigma_eta_y,
        },
        {"eta_y": "m", "sigma_eta_y": "m"},
        {"names": list(result.names)},
    )


def _response(
    machine: Machine,
    correctors: Correctors | None,
    readings: int | None,
    settle_s: float | None,
) -> _Work:
    job = cross_job(machine, correctors, readings, settle_s)

    def measuring(uid: str) -> MsgGenerator[_Found]:
        result = yield from job.measure((yield from job.note()), uid)
        return result, cross_note(result)

    arguments = {
        "actuators": [knob.info.name for knob in job.job.knobs],
        "readings": job.job.readings,
        "settle_s": job.job.settle_s,
    }
    return {"plan_args": arguments, "num_points": job.points}, measuring


def _tunes(
    machine: Machine,
    quadrupoles: Sequence[Target] | None,
    span: float | None,
    readings: int | None,
) -> _Work:
    check_request(machine, "monitor", readings)
    default = machine.defaults.coupling
    reach = default.span if span is None else span
    if not 0.0 < reach < 0.5:
        raise PlanError(f"span is between 0 and 0.5, not {reach!r}")
    knobs = tune_knobs(machine, quadrupoles)
    count = default.readings if readings is None else readings
    approach = Approach(machine, knobs, reach, default.points, count)

    def measuring(uid: str) -> MsgGenerator[_Found]:
        result, view = yield from approach.measure(uid)
        values = {
            "value": np.array([result.value, result.sigma]),
            "center": result.center,
            "slope": result.slope,
        }
        return result, Note(NAME, values, configuration=view.configuration())

    arguments = {
        "quadrupoles": [knob.name for knob in knobs],
        "span": reach,
        "points": default.points,
        "readings": count,
    }
    points = (1 + 2 * default.points) * count
    return {"plan_args": arguments, "num_points": points}, measuring


def _emittance(machine: Machine, readings: int | None) -> _Work:
    require(machine, ["emittance"], "no emittance can be read")
    count = machine.defaults.coupling.readings if readings is None else readings
    if count < 1:
        raise PlanError(f"at least 1 reading is needed, not {count}")

    def measuring(uid: str) -> MsgGenerator[_Found]:
        events: list[Reading] = []
        for _ in range(count):
            yield Msg("checkpoint")
            events.append((yield from take([machine.emittance])))
        ex, ey = (
            np.array([event[f"emittance_{key}"] for event in events])
            for key in ("ex", "ey")
        )
        result = emittance_ratio(ex, ey, uid)
        return result, _emittance_note(result)

    return {"plan_args": {"readings": count}, "num_points": count}, measuring


def _emittance_note(result: EmittanceRatio) -> Note:
    return Note(
        NAME,
        {
            "value": np.array([result.value, result.sigma]),
            "ex": np.array([result.ex, result.sigma_ex]),
            "ey": np.array([result.ey, result.sigma_ey]),
        },
        {"ex": "m rad", "ey": "m rad"},
    )
