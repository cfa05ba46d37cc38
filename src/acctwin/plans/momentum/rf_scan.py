"""Scan the momentum with the RF: step by step to each frequency, read, come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.rf import momentum
from acctwin.devices.ring import Machine
from acctwin.errors import BeamLost, LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans.guards import check_arrived
from acctwin.plans.momentum.rf import ramp_rf
from acctwin.plans.note import Note
from acctwin.plans.stubs import Reading, setpoints, take

#: Looks at an event that was just taken; raises what is wrong with it.
Check = Callable[[Reading], None]


@dataclass(frozen=True)
class RfScan:
    """Where the RF goes, and what is read there.

    Attributes:
        rf_hz: Where it starts from [Hz].
        slip_factor: η = αc − 1/γ² of the design.
        offsets: Changes of the frequency [Hz], (n_points,).
        readings: Events at each.
        settle_s: Extra wait before the first of them [s].
        step_hz: The RF moves in steps of this at most [Hz].
    """

    rf_hz: float
    slip_factor: float
    offsets: FloatArray
    readings: int
    settle_s: float
    step_hz: float

    def note(self, **configuration: Any) -> Note:
        """Return what the scan writes into each event, and once for all of them."""
        fixed = {"rf": self.rf_hz, "slip_factor": self.slip_factor}
        return Note("scan", {"offset": 0.0}, {"offset": "Hz"}, fixed | configuration)


def evenly(points: int, total: float) -> FloatArray:
    """Return offsets at even distances, centred, from end to end, (points,).

    Raises:
        PlanError: Fewer than two points, or no range.
    """
    if points < 2:
        raise PlanError(f"a scan of the RF needs at least 2 points, not {points}")
    if not (np.isfinite(total) and total > 0.0):
        raise PlanError(f"the range of a scan is a positive number, not {total!r}")
    return np.linspace(-total / 2, total / 2, points)


def check_scan(machine: Machine, rf_hz: float, total: float, slip: float) -> None:
    """Check that the RF may go half a range to both sides.

    Args:
        machine: The machine.
        rf_hz: Where the RF is [Hz].
        total: The range [Hz].
        slip: η = αc − 1/γ² of the design.

    Raises:
        LimitError: It may not; the message says what range it has. Nothing was moved.
    """
    low, high = machine.rf.limits
    possible = max(0.0, 2.0 * min(rf_hz - low, high - rf_hz))
    if total > possible:
        wanted, most = (abs(r / rf_hz / slip) for r in (total, possible))
        raise LimitError(
            f"{machine.rf.info.name}: a range of {wanted:.3g} in momentum is "
            f"{total:.6g} Hz about {rf_hz:.9g} Hz, and the limits are {low:.9g} to "
            f"{high:.9g} Hz: {most:.3g} in momentum ({possible:.6g} Hz) is possible; "
            "nothing was moved"
        )


def present_rf(machine: Machine) -> MsgGenerator[float]:
    """Return where the RF is set to [Hz]."""
    (here,) = yield from setpoints([machine.rf])
    return float(here)


def scan_rf(
    machine: Machine,
    scan: RfScan,
    devices: Sequence[Any],
    note: Note,
    check: Check | None = None,
) -> MsgGenerator[list[Reading]]:
    """Go through the frequencies and read; the caller brings the RF back.

    Args:
        machine: The machine.
        scan: Where the RF goes.
        devices: What is read, besides the RF.
        note: Of :meth:`RfScan.note`.
        check: Looks at each event.

    Raises:
        BeamLost: Says at which momentum.
    """
    events: list[Reading] = []
    for offset in scan.offsets.tolist():
        yield from ramp_rf(machine, scan.rf_hz + offset, scan.step_hz)
        if scan.settle_s:
            yield from bps.sleep(scan.settle_s)
        note.values["offset"] = offset
        for _ in range(scan.readings):
            yield Msg("checkpoint")
            try:
                event = yield from take([note, *devices, machine.rf])
            except BeamLost as error:
                raise BeamLost(_lost(scan, offset, error)) from error
            check_arrived([machine.rf], event)
            if check is not None:
                check(event)
            events.append(event)
    return events


def _lost(scan: RfScan, offset: float, error: BeamLost) -> str:
    delta = float(momentum(np.array(offset), scan.rf_hz, scan.slip_factor))
    return (
        f"no beam at a momentum of {delta:+.2%} ({offset:+.6g} Hz): {error}; choose a "
        "smaller range"
    )
