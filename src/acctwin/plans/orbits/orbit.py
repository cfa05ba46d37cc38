"""Measure the orbit, and how much the monitors make of it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.loco.version import LocoResult
from acctwin.analysis.orbit import (
    NoiseResult,
    OrbitResult,
    estimate_noise,
    mean_orbit,
)
from acctwin.data.runs import Run
from acctwin.devices.bpm import Bpms
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import BPMS, BoolArray, FloatArray
from acctwin.plans import loco_version
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.saving.reference import GAINS, current_reference
from acctwin.plans.stubs import Reading, ask, in_run, take


@plan
def measure_orbit(
    machine: Machine, *, readings: int | None = None, calibrated: bool = False
) -> MsgGenerator[OrbitResult]:
    """Measure the orbit at all good BPMs.

    Args:
        machine: The machine.
        readings: How many readings are averaged; default: the profile's.
        calibrated: Take out the gains and couplings of the BPMs that LOCO has found;
            they are those of the reference (kind ``"gains"``). Readings are stored
            as they are.

    Returns:
        Orbit in metres.

    Raises:
        PlanError: It is to be calibrated, and there is no such reference.
        UnknownName: The reference has no gains of a good BPM.
    """
    require(machine, [BPMS], "there is no orbit to measure")
    count = machine.defaults.orbit.readings if readings is None else readings
    fit = (yield from _calibration(machine)) if calibrated else None
    good = _names(machine.bpms, machine.bpms.status)
    gains = None if fit is None else fit.bpm_gains(good)

    def body(uid: str) -> MsgGenerator[OrbitResult]:
        events = yield from _read_many(machine.bpms, count)
        result = orbit_from_events(machine.bpms, events, uid)
        note = orbit_note(result)
        if gains is not None:
            result = result.without_gains(gains)
            note = orbit_note(result)
            note.values["gains"] = gains
        yield from write_result(note)
        return result

    metadata: dict[str, Any] = {
        "plan_name": "measure_orbit",
        "plan_args": {"readings": count, "calibrated": calibrated},
        "num_points": count,
    }
    if fit is not None:
        metadata["derived_from"] = [fit.model_version]
    return (yield from in_run(body, metadata))


@plan
def monitor_orbit(
    machine: Machine, *, readings: int | None = None
) -> MsgGenerator[NoiseResult]:
    """Estimate the noise of each BPM from repeated readings of a still machine.

    Args:
        machine: The machine.
        readings: How many, at least 2; default: the profile's.

    Returns:
        Noise of one reading at each good BPM, in metres.
    """
    require(machine, [BPMS], "there is no orbit to monitor")
    count = machine.defaults.orbit.monitor_readings if readings is None else readings
    if count < 2:
        raise PlanError(f"monitor_orbit needs at least 2 readings, not {count}")

    def body(uid: str) -> MsgGenerator[NoiseResult]:
        events = yield from _read_many(machine.bpms, count)
        bpms = machine.bpms
        x, y = positions(bpms, events)
        good = bpms.status
        result = estimate_noise(_names(bpms, good), bpms.s[good], x, y, uid)
        values = {"x": result.noise_x, "y": result.noise_y}
        units = {"x": "m", "y": "m"}
        yield from write_result(
            Note("noise", values, units, {"names": list(result.names)})
        )
        return result

    metadata = {
        "plan_name": "monitor_orbit",
        "plan_args": {"readings": count},
        "num_points": count,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> OrbitResult:
    """Return the orbit of a stored run of ``measure_orbit``."""
    x, y, names, s = stored_positions(run)
    found = mean_orbit(names, s, x, y, run.uid)
    if not run.start["plan_args"].get("calibrated"):
        return found
    return found.without_gains(np.asarray(run["result"]["orbit_gains"][0]))


def analyse_noise(run: Run) -> NoiseResult:
    """Return the noise of a stored run of ``monitor_orbit``."""
    x, y, names, s = stored_positions(run)
    return estimate_noise(names, s, x, y, run.uid)


def stored_positions(
    run: Run,
) -> tuple[FloatArray, FloatArray, tuple[str, ...], FloatArray]:
    """Return x, y (n_events, n) [m], names and s [m] of the BPMs that were good."""
    stream = run["primary"]
    good = np.asarray(stream.config("bpms_status"), dtype=bool)
    names = tuple(np.asarray(stream.config("bpms_names"), dtype=str)[good].tolist())
    s = np.asarray(stream.config("bpms_s"), dtype=np.float64)[good]
    return stream["bpms_x"][:, good], stream["bpms_y"][:, good], names, s


def orbit_from_events(
    bpms: Bpms, events: Sequence[Reading], uid: str = ""
) -> OrbitResult:
    """Return the mean orbit at the good BPMs of events just taken."""
    good = bpms.status
    x, y = positions(bpms, events)
    return mean_orbit(_names(bpms, good), bpms.s[good], x, y, uid)


def positions(bpms: Bpms, events: Sequence[Reading]) -> tuple[FloatArray, FloatArray]:
    """Return x and y at the good BPMs of events just taken [m], (n_events, n)."""
    good = bpms.status
    x = np.array([event[f"{bpms.name}_x"] for event in events])
    y = np.array([event[f"{bpms.name}_y"] for event in events])
    return x[:, good], y[:, good]


def orbit_note(result: OrbitResult) -> Note:
    """Return what is stored of an orbit."""
    values: dict[str, Any] = {"x": result.x, "y": result.y}
    return Note("orbit", values, {"x": "m", "y": "m"}, {"names": list(result.names)})


def _calibration(machine: Machine) -> MsgGenerator[LocoResult]:
    uid = yield from current_reference(machine, GAINS)
    if uid is None:
        raise PlanError(
            f"{machine.title} has no gains reference to calibrate the orbit with: fit "
            "a measure_loco, and promote_reference(machine, 'gains', model_version)"
        )
    return loco_version.analyse((yield from ask(lambda: machine.runs.run(uid))))


def _read_many(bpms: Bpms, count: int) -> MsgGenerator[list[Reading]]:
    if count < 1:
        raise PlanError(f"at least 1 reading is needed, not {count}")
    events: list[Reading] = []
    for _ in range(count):
        yield Msg("checkpoint")
        events.append((yield from take([bpms])))
    return events


def _names(bpms: Bpms, good: BoolArray) -> tuple[str, ...]:
    return tuple(np.array(bpms.names)[good].tolist())
