"""Set one thing, or a whole family; or change it by a little."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator
from numpy.typing import ArrayLike

from acctwin.devices.family import SettableFamily
from acctwin.devices.ring import Machine
from acctwin.devices.setpoint import SingleSettable, bounds_of
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import Knob, Units, boxes, good_members, raw, starts
from acctwin.plans.call import plan
from acctwin.plans.guards import restoring_on_failure
from acctwin.plans.stubs import in_run, move, take, wait_for
from acctwin.plans.targets import Target, good_part, one_each, settable, title


@plan
def step(
    machine: Machine,
    name: Target,
    delta: ArrayLike,
    *,
    units: Units = "physics",
    steps: int = 1,
) -> MsgGenerator[Any]:
    """Change a magnet, a supply, the RF, or a whole family, by an increment.

    Args:
        machine: The machine.
        name: A family or a device, by its profile name or itself, or a selection.
            Bad members of a family stay where they are.
        delta: Increment of the setpoint, in the device's unit: one number for all
            good members, or one for each.
        units: ``"physics"``: the strength; ``"hardware"``: the current of the
            supplies behind it [A].
        steps: In how many equal steps; each is waited for.

    Returns:
        The new setpoint; (n_good,) for a family.

    Raises:
        UnknownName: Nothing is called that.
        PlanError: The device cannot be set, or its status is bad.
        LimitError: The new setpoint is outside the limits; nothing was moved.
    """
    job = _job(machine, name, units)
    change = one_each(delta, job.knobs)
    args = {"name": title(name), "delta": _plain(delta), "units": units, "steps": steps}
    metadata = {"plan_name": "step", "plan_args": args}
    way = _Way(lambda start: start + change, steps)
    return (yield from _run(job, way, metadata))


@plan
def set_values(
    machine: Machine,
    name: Target,
    value: ArrayLike,
    *,
    units: Units = "physics",
    steps: int = 1,
    wait: bool = True,
) -> MsgGenerator[Any]:
    """Set a magnet, a supply, the RF, or a whole family.

    All or nothing: every value is checked before anything moves, and if a device
    does not arrive all are put back.

    Args:
        machine: The machine.
        name: A family or a device, by its profile name or itself, or a selection.
            Bad members of a family stay where they are.
        value: New setpoint, in the device's unit: one number for all good members,
            or one for each.
        units: ``"physics"``: the strength; ``"hardware"``: the current of the
            supplies behind it [A].
        steps: In how many equal steps; each is waited for. 1: it jumps.
        wait: False: return when the setpoints are taken, not when the readbacks
            have arrived; nobody notices then if they never do.

    Returns:
        The new setpoint; (n_good,) for a family.

    Raises:
        UnknownName: Nothing is called that.
        PlanError: The device cannot be set, or its status is bad; or it was asked for
            steps that nobody waits for.
        LimitError: A wrong number of values, or one that is outside the limits or
            not a number; nothing was moved.
        DeviceError: A readback did not arrive.
    """
    job = _job(machine, name, units)
    wanted = one_each(value, job.knobs)
    args = {
        "name": title(name),
        "value": _plain(value),
        "units": units,
        "steps": steps,
        "wait": wait,
    }
    metadata = {"plan_name": "set_values", "plan_args": args}
    return (yield from _run(job, _Way(lambda _: wanted, steps, wait), metadata))


@dataclass(frozen=True)
class _Way:
    """How the new setpoints are reached.

    Attributes:
        wanted_from: Returns them, given where the knobs are, (n_knobs,).
        steps: In how many steps.
        wait: Whether the readbacks are waited for.
    """

    wanted_from: Callable[[FloatArray], FloatArray]
    steps: int
    wait: bool = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise PlanError(f"steps is at least 1, not {self.steps}")
        if self.steps > 1 and not self.wait:
            raise PlanError(f"{self.steps} steps are a ramp only if each is waited for")

    def points(self, start: FloatArray, wanted: FloatArray) -> list[FloatArray]:
        """Return where the knobs are set to, one after the other."""
        shares = np.arange(1, self.steps) / self.steps
        return [*(start + share * (wanted - start) for share in shares), wanted]


@dataclass(frozen=True)
class _Job:
    """What is set.

    Attributes:
        knobs: The good devices, in order.
        held: What says where they are: families, or devices.
        moved: What is set: a whole family at once, or else each knob.
        behind: What is put back if it fails.
        recorded: What is read before and after.
        is_single: Whether the value is a number.
    """

    knobs: list[Knob]
    held: list[Any]
    moved: list[Any]
    behind: list[Any]
    recorded: list[Any]
    is_single: bool


def _job(machine: Machine, target: Target, units: Units) -> _Job:
    asked = settable(machine, target)
    if isinstance(asked, SingleSettable):
        good_members([asked])
    parts = good_part(asked, units)
    knobs, held = good_members(parts), boxes(parts)
    if not knobs:
        raise PlanError(f"{title(target)}: nothing to set, all are marked bad")
    is_whole = len(held) == 1 and _is_all_of(held[0], knobs)
    moved = held if is_whole else list(knobs)
    behind = [*moved, *(device for device in raw(moved) if device not in moved)]
    is_single = isinstance(asked, SingleSettable) and len(knobs) == 1
    return _Job(knobs, held, moved, behind, boxes([asked, *held, *behind]), is_single)


def _run(job: _Job, way: _Way, metadata: dict[str, Any]) -> MsgGenerator[Any]:
    bounds = bounds_of([knob.info for knob in job.knobs])

    def body(uid: str) -> MsgGenerator[Any]:
        start = np.array((yield from starts(job.held, job.knobs)))
        wanted = bounds.check(way.wanted_from(start))

        def moved() -> MsgGenerator[None]:
            yield from take(job.recorded)
            for values in way.points(start, wanted):
                yield Msg("checkpoint")
                yield from (move if way.wait else _send)(_settings(job, values))
                yield from take(job.recorded)

        yield from restoring_on_failure(job.behind, moved)
        return float(wanted[0]) if job.is_single else wanted

    return (yield from in_run(body, metadata))


def _settings(job: _Job, wanted: FloatArray) -> list[tuple[Any, Any]]:
    if isinstance(job.moved[0], SettableFamily):
        return [(job.moved[0], wanted)]
    return list(zip(job.moved, wanted.tolist(), strict=True))


def _send(settings: Sequence[tuple[Any, Any]]) -> MsgGenerator[None]:
    """Set devices and wait until their setpoints are taken."""
    group = uuid.uuid4().hex
    for device, value in settings:
        yield Msg("set", device.setpoint, value, group=group)
    yield from wait_for(group)


def _is_all_of(box: Any, knobs: Sequence[Knob]) -> bool:
    return isinstance(box, SettableFamily) and len(knobs) == len(box)


def _plain(value: ArrayLike) -> Any:
    """Return numbers as JSON has them."""
    return np.asarray(value).tolist()
