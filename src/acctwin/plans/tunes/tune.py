"""Measure the tunes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.tune import TuneMethod, TuneResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.names import Plane
from acctwin.plans.call import plan
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run
from acctwin.plans.tunes.reading import (
    TuneView,
    charged,
    check_request,
    read_tunes,
    say_if_ambiguous,
    stored_events,
    stored_view,
    tune_view,
)

_NAME = "tunes"


@plan
def measure_tune(
    machine: Machine,
    *,
    method: TuneMethod = "monitor",
    readings: int | None = None,
    above_half: Mapping[Plane, bool] | None = None,
    kick_x: float | None = None,
    kick_y: float | None = None,
) -> MsgGenerator[TuneResult]:
    """Measure the tunes, with the tune monitor or by kicking the beam.

    The integer part is the one that brings a tune nearest to the design's. Where the
    monitor shows the distance from the nearest integer only (``defaults: {tune:
    {folded: true}}`` in the profile), so is the side of the half-integer; turn-by-turn
    records tell it by the phases at the BPMs.

    Args:
        machine: The machine.
        method: ``"monitor"``, or ``"turns"``: the pinger kicks the beam in both planes
            and the BPMs record it turn by turn.
        readings: Readings of the monitor that are averaged, default: the profile's; or
            records, default 1.
        above_half: In which planes it is known whether the fractional tune is above
            0.5, e.g. ``{"x": True}``.
        kick_x: Horizontal kick [rad]; default: the profile's.
        kick_y: Vertical kick [rad]; default: the profile's.

    Returns:
        Whole tunes and their errors; the synchrotron tune only from the monitor.

    Raises:
        PlanError: The machine has no tune monitor, or no pinger and turn-by-turn BPMs.
        DataError: No oscillation is seen.
        LimitError: A kick is outside its limits; nothing was moved.
    """
    check_request(machine, method, readings, above_half)

    def body(uid: str) -> MsgGenerator[TuneResult]:
        view = yield from tune_view(machine, method, readings, above_half)

        def measuring() -> MsgGenerator[TuneResult]:
            return view.result((yield from read_tunes(machine, view)), uid)

        result = yield from charged(machine, method, (kick_x, kick_y), measuring)
        say_if_ambiguous(result)
        yield from write_result(_note(result, view))
        return result

    default = machine.defaults.tune.readings if method == "monitor" else 1
    metadata = {
        "plan_name": "measure_tune",
        "plan_args": {
            "method": method,
            "readings": readings,
            "above_half": dict(above_half or {}),
            "kick_x": kick_x,
            "kick_y": kick_y,
        },
        "num_points": default if readings is None else readings,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> TuneResult:
    """Return the tunes of a stored run of ``measure_tune``, from its readings."""
    view = stored_view(run["result"], _NAME)
    return view.result(stored_events(run["primary"], view), run.uid)


def _note(result: TuneResult, view: TuneView) -> Note:
    tunes = np.array([result.qx, result.qy, result.qs])
    sigma = np.array([result.sigma_x, result.sigma_y, result.sigma_s])
    return Note(
        _NAME,
        {"q": tunes, "sigma": sigma},
        configuration=view.configuration(),
    )
