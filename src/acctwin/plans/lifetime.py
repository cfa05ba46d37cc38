"""Measure the lifetime of the stored beam, for as long as it takes and no longer."""

from __future__ import annotations

import logging
import math

from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.lifetime import (
    LEAST_READINGS,
    Decline,
    LifetimeResult,
    Stopped,
    add_reading,
    first_reading,
    lifetime_of,
)
from acctwin.data.runs import Run
from acctwin.defaults import LifetimeDefaults
from acctwin.devices.current import Dcct
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import plan
from acctwin.plans.guards import require
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run, take_stamped

log = logging.getLogger(__name__)

_KEY = "dcct_current"


@plan
def measure_lifetime(
    machine: Machine,
    *,
    precision: float | None = None,
    max_s: float | None = None,
    min_readings: int | None = None,
) -> MsgGenerator[LifetimeResult]:
    """Measure the lifetime from the current's decay, against its own time stamps.

    It ends as soon as the lifetime is precise enough. If the current rises by more
    than five standard deviations, or grows, the fit begins anew with the next reading.
    A current that does not fall within ``max_s`` gives a lower limit.

    Args:
        machine: The machine.
        precision: It ends when the relative standard error is below this; default:
            the profile's.
        max_s: It ends after this time at the latest [s]; default: the profile's.
        min_readings: It does not end with fewer readings since the last injection, at
            least 4; default: the profile's.

    Returns:
        The lifetime, or the limit that it exceeds, in seconds.

    Raises:
        BeamLost: There is no beam, or it is lost.
        DeviceError: The current monitor gives no new reading.
    """
    require(machine, ["dcct"], "there is no current to measure")
    wanted = _options(machine.defaults.lifetime, precision, max_s, min_readings)

    def body(uid: str) -> MsgGenerator[LifetimeResult]:
        decline = yield from _watch(machine.dcct, wanted)
        result = _result(decline, wanted, uid)
        _say(result)
        yield from write_result(_note(result, decline))
        return result

    metadata = {
        "plan_name": "measure_lifetime",
        "plan_args": {
            "precision": wanted.precision,
            "max_s": wanted.max_s,
            "min_readings": wanted.min_readings,
        },
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> LifetimeResult:
    """Return the lifetime of a stored run of ``measure_lifetime``."""
    stream, wanted = run["primary"], LifetimeDefaults(**run.start["plan_args"])
    readings = zip(stream.timestamps[_KEY], stream[_KEY], strict=True)
    decline = first_reading(*(float(value) for value in next(readings)))
    for time, current in readings:
        decline = add_reading(decline, float(time), float(current))
    return _result(decline, wanted, run.uid)


def _options(
    plain: LifetimeDefaults,
    precision: float | None,
    max_s: float | None,
    min_readings: int | None,
) -> LifetimeDefaults:
    wanted = LifetimeDefaults(
        plain.precision if precision is None else precision,
        plain.max_s if max_s is None else max_s,
        plain.min_readings if min_readings is None else min_readings,
    )
    if not (wanted.precision > 0.0 and 0.0 < wanted.max_s < math.inf):
        raise PlanError(
            f"measure_lifetime: precision {wanted.precision:g} and max_s "
            f"{wanted.max_s:g} found, both must be above 0, and max_s finite"
        )
    if wanted.min_readings < LEAST_READINGS:
        raise PlanError(
            f"measure_lifetime: min_readings {wanted.min_readings} found, wanted at "
            f"least {LEAST_READINGS}"
        )
    return wanted


def _watch(dcct: Dcct, wanted: LifetimeDefaults) -> MsgGenerator[Decline]:
    """Read the current until there is a reason to stop."""
    decline = first_reading(*(yield from _read(dcct)))
    while _stopped(decline, wanted) is None:
        longer = add_reading(decline, *(yield from _read(dcct)))
        if longer.injections > decline.injections:
            log.warning(
                "the current rose from %g A to %g A after %g s: the fit begins anew",
                decline.current[-1],
                longer.current[-1],
                longer.duration,
            )
        decline = longer
    return decline


def _read(dcct: Dcct) -> MsgGenerator[tuple[float, float]]:
    """Return the time stamp [s] and the value [A] of a fresh reading."""
    yield Msg("checkpoint")
    readings = yield from take_stamped([dcct], waits=False)
    reading = readings[_KEY]
    return reading["timestamp"], reading["value"]


def _result(decline: Decline, wanted: LifetimeDefaults, uid: str) -> LifetimeResult:
    stopped = _stopped(decline, wanted) or "interrupted"
    return lifetime_of(decline, stopped, uid)


def _stopped(decline: Decline, wanted: LifetimeDefaults) -> Stopped | None:
    """Return why no more readings are needed, or None."""
    decay = decline.decay
    if (
        decay is not None
        and decay.readings >= wanted.min_readings
        and decay.relative_error < wanted.precision
    ):
        return "precise"
    return "time is over" if decline.duration >= wanted.max_s else None


def _say(result: LifetimeResult) -> None:
    if math.isinf(result.lifetime):
        log.warning(
            "no decay is seen in %d readings: the lifetime is longer than %.3g h",
            result.readings,
            result.lower_limit / 3600.0,
        )


def _note(result: LifetimeResult, decline: Decline) -> Note:
    """Return what is stored; rates, because an infinite lifetime is a rate of 0."""
    decay = decline.decay
    values = {
        "rate": decay.rate if decay else 0.0,
        "rate_sigma": decay.sigma if decay else 0.0,
        "lower_limit": result.lower_limit,
        "noise": result.noise,
        "first": result.first,
        "injections": result.injections,
    }
    units = {"rate": "1/s", "rate_sigma": "1/s", "lower_limit": "s", "noise": "A"}
    return Note("lifetime", values, units, {"stopped": result.stopped})
