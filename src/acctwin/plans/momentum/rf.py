"""Set the RF frequency, in steps that the beam can follow."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from bluesky.preprocessors import contingency_wrapper
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.rf import SetRfResult
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.plans.call import plan
from acctwin.plans.guards import (
    check_arrived,
    check_moves,
    require,
    restoring,
    restoring_on_failure,
)
from acctwin.plans.note import Note, write_result
from acctwin.plans.stubs import in_run, move, setpoints, take

T = TypeVar("T")

log = logging.getLogger(__name__)

#: A step of the RF is this fraction of the one of a response measurement.
_SMALL = 0.25


@plan
def set_rf(
    machine: Machine, frequency_hz: float, *, max_step_hz: float | None = None
) -> MsgGenerator[SetRfResult]:
    """Bring the RF to a frequency, in small steps; it stays there.

    Args:
        machine: The machine.
        frequency_hz: Where it is to go [Hz].
        max_step_hz: Largest step [Hz]; default: the profile's, else a quarter of the
            step of a response measurement.

    Raises:
        LimitError: It is outside the limits; nothing was moved.
    """
    require(machine, ["rf"], "there is no frequency to set")
    step_hz = largest_step(machine, max_step_hz)

    def body(uid: str) -> MsgGenerator[SetRfResult]:
        check_moves([(machine.rf, frequency_hz)])
        (before,) = yield from setpoints([machine.rf])

        def moving() -> MsgGenerator[SetRfResult]:
            yield from take([machine.rf])
            steps = yield from ramp_rf(machine, frequency_hz, step_hz)
            event = yield from take([machine.rf])
            check_arrived([machine.rf], event)
            result = SetRfResult(before, frequency_hz, steps, uid)
            yield from write_result(_note(result))
            return result

        return (yield from rf_restored_on_failure(machine, step_hz, moving))

    metadata = {
        "plan_name": "set_rf",
        "plan_args": {"frequency_hz": frequency_hz, "max_step_hz": step_hz},
        "num_points": 2,
    }
    return (yield from in_run(body, metadata))


def analyse(run: Run) -> SetRfResult:
    """Return what a stored run of ``set_rf`` did."""
    frequency = run["primary"]["rf_frequency"]
    steps = int(run["result"]["set_rf_steps"][0])
    return SetRfResult(float(frequency[0]), float(frequency[-1]), steps, run.uid)


def largest_step(machine: Machine, given: float | None) -> float:
    """Return how far the RF may go in one step [Hz]: as given, or the default.

    Raises:
        PlanError: It is not positive.
    """
    default = machine.defaults.rf.max_step_hz
    step = given if given is not None else default
    if step is None:
        return _SMALL * machine.rf.delta
    if not step > 0.0:
        raise PlanError(f"max_step_hz is a positive number, not {step!r}")
    return step


def ramp_rf(machine: Machine, frequency_hz: float, step_hz: float) -> MsgGenerator[int]:
    """Bring the RF to a frequency in equal steps; return in how many.

    Args:
        machine: The machine.
        frequency_hz: Where it is to go [Hz].
        step_hz: Largest step [Hz].
    """
    (here,) = yield from setpoints([machine.rf])
    # Rounding must not make one step too many of a whole number of them.
    count = max(1, math.ceil(abs(frequency_hz - here) / step_hz - 1e-6))
    for value in np.linspace(here, frequency_hz, count + 1)[1:].tolist():
        yield Msg("checkpoint")
        yield from move([(machine.rf, value)])
    return count


def rf_restored(
    machine: Machine, step_hz: float, body: Callable[[], MsgGenerator[T]]
) -> MsgGenerator[T]:
    """Run a plan that moves the RF, then bring it back in steps, whatever happened."""

    def there_and_back() -> MsgGenerator[T]:
        (before,) = yield from setpoints([machine.rf])
        result = yield from _back_on_failure(machine, step_hz, before, body)
        yield from ramp_rf(machine, before, step_hz)
        return result

    return (yield from restoring([machine.rf], there_and_back))


def rf_restored_on_failure(
    machine: Machine, step_hz: float, body: Callable[[], MsgGenerator[T]]
) -> MsgGenerator[T]:
    """Run a plan that is to move the RF; bring it back, in steps, only if it fails."""

    def going() -> MsgGenerator[T]:
        (before,) = yield from setpoints([machine.rf])
        return (yield from _back_on_failure(machine, step_hz, before, body))

    return (yield from restoring_on_failure([machine.rf], going))


def _back_on_failure(
    machine: Machine,
    step_hz: float,
    before: float,
    body: Callable[[], MsgGenerator[T]],
) -> MsgGenerator[T]:
    """Bring the RF back in steps if a plan fails.

    If that does not work either it is said, and left to who put this inside of
    ``restoring``: to set it back at once, or to say that it cannot be.
    """

    def failed(_error: Exception) -> MsgGenerator[None]:
        try:
            yield from ramp_rf(machine, before, step_hz)
        except Exception as late:
            log.warning("%s did not come back in steps: %s", machine.rf.name, late)

    return (yield from contingency_wrapper(body(), except_plan=failed))


def _note(result: SetRfResult) -> Note:
    return Note("set_rf", {"steps": result.steps})
