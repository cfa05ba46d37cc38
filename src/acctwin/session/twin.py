"""Strengths from the machine to the design model, and from the model to the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from acctwin import plans
from acctwin.devices.family import SettableFamily
from acctwin.errors import DeviceError
from acctwin.names import HCM, VCM, FloatArray

if TYPE_CHECKING:
    from acctwin.session.session import Session

_CORRECTORS = (HCM, VCM, "skew_quadrupoles")


def machine_to_model(session: Session, *, correctors: bool = False) -> tuple[str, ...]:
    """Give the design model the strengths that the machine is set to.

    The machine's state is stored as a run first.

    Args:
        session: The session.
        correctors: Whether to take over correctors and skew quadrupoles too. They
            correct errors that the model does not have, so by default it keeps its own.

    Returns:
        What was taken over.

    Raises:
        DeviceError: A device is not where it is set to, so that its strength is not
            known; the model is as it was.
    """
    machine, model = session.machine, session.model
    state = session.run(plans.save_machine(machine, "for the design model"))
    names: list[str] = []
    values: list[float] = []
    for device in machine.setpoints():
        family = state[device.name]
        if not device.bounds.reached(family.setpoints, family.readbacks):
            raise DeviceError(
                f"{device.name} is not where it is set to, and the model was left as "
                f"it was: {device.bounds.missing(family.setpoints, family.readbacks)}"
            )
        if correctors or device.name not in _CORRECTORS:
            names += family.devices
            values += family.setpoints.tolist()
    model.set(names, np.array(values))
    return tuple(names)


def model_to_machine(
    session: Session, families: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Set the machine to the strengths of the design model, family by family.

    Every strength is checked against its limits before anything moves; each family is
    a run of its own. Bad devices stay where they are.

    Args:
        session: The session.
        families: Names of families, or ``"rf"``; default: all magnets, and the RF.

    Returns:
        What was set.

    Raises:
        LimitError: A strength is outside the limits.
    """
    model, machine = session.model, session.machine
    strengths = dict(zip(model.layout.knobs, model.values(), strict=True))
    asked = machine.setpoints() if families is None else [machine[n] for n in families]
    moves: list[tuple[str, float | FloatArray]] = []
    for device in asked:
        if isinstance(device, SettableFamily):
            values = np.array([strengths[name] for name in device.names])
            device.bounds.check(values)
            moves.append((device.name, values[device.status]))
        else:
            device.bounds.check(strengths["rf"])
            moves.append(("rf", strengths["rf"]))
    for name, value in moves:
        session.run(plans.set_values(machine, name, value))
    return tuple(name for name, _ in moves)
