"""Save all setpoints of a machine, and say what differs from a saved state."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.machine_state import (
    ComparisonResult,
    Device,
    MachineState,
    compare_states,
)
from acctwin.devices.family import SettableFamily
from acctwin.devices.ring import Machine
from acctwin.plans.call import plan
from acctwin.plans.note import Note, write_result
from acctwin.plans.saving.states import (
    GOLDEN,
    Saved,
    asked_for,
    design_state,
    listed,
    names_of,
    saved_state,
    state_from_event,
    title_of,
)
from acctwin.plans.stubs import Reading, in_run, take

log = logging.getLogger(__name__)

SUPPLIES = "supplies"


@plan
def save_machine(machine: Machine, note: str = "") -> MsgGenerator[MachineState]:
    """Save the setpoints and readbacks of all magnets, of the RF and the supplies.

    The state of the machine before and after any other run is kept too, in its
    baseline; saving gives it a run of its own, with a note.

    Args:
        machine: The machine.
        note: What there is to know about this state.

    Returns:
        The state; its ``uid`` is what ``compare_machine`` and ``restore_machine`` take.
    """

    def body(uid: str) -> MsgGenerator[MachineState]:
        event = yield from take(machine.baseline())
        state = state_from_event(machine, event, note, uid)
        late = [n for device in machine.baseline() for n in _late(device, event)]
        if late:
            log.warning(
                "save_machine: %d devices are not where they are set to: %s",
                len(late),
                ", ".join(late[:10]),
            )
        return state

    metadata = {
        "plan_name": "save_machine",
        "plan_args": {"note": note},
        "num_points": 1,
    }
    return (yield from in_run(body, metadata))


@plan
def compare_machine(
    machine: Machine, saved: Saved = GOLDEN, families: Sequence[str] | None = None
) -> MsgGenerator[ComparisonResult]:
    """List every setpoint that is not what was saved. Moves nothing.

    Args:
        machine: The machine.
        saved: A result of ``save_machine``; the uid of its run, or of any other run
            (the state before it is taken); or ``"golden"``: the machine's reference,
            without one the strengths of the design model, and that is said.
        families: Names of families or devices; default: all that is saved.

    Returns:
        What differs by more than its tolerance, in strengths and in amperes;
        ``print(result.table())``.

    Raises:
        PlanError: The saved state is of another machine.
        UnknownName: There is no such run, family or device.
    """
    state = yield from saved_state(machine, saved)
    if state is None:
        log.warning(
            "compare_machine: %s has no golden state; comparing with the design model",
            machine.title,
        )
        state = yield from design_state(machine)
    chosen = known_devices(machine, families)

    def body(uid: str) -> MsgGenerator[ComparisonResult]:
        event = yield from take(machine.baseline())
        now = state_from_event(machine, event, "", uid)
        result = _compared(state, now, chosen, is_all=families is None)
        yield from write_result(_comparison_note(result))
        return result

    metadata = {
        "plan_name": "compare_machine",
        "plan_args": {
            "saved": state.uid or "design model",
            "families": listed(families),
        },
        "derived_from": [state.uid] if state.uid else [],
        "num_points": 1,
    }
    return (yield from in_run(body, metadata))


def known_devices(
    machine: Machine, families: Sequence[str] | None
) -> dict[str, Device]:
    """Return what is known of the devices of some families, and of their supplies.

    Raises:
        UnknownName: There is no such family or device.
        PlanError: It has no setpoint.
    """
    found: dict[str, Device] = {}
    for asked in asked_for(machine, families):
        for member in asked if isinstance(asked, SettableFamily) else [asked]:
            found.setdefault(names_of(member)[0], _about(member, title_of(asked)))
            for supply in getattr(member, "supplies", ()):
                found.setdefault(supply.info.name, _about(supply, SUPPLIES))
    return found


def _about(device: Any, family: str) -> Device:
    supplies = getattr(device, "supplies", ())
    info = device.info
    supply = supplies[0].info.name if len(supplies) == 1 else ""
    return Device(family, info.unit, info.tolerance, info.high - info.low, supply)


def _late(device: Any, event: Reading) -> list[str]:
    """Return the members of a device that are not where they are set to."""
    wanted, seen = (np.atleast_1d(event[key]) for key in device.keys)
    off = ~(np.abs(seen - wanted) <= device.bounds.tolerance)
    return [names_of(device)[i] for i in np.flatnonzero(off)]


def _compared(
    saved: MachineState, now: MachineState, chosen: dict[str, Device], is_all: bool
) -> ComparisonResult:
    found = compare_states(saved, now, chosen)
    was, there = saved.setpoints, now.setpoints
    return ComparisonResult(
        differences=tuple(item for item in found if item.family != SUPPLIES),
        supplies=tuple(item for item in found if item.family == SUPPLIES),
        missing=tuple(name for name in was if is_all and name not in there),
        not_saved=tuple(
            name
            for name, about in chosen.items()
            if name not in was and about.family != SUPPLIES
        ),
        saved_uid=saved.uid,
        uid=now.uid,
    )


def _comparison_note(result: ComparisonResult) -> Note:
    found = (*result.differences, *result.supplies)
    note = Note("comparison", {"count": len(result.differences)})
    if not found:  # an array of nothing is not stored
        return note
    note.values["saved"] = np.array([item.saved for item in found])
    note.values["now"] = np.array([item.now for item in found])
    note.configuration = {
        "devices": [item.device for item in found],
        "families": [item.family for item in found],
        "units": [item.unit for item in found],
    }
    return note
