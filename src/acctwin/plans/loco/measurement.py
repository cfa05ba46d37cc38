"""Measure what LOCO needs: the noise of the BPMs, and the whole orbit response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluesky.preprocessors import inject_md_wrapper
from bluesky.utils import MsgGenerator

from acctwin.analysis.loco.measurement import LocoMeasurement, gathered
from acctwin.analysis.orbit import NoiseResult
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import DataError, PlanError
from acctwin.names import BPMS, HCM, VCM
from acctwin.plans import response
from acctwin.plans.actuators import Actuators, good_members
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits import orbit
from acctwin.plans.stubs import ask, in_run

#: Start document of a part: the runs of the same measurement that were before it.
BEFORE = "loco_before"


@dataclass(frozen=True)
class _Part:
    """Some actuators that are measured in one run."""

    names: tuple[str, ...]
    actuators: tuple[Actuators, ...]


@plan
def measure_loco(
    machine: Machine,
    *,
    correctors: Sequence[Actuators] | None = None,
    rf: bool | None = None,
    scale: float = 1.0,
    readings: int | None = None,
    noise_readings: int | None = None,
    settle_s: float | None = None,
    chunk: int = 48,
    resume: str | None = None,
) -> MsgGenerator[LocoMeasurement]:
    """Measure the response of the orbit to correctors and to the RF.

    It is a set of runs: the noise of the BPMs, then some correctors in each. A
    measurement that was stopped goes on where it was: the run that was not finished is
    measured again, those before it are not.

    Args:
        machine: The machine.
        correctors: Which; default: all good ones, horizontal then vertical.
        rf: Whether the RF frequency is an actuator too; default: if there is one.
        scale: Of the steps in the profile.
        readings: Averaged at every step; default: the profile's.
        noise_readings: Of the still machine; default: the profile's.
        settle_s: Extra wait after every move [s]; default: the profile's.
        chunk: Correctors in each run.
        resume: The last run of a measurement that was stopped.

    Returns:
        The response and the noise; ``acctwin.workflows.loco.fit`` takes its uid.

    Raises:
        PlanError: There are no correctors or no BPMs.
        DataError: The runs to go on with are of other BPMs.
    """
    require(machine, [BPMS, HCM, VCM], "there is no response to fit")
    if chunk < 1:
        raise PlanError(f"chunk is at least 1, not {chunk}")
    parts = _parts(machine, correctors, chunk, rf)
    noise, done = yield from _earlier(machine, resume)
    count = machine.defaults.response.readings if readings is None else readings
    uids = [noise.uid, *(part.uid for part in done)] if noise else []
    if noise is None:
        noise = yield from _linked(
            orbit.monitor_orbit(machine, readings=noise_readings), uids
        )
        uids.append(noise.uid)
    known = {name for part in done for name in part.actuators}
    for part in parts:
        if not known.issuperset(part.names):
            measuring = response.measure_orbit_response(
                machine,
                correctors=part.actuators,
                scale=scale,
                readings=count,
                settle_s=settle_s,
            )
            done.append((yield from _linked(measuring, uids)))
            uids.append(done[-1].uid)
    return (yield from _gather(noise, done, count, resume))


def analyse(run: Run, parts: Mapping[str, Run]) -> LocoMeasurement:
    """Return a stored measurement, from its readings alone.

    Args:
        run: Of ``measure_loco``.
        parts: The runs that it is derived from, by uid.
    """
    first, *others = run.start["derived_from"]
    noise = orbit.analyse_noise(parts[first])
    done = [response.analyse(parts[uid]) for uid in others]
    return gathered(noise, done, int(run.start["plan_args"]["readings"]), run.uid)


def _parts(
    machine: Machine,
    correctors: Sequence[Actuators] | None,
    chunk: int,
    rf: bool | None,
) -> list[_Part]:
    """Return the actuators of each run: correctors in order, then the RF."""
    families = [machine.hcm, machine.vcm]
    asked = {magnet.info.name for magnet in good_members(correctors or families)}
    found = list[_Part]()
    for family in families:
        names = [name for name in family.names if name in asked]
        asked -= set(names)
        for begin in range(0, len(names), chunk):
            some = tuple(names[begin : begin + chunk])
            found.append(_Part(some, (family.select(*some),)))
    if asked:
        raise PlanError(f"{min(asked)} is not one of the machine's correctors")
    if rf or (rf is None and machine.has("rf")):
        require(machine, ["rf"], "its frequency cannot be stepped")
        found.append(_Part((machine.rf.info.name,), (machine.rf,)))
    return found


def _earlier(
    machine: Machine, resume: str | None
) -> MsgGenerator[tuple[NoiseResult | None, list[ResponseResult]]]:
    """Return what the runs of a stopped measurement hold."""
    if resume is None:
        return None, []

    def read() -> tuple[NoiseResult | None, list[ResponseResult]]:
        last: Run = machine.runs.run(resume)
        if BEFORE not in last.start:
            raise DataError(
                f"run {last.uid} is a {last.start['plan_name']}, not a part of a "
                "measure_loco: name the last run of the measurement to go on with"
            )
        runs = [machine.runs.run(uid) for uid in last.start[BEFORE]]
        runs += [last] if _is_whole(last) else []
        if not runs:
            return None, []
        return orbit.analyse_noise(runs[0]), [response.analyse(r) for r in runs[1:]]

    return (yield from ask(read))


def _is_whole(run: Run) -> bool:
    return run.stop is not None and run.stop["exit_status"] == "success"


def _linked(part: MsgGenerator[Any], before: Sequence[str]) -> MsgGenerator[Any]:
    return (yield from inject_md_wrapper(part, {BEFORE: list(before)}))


def _gather(
    noise: NoiseResult,
    done: Sequence[ResponseResult],
    readings: int,
    resume: str | None,
) -> MsgGenerator[LocoMeasurement]:
    """Write the whole as a run of its own."""

    def body(uid: str) -> MsgGenerator[LocoMeasurement]:
        found = gathered(noise, done, readings, uid)
        yield from write_result(_note(found))
        return found

    metadata = {
        "plan_name": "measure_loco",
        "plan_args": {"readings": readings, "resume": resume},
        "derived_from": [noise.uid, *(part.uid for part in done)],
    }
    return (yield from in_run(body, metadata))


def _note(found: LocoMeasurement) -> Note:
    whole = found.response
    return Note(
        "loco",
        {"matrix": whole.matrix, "deltas": whole.deltas, "noise": found.noise},
        {"noise": "m"},
        {
            "bpms": list(found.bpms),
            "actuators": list(whole.actuators),
            "units": list(whole.units),
        },
    )
