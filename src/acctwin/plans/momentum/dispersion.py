"""Measure the dispersion: move the RF, read the orbit."""

from __future__ import annotations

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.dispersion import DispersionResult, fit_dispersion
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.names import BPMS
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.momentum.rf import largest_step, rf_restored
from acctwin.plans.momentum.rf_scan import (
    RfScan,
    check_scan,
    evenly,
    present_rf,
    scan_rf,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits.orbit import positions, stored_positions
from acctwin.plans.stubs import ask, in_run


@plan
def measure_dispersion(
    machine: Machine,
    *,
    delta_hz: float | None = None,
    points: int | None = None,
    readings: int | None = None,
    settle_s: float | None = None,
    max_step_hz: float | None = None,
) -> MsgGenerator[DispersionResult]:
    """Measure what the momentum does to the orbit.

    The RF is moved to both sides of where it is, and put back.

    Args:
        machine: The machine.
        delta_hz: Range of the RF from end to end [Hz]; default: its step in the
            profile, which is about 0.2 % in momentum.
        points: At how many frequencies; from three on the curvature is fitted too;
            default: the profile's.
        readings: Averaged at each; default: the profile's.
        settle_s: Extra wait at each [s]; default: the profile's.
        max_step_hz: Largest step of the RF [Hz]; default: see ``set_rf``.

    Returns:
        Dispersion at the good BPMs in metres.

    Raises:
        LimitError: The RF would leave its limits; nothing was moved.
        BeamLost: Says at which momentum.
    """
    require(machine, ["rf"], "the momentum cannot be changed")
    require(machine, [BPMS], "there is no orbit to measure")
    default = machine.defaults.dispersion
    total = machine.rf.delta if delta_hz is None else delta_hz
    offsets = evenly(default.points if points is None else points, total)
    count = default.readings if readings is None else readings
    settle = machine.defaults.response.settle_s if settle_s is None else settle_s
    step_hz = largest_step(machine, max_step_hz)

    def body(uid: str) -> MsgGenerator[DispersionResult]:
        slip = yield from ask(machine.design.slip_factor)
        rf_hz = yield from present_rf(machine)
        check_scan(machine, rf_hz, total, slip)
        scan = RfScan(rf_hz, slip, offsets, count, settle, step_hz)
        note = scan.note()
        events = yield from rf_restored(
            machine, step_hz, lambda: scan_rf(machine, scan, [machine.bpms], note)
        )
        x, y = positions(machine.bpms, events)
        good = machine.bpms.good()
        result = fit_dispersion(
            good.names,
            machine.bpms.s[list(good.indices)],
            x,
            y,
            np.array([event["scan_offset"] for event in events]),
            rf_hz=rf_hz,
            slip_factor=slip,
            uid=uid,
        )
        yield from write_result(_note(result))
        return result

    metadata = {
        "plan_name": "measure_dispersion",
        "plan_args": {
            "delta_hz": total,
            "points": len(offsets),
            "readings": count,
            "settle_s": settle,
            "max_step_hz": step_hz,
        },
        "num_points": len(offsets) * count,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> DispersionResult:
    """Return the dispersion of a stored run, from its readings alone."""
    x, y, names, s = stored_positions(run)
    stream = run["primary"]
    return fit_dispersion(
        names,
        s,
        x,
        y,
        np.asarray(stream["scan_offset"], dtype=np.float64),
        rf_hz=float(stream.config("scan_rf")),
        slip_factor=float(stream.config("scan_slip_factor")),
        uid=run.uid,
    )


def _note(result: DispersionResult) -> Note:
    keys = ("eta_x", "eta_y", "sigma_x", "sigma_y")
    return Note(
        "dispersion",
        {key: getattr(result, key) for key in keys},
        dict.fromkeys(keys, "m"),
        {"names": list(result.names)},
    )
