"""Measure the orbit, and how much the monitors make of it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

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
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import Reading, in_run, take


@plan
def measure_orbit(
    machine: Machine, *, readings: int | None = None
) -> MsgGenerator[OrbitResult]:
    """Measure the orbit at all good BPMs.

    Args:
        machine: The machine.
        readings: How many readings are averaged; default: the profile's.

    Returns:
        Orbit in metres.
    """
    require(machine, [BPMS], "there is no orbit to measure")
    count = machine.defaults.orbit.readings if readings is None else readings

    def body(uid: str) -> MsgGenerator[OrbitResult]:
        events = yield from _read_many(machine.bpms, count)
        result = orbit_from_events(machine.bpms, events, uid)
        yield from write_result(orbit_note(result))
        return result

    metadata = {
        "plan_name": "measure_orbit",
        "plan_args": {"readings": count},
        "num_points": count,
    }
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
    return mean_orbit(names, s, x, y, run.uid)


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
