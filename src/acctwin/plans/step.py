"""Move one thing by a little."""

from __future__ import annotations

from typing import Any

from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.devices.family import SettableFamily
from acctwin.devices.ring import Machine
from acctwin.devices.setpoint import SingleSettable
from acctwin.errors import PlanError
from acctwin.plans.guards import check_moves, restoring_on_failure
from acctwin.plans.stubs import in_run, move, setpoints, take


@plan
def step(machine: Machine, name: str, delta: float) -> MsgGenerator[Any]:
    """Change a magnet, a supply, the RF, or a whole family, by an increment.

    Args:
        machine: The machine.
        name: Profile name of the device or family, or ``"rf"``.
        delta: Increment, in the device's unit.

    Returns:
        The new setpoint; (n,) for a family.

    Raises:
        PlanError: The device cannot be set, or its status is bad.
        LimitError: The new setpoint is outside the limits; nothing was moved.
    """
    device = machine[name]
    if not isinstance(device, SingleSettable | SettableFamily):
        raise PlanError(f"{name} is a {type(device).__name__}: it cannot be set")
    if isinstance(device, SingleSettable) and not device.is_good:
        raise PlanError(f"{name} is marked bad; mark it good before it is used")

    def body(uid: str) -> MsgGenerator[Any]:
        (start,) = yield from setpoints([device])
        share = device.status if isinstance(device, SettableFamily) else 1.0
        wanted = start + delta * share
        check_moves([(device, wanted)])

        def moved() -> MsgGenerator[None]:
            yield Msg("checkpoint")
            yield from take([device])
            yield from move([(device, wanted)])
            yield from take([device])

        yield from restoring_on_failure([device], moved)
        return wanted

    metadata = {"plan_name": "step", "plan_args": {"name": name, "delta": delta}}
    return (yield from in_run(body, metadata))
