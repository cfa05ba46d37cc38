"""Strengths from the machine to the design model, and from the model to the machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from acctwin import plans
from acctwin.analysis.machine_state import FamilyState, MachineState
from acctwin.errors import DeviceError, PlanError
from acctwin.names import HCM, VCM
from acctwin.plans.saving.states import Saved, names_of, saved_state

if TYPE_CHECKING:
    from acctwin.session.session import Session

_CORRECTORS = (HCM, VCM, "skew_quadrupoles")


def machine_to_model(
    session: Session, saved: Saved | None = None, *, correctors: bool = False
) -> tuple[str, ...]:
    """Give the design model the strengths that the machine is, or was, set to.

    Args:
        session: The session.
        saved: A saved state, the uid of its run, or ``"golden"``; None: the present
            state, which is stored as a run first.
        correctors: Whether to take over correctors and skew quadrupoles too. They
            correct errors that the model does not have, so by default it keeps its own.

    Returns:
        What was taken over.

    Raises:
        PlanError: The state is of another machine, or there is no golden one.
        DeviceError: A device was not where it was set to, so that its strength is not
            known; the model is as it was.
    """
    machine, model = session.machine, session.model
    state = _state(session, saved)
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
    """Set the machine to the strengths of the design model.

    Every strength is checked against its limits before anything moves. Bad devices
    stay where they are. If it fails, everything goes back to where it was.

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
    states: list[FamilyState] = []
    for device in asked:
        names = names_of(device)
        values = np.array([strengths[name] for name in names])
        unit = device.bounds.unit
        states.append(FamilyState(device.name, names, values, values, unit))
    state = MachineState(machine.title, tuple(states), math.nan, "the design model")
    titles = [device.name for device in asked]
    session.run(plans.restore_machine(machine, state, titles, undo=True))
    return tuple(titles)


def _state(session: Session, saved: Saved | None) -> MachineState:
    machine = session.machine
    if saved is None:
        return session.run(plans.save_machine(machine, "for the design model"))
    state = session.run(saved_state(machine, saved))
    if state is None:
        raise PlanError(
            f"{machine.title} has no golden state: make the run of a save_machine the "
            "reference with promote_reference"
        )
    return state
