"""Find the RF frequency that fits the ring, from the orbit and the correctors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.dispersion import DispersionResult
from acctwin.analysis.orbit import OrbitResult, mean_orbit
from acctwin.analysis.rf import (
    MomentumOffset,
    MomentumRuler,
    RfResult,
    project_on_dispersion,
    rf_step,
)
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import BPMS, HCM
from acctwin.plans.call import plan
from acctwin.plans.guards import check_arrived, check_moves, require
from acctwin.plans.momentum import dispersion as dispersion_plan
from acctwin.plans.momentum.rf import largest_step, ramp_rf, rf_restored_on_failure
from acctwin.plans.momentum.rf_scan import present_rf
from acctwin.plans.note import Note, write_result
from acctwin.plans.orbits.inputs import MODEL, goal_at, goal_or_reference
from acctwin.plans.orbits.orbit import orbit_from_events, stored_positions
from acctwin.plans.stubs import Reading, ask, in_run, take

#: A momentum offset that no orbit shows; a step for less is not made.
_NOTHING = 1e-6
#: Of the ruler, as a run stores it.
_ARRAYS = ("eta", "eta_correctors", "per_kick", "goal")
_NUMBERS = ("slip_factor", "circumference")


@plan
def center_rf(
    machine: Machine,
    *,
    dispersion: DispersionResult | str | None = None,
    goal: OrbitResult | str | None = None,
    iterations: int | None = None,
    gain: float | None = None,
    readings: int | None = None,
    max_step_hz: float | None = None,
) -> MsgGenerator[RfResult]:
    """Bring the RF to the frequency that fits the ring's circumference.

    The part of the orbit that looks like dispersion is a wrong momentum; what the
    horizontal correctors hide of it is counted too, by taking out the orbit that the
    design model says they make. The RF is moved by what is left. As the correctors
    stay, the orbit is off afterwards by what they were hiding: correct it then.

    Args:
        machine: The machine.
        dispersion: A measured one, or the uid of its run; default, and ``"model"``:
            the design model's.
        goal: Orbit of the right momentum: a measured one, or the uid of its run, or
            ``"zero"``; default: the reference (kind ``"orbit"``), and where there is
            none zero.
        iterations: At most this many; default: the profile's.
        gain: Fraction of the solution that is applied; default: the profile's.
        readings: Averaged for each orbit; default: the profile's.
        max_step_hz: Largest step of the RF [Hz]; default: see ``set_rf``.

    Returns:
        The frequency before and after, and the momentum offsets that were found.

    Raises:
        LimitError: The frequency would leave its limits; nothing of it was set.
    """
    require(machine, ["rf"], "there is no frequency to centre")
    require(machine, [BPMS], "there is no orbit to measure")
    default = machine.defaults.rf
    options = _Options(
        iterations=default.iterations if iterations is None else iterations,
        gain=default.gain if gain is None else gain,
        readings=machine.defaults.orbit.readings if readings is None else readings,
        step_hz=largest_step(machine, max_step_hz),
    )
    options.check()
    target = yield from goal_or_reference(machine, goal)
    eta = yield from _dispersion(machine, dispersion)

    def body(uid: str) -> MsgGenerator[RfResult]:
        ruler = yield from _ruler(machine, eta, target)
        rf_hz = yield from present_rf(machine)

        def centring() -> MsgGenerator[RfResult]:
            result = yield from _center(machine, ruler, options, rf_hz, uid)
            yield from write_result(_result_note(result))
            return result

        return (yield from rf_restored_on_failure(machine, options.step_hz, centring))

    metadata = {
        "plan_name": "center_rf",
        "plan_args": {
            "dispersion": eta.uid if eta else "design model",
            "goal": target.uid if target else "zero",
            "iterations": options.iterations,
            "gain": options.gain,
            "readings": options.readings,
            "max_step_hz": options.step_hz,
        },
        "num_points": (options.iterations + 1) * options.readings,
        "derived_from": [s.uid for s in (eta, target) if s is not None and s.uid],
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> RfResult:
    """Return what a stored run of ``center_rf`` did.

    The momentum offsets are computed again from its readings; what was decided is in
    its result.
    """
    stream, result = run["primary"], run["result"]
    ruler = _stored_ruler(lambda key: stream.config(f"centring_{key}"))
    x, y, names, s = stored_positions(run)
    number = np.asarray(stream["centring_number"], dtype=np.int64)
    rf = np.asarray(stream["rf_frequency"], dtype=np.float64)
    kept = int(result["center_rf_iterations"][0])
    seen: list[MomentumOffset] = []
    for i in range(kept + 1):
        chosen = number == i
        orbit = mean_orbit(names, s, x[chosen], y[chosen], run.uid)
        kicks = np.zeros(0)
        if ruler.has_correctors:
            kicks = np.asarray(stream["hcm_strength"])[chosen].mean(axis=0)
        seen.append(ruler.measure(orbit.x, orbit.sigma_x, kicks))
    after = float(rf[number == kept][0])
    stopped = str(result.config("center_rf_stopped"))
    return _result(seen, float(rf[0]), after, stopped, run.uid)


@dataclass(frozen=True)
class _Options:
    iterations: int
    gain: float
    readings: int
    step_hz: float

    def check(self) -> None:
        if self.iterations < 1 or self.readings < 1:
            raise PlanError("at least 1 iteration and 1 reading are needed")
        if not 0.0 < self.gain <= 1.0:
            raise PlanError(f"gain is above 0 and at most 1, not {self.gain!r}")


def _stored_ruler(config: Callable[[str], object]) -> MomentumRuler:
    """Return the ruler that a run was made with."""
    eta, at_correctors, per_kick, goal = (
        np.asarray(config(key), dtype=np.float64) for key in _ARRAYS
    )
    slip, length = (float(np.asarray(config(key))) for key in _NUMBERS)
    return MomentumRuler(eta, at_correctors, per_kick, goal, slip, length)


def _dispersion(
    machine: Machine, given: DispersionResult | str | None
) -> MsgGenerator[DispersionResult | None]:
    """Return what was given, or is in the run of that uid; None: the design's."""
    if given is None or given == MODEL:
        return None
    if isinstance(given, str):
        run = yield from ask(lambda: machine.runs.run(given))
        return dispersion_plan.analyse(run)
    return given


def _ruler(
    machine: Machine, eta: DispersionResult | None, goal: OrbitResult | None
) -> MsgGenerator[MomentumRuler]:
    design, good = machine.design, machine.bpms.good().names
    slip = yield from ask(design.slip_factor)
    circumference = yield from ask(design.circumference)
    # A bad corrector that has a kick makes the orbit longer all the same.
    correctors = machine.hcm.names if machine.has(HCM) else ()
    if eta is None:
        optics = yield from ask(lambda: design.optics(good))
        at_bpms = optics.dispersion[:, 0]
    else:
        found = dict(zip(eta.names, eta.eta_x.tolist(), strict=True))
        at_bpms = np.array([found.get(name, np.nan) for name in good])
    if not np.any(np.isfinite(at_bpms) & (at_bpms != 0.0)):
        raise PlanError("the dispersion is not known, or 0, at all good BPMs")
    at_correctors, per_kick = np.zeros(0), np.zeros(0)
    if correctors:
        optics = yield from ask(lambda: design.optics(correctors))
        matrix = yield from ask(lambda: design.orbit_response(good, correctors))
        at_correctors = optics.dispersion[:, 0]
        known = np.flatnonzero(np.isfinite(at_bpms))
        per_kick = np.array([
            project_on_dispersion(column[known], at_bpms[known]) for column in matrix.T
        ])
    wanted = np.split(goal_at(goal, good), 2)[0]
    return MomentumRuler(at_bpms, at_correctors, per_kick, wanted, slip, circumference)


def _center(
    machine: Machine, ruler: MomentumRuler, options: _Options, rf_hz: float, uid: str
) -> MsgGenerator[RfResult]:
    note = Note(
        "centring",
        {"number": 0},
        configuration={key: getattr(ruler, key) for key in (*_ARRAYS, *_NUMBERS)},
    )
    seen = [(yield from _look(machine, ruler, options, note))]
    here, stopped = rf_hz, ""
    while not stopped:
        now = seen[-1]
        if abs(now.total) <= max(_NOTHING, 2.0 * np.nan_to_num(now.sigma)):
            stopped = "what is left is within the noise"
        elif len(seen) > options.iterations:
            stopped = "all iterations were used"
        else:
            step = options.gain * rf_step(now.total, here, ruler.slip_factor)
            check_moves([(machine.rf, here + step)])
            yield Msg("checkpoint")
            yield from ramp_rf(machine, here + step, options.step_hz)
            note.values["number"] = len(seen)
            after = yield from _look(machine, ruler, options, note)
            if abs(after.total) > abs(now.total):
                yield from ramp_rf(machine, here, options.step_hz)
                stopped = "the last iteration made it worse and was taken back"
                break
            seen.append(after)
            here += step
    return _result(seen, rf_hz, here, stopped, uid)


def _look(
    machine: Machine, ruler: MomentumRuler, options: _Options, note: Note
) -> MsgGenerator[MomentumOffset]:
    correctors = [machine.hcm] if ruler.has_correctors else []
    devices = [machine.rf, *correctors]
    events: list[Reading] = []
    for _ in range(options.readings):
        yield Msg("checkpoint")
        events.append((yield from take([note, machine.bpms, *devices])))
        check_arrived(devices, events[-1])
    kicks = np.zeros(0)
    if correctors:
        kicks = np.mean([e[f"{machine.hcm.name}_strength"] for e in events], axis=0)
    orbit = orbit_from_events(machine.bpms, events)
    return ruler.measure(orbit.x, orbit.sigma_x, kicks)


def _result(
    seen: list[MomentumOffset], before: float, after: float, stopped: str, uid: str
) -> RfResult:
    return RfResult(
        before_hz=before,
        after_hz=after,
        orbit_delta=seen[0].orbit,
        corrector_delta=seen[0].correctors,
        corrector_energy=seen[0].energy,
        residual=np.array([offset.total for offset in seen]),
        sigma=seen[-1].sigma,
        iterations=len(seen) - 1,
        stopped=stopped,
        uid=uid,
    )


def _result_note(result: RfResult) -> Note:
    return Note(
        "center_rf",
        {
            "before": result.before_hz,
            "after": result.after_hz,
            "orbit_delta": result.orbit_delta,
            "corrector_delta": result.corrector_delta,
            "corrector_energy": result.corrector_energy,
            "residual": result.residual,
            "iterations": result.iterations,
        },
        {"before": "Hz", "after": "Hz"},
        {"stopped": result.stopped},
    )
