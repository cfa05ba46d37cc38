"""Measure the beta functions, at quadrupoles or at BPMs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.beta import BetaMethod, BetaResult, Places
from acctwin.analysis.tune import TuneMethod
from acctwin.data.runs import Run, Stream
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import plan
from acctwin.plans.note import Note, write_result
from acctwin.plans.optics import modulation, turns
from acctwin.plans.stubs import in_run
from acctwin.plans.targets import Target
from acctwin.plans.tunes.reading import TuneView, check_request, stored_view, tune_view

_NAME = "beta"
#: How the tunes are read in each method.
_TUNES: dict[str, TuneMethod] = {"modulation": "monitor", "turns": "turns"}
_Measured: TypeAlias = tuple[BetaResult, Places]


@plan
def measure_beta(
    machine: Machine,
    *,
    method: BetaMethod = "modulation",
    quadrupoles: Sequence[Target] | None = None,
    delta: float | None = None,
    readings: int | None = None,
    kick_x: float | None = None,
    kick_y: float | None = None,
) -> MsgGenerator[BetaResult]:
    """Measure the beta functions.

    ``"modulation"``: each quadrupole is changed to either side and the tunes are read;
    magnets in series are one row of the result. ``"turns"``: the pinger kicks the beam,
    and the phase advances between BPMs tell how the beta functions differ from the
    design's.

    Args:
        machine: The machine.
        method: ``"modulation"`` or ``"turns"``.
        quadrupoles: For modulation: quadrupoles, selections or families, each of whose
            good members is changed on its own; default: all good quadrupoles.
        delta: For modulation: full change of a strength, in its unit; default: what
            should change a tune by ``defaults: {beta: {shift: …}}``, and no more than
            ``most`` steps of the magnet.
        readings: Readings of the tune monitor, or records; default: the profile's, or
            one.
        kick_x: For turns: horizontal kick [rad]; default: the profile's.
        kick_y: For turns: vertical kick [rad]; default: the profile's.

    Returns:
        β in metres at the quadrupoles, averaged over their length, or at the BPMs,
        with errors, and the design's.

    Raises:
        PlanError: The machine has not what the method needs.
        LimitError: A change is outside the limits; nothing was moved.
        DataError: No oscillation is seen.
    """
    _check(method, quadrupoles, delta)
    check_request(machine, _TUNES[method], readings)
    if method == "turns":
        kicks = kick_x, kick_y
        args: dict[str, Any] = {"kick_x": kick_x, "kick_y": kick_y}
        count = points = readings or 1

        def measured(view: TuneView, uid: str) -> MsgGenerator[_Measured]:
            return turns.measure(machine, view, kicks, uid)

    else:
        rows = modulation.rows(machine, quadrupoles)
        args = {"quadrupoles": list(rows.names), "delta": delta}
        count = readings or machine.defaults.tune.readings
        points = 2 * count * len(rows.names)

        def measured(view: TuneView, uid: str) -> MsgGenerator[_Measured]:
            return modulation.measure(machine, view, rows, delta, uid)

    def body(uid: str) -> MsgGenerator[BetaResult]:
        view = yield from tune_view(machine, _TUNES[method], readings, None)
        result, places = yield from measured(view, uid)
        yield from write_result(_note(result, view, places))
        return result

    metadata = {
        "plan_name": "measure_beta",
        "plan_args": {"method": method, "readings": count, **args},
        "num_points": points,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> BetaResult:
    """Return the beta functions of a stored run of ``measure_beta``."""
    stream = run["result"]
    view = stored_view(stream, _NAME)
    again = turns.again if view.method == "turns" else modulation.again
    return again(run["primary"], view, _places(stream), run.uid)


def _check(
    method: str, quadrupoles: Sequence[Target] | None, delta: float | None
) -> None:
    if method not in _TUNES:
        raise PlanError(f"method is 'modulation' or 'turns', not {method!r}")
    if method == "turns" and not (quadrupoles is None and delta is None):
        raise PlanError(
            "method='turns' moves no quadrupoles: leave out quadrupoles and delta"
        )


def _places(stream: Stream) -> Places:
    def config(key: str) -> Any:
        return np.asarray(stream.config(f"{_NAME}_{key}"))

    return Places(
        names=tuple(config("names").astype(str).tolist()),
        s=config("s"),
        beta=config("model_beta").reshape(-1, 2),
        phase=config("model_phase").reshape(-1, 2),
        tunes=config("model_tunes"),
    )


def _note(result: BetaResult, view: TuneView, places: Places) -> Note:
    values = {key: getattr(result, key) for key in ("beta_x", "beta_y")}
    values |= {key: getattr(result, key) for key in ("sigma_x", "sigma_y")}
    return Note(
        _NAME,
        values,
        dict.fromkeys(values, "m"),
        {
            **view.configuration(),
            "names": list(places.names),
            "s": places.s,
            "model_beta": places.beta.ravel(),
            "model_phase": places.phase.ravel(),
            "model_tunes": places.tunes,
        },
    )
