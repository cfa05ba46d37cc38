"""Orbit feedback: hold the orbit at its goal, cycle after cycle."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator, RequestStop

from acctwin.analysis.feedback import FeedbackResult, plane_rms
from acctwin.analysis.orbit import OrbitResult
from acctwin.analysis.response import ResponseResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.names import BPMS
from acctwin.plans.actuators import raw
from acctwin.plans.call import plan
from acctwin.plans.guards import require, restoring_on_failure
from acctwin.plans.orbits.correction_task import Options, cut, prepare
from acctwin.plans.orbits.feedback_loop import Loop, Pace, limits_of
from acctwin.plans.orbits.inputs import (
    goal_or_reference,
    name_of,
    response_or_reference,
    sources,
)
from acctwin.plans.orbits.orbit import stored_positions
from acctwin.plans.stubs import in_run

NAME = "orbit_feedback"


@plan
def orbit_feedback(
    machine: Machine,
    response: ResponseResult | str | None = None,
    *,
    goal: OrbitResult | str | None = None,
    cycles: int | None = None,
    period_s: float | None = None,
    gain: float | None = None,
    max_step: float | None = None,
    singular_values: int | None = None,
    cutoff: float | None = None,
    tikhonov: float = 0.0,
    rf: bool = False,
    min_current_a: float | None = None,
    wait_s: float | None = None,
    give_up_s: float | None = None,
) -> MsgGenerator[FeedbackResult]:
    """Hold the orbit at its goal until it is stopped.

    The response is inverted once; each cycle reads the orbit and sets the correctors.
    A corrector that would leave its limits stays where it is, which is said once, and
    the others go on. Without beam nothing is set; it goes on when the beam is back.

    When the cycles are done, or it is stopped (Ctrl-C twice, then ``RE.stop()``), the
    correctors stay. When it is aborted or fails they go back to where they were.

    Args:
        machine: The machine.
        response: A measured response, or the uid of its run, or ``"model"``; default:
            the reference, and where there is none the design model's.
        goal: Orbit to hold: a measured one, or the uid of its run, or ``"zero"``;
            default: the reference, and where there is none zero.
        cycles: How many; default: until it is stopped.
        period_s: Time between two cycles [s]; default: the profile's.
        gain: Fraction of the solution applied in each cycle; default: the profile's.
        max_step: Largest change of a corrector in a cycle [rad]; default: each
            knob's step of a response measurement.
        singular_values: As for ``correct_orbit``.
        cutoff: As for ``correct_orbit``.
        tikhonov: As for ``correct_orbit``.
        rf: Whether the RF frequency is an extra knob.
        min_current_a: Below this beam current nothing is set [A], 0: the current is
            not read; default: the profile's.
        wait_s: Time between two looks while there is no beam [s]; default: the
            profile's.
        give_up_s: How long it waits for the beam [s]; default: the profile's.

    Returns:
        Rms of each cycle, beam losses, correctors that were at a limit.

    Raises:
        BeamLost: The beam did not come back in time.
        DeviceError: A corrector is not where it was set to.
    """
    require(machine, [BPMS], "there is no orbit to hold")
    default = machine.defaults.feedback
    pace = Pace(
        cycles,
        _either(period_s, default.period_s),
        max_step,
        _either(min_current_a, default.min_current_a),
        _either(wait_s, default.wait_s),
        _either(give_up_s, default.give_up_s),
    )
    pace.check(machine)
    response = yield from response_or_reference(machine, response)
    target = yield from goal_or_reference(machine, goal)
    options = Options(
        *cut(machine.defaults.correction, singular_values, cutoff),
        tikhonov,
        _either(gain, default.gain),
        iterations=0,
        rf=rf,
        readings=1,
    )

    def body(uid: str) -> MsgGenerator[FeedbackResult]:
        task = yield from prepare(machine, response, target, options, NAME)
        loop = Loop(task, pace, task.inverse(), limits_of(task, pace), uid)
        devices = raw(task.devices)
        return (
            yield from restoring_on_failure(devices, loop.run, stays_after=RequestStop)
        )

    metadata = {
        "plan_name": NAME,
        "plan_args": {
            **asdict(pace),
            **_used(options),
            "response": name_of(response),
            "goal": target.uid if target else "zero",
        },
        "derived_from": sources(response, target),
        **({} if cycles is None else {"num_points": cycles}),
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> FeedbackResult:
    """Return what a stored run of ``orbit_feedback`` did, from its readings."""
    stream = run["primary"]
    x, y, names, _ = stored_positions(run)
    rows = [names.index(str(name)) for name in stream.config("feedback_bpms")]
    goal = np.asarray(stream.config("feedback_goal"), dtype=np.float64)
    residuals = np.hstack([x[:, rows], y[:, rows]]) - goal
    has_beam = np.isfinite(residuals).all(axis=1)
    least = float(run.start["plan_args"]["min_current_a"])
    if least > 0.0:
        has_beam &= stream["dcct_current"] >= least
    rms_x, rms_y = plane_rms(residuals[has_beam])
    knobs = np.array([str(name) for name in stream.config("feedback_knobs")])
    result = run["result"]
    return FeedbackResult(
        rms_x,
        rms_y,
        beam_losses=int(result["feedback_beam_losses"][0]),
        frozen=tuple(knobs[result["feedback_is_frozen"][0] != 0].tolist()),
        stopped=str(result.config("feedback_stopped")),
        uid=run.uid,
    )


def _used(options: Options) -> dict[str, Any]:
    used = ("singular_values", "cutoff", "tikhonov", "gain", "rf")
    return {name: value for name, value in asdict(options).items() if name in used}


def _either(given: Any, default: Any) -> Any:
    return default if given is None else given
