"""The state of a machine: from its devices, from a stored run, from the design."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.machine_state import FamilyState, MachineState
from acctwin.data.runs import Run, Stream
from acctwin.devices.family import SettableFamily
from acctwin.devices.member import SettableMember
from acctwin.devices.rf import Rf
from acctwin.devices.ring import Machine
from acctwin.errors import DataError, PlanError
from acctwin.plans.saving.reference import (
    MACHINE,
    current_reference,
    refuse_other_machine,
    refuse_unfinished,
)
from acctwin.plans.stubs import Reading, ask
from acctwin.plans.targets import settable

GOLDEN = "golden"

#: A saved state, the uid of its run, or ``"golden"``: the reference of this machine.
Saved: TypeAlias = MachineState | str


def analyse(run: Run) -> MachineState:
    """Return the state of a machine that a stored run holds.

    That is what ``save_machine`` saved; of any other run, the state before it.

    Raises:
        DataError: It holds none.
    """
    name = "primary" if run.start.get("plan_name") == "save_machine" else "baseline"
    stream = run.streams.get(name)
    if stream is None or not len(stream):
        raise DataError(
            f"run {run.uid} ({run.start.get('plan_name')}) holds no setpoints: it has "
            f"no event in its stream {name!r}"
        )
    families = tuple(_stored_families(stream))
    note = run.start.get("plan_args", {}).get("note", "")
    machine = run.start.get("profile", "")
    return MachineState(machine, families, float(stream.time[0]), note, run.uid)


def saved_state(machine: Machine, saved: Saved) -> MsgGenerator[MachineState | None]:
    """Return a saved state; None when the golden one is asked for and there is none.

    Raises:
        PlanError: It is of another machine, or its run did not succeed.
    """
    if isinstance(saved, MachineState):
        if saved.machine != machine.title:
            raise PlanError(
                f"the saved state is of the machine {saved.machine!r}, and this is "
                f"{machine.title!r}: it cannot be used here"
            )
        return saved
    uid = saved
    if saved == GOLDEN:
        found = yield from current_reference(machine, MACHINE)
        if found is None:
            return None
        uid = found
    run: Run = yield from ask(lambda: machine.runs.run(uid))
    refuse_other_machine(machine, run)
    if run.start.get("plan_name") == "save_machine":
        refuse_unfinished(run)
    return analyse(run)


def state_from_event(
    machine: Machine, event: Reading, note: str, uid: str
) -> MachineState:
    """Return the state of the machine in an event just taken."""
    families: list[FamilyState] = []
    for device in machine.baseline():
        setpoints, readbacks = (
            np.array(event[key], dtype=np.float64, ndmin=1) for key in device.keys
        )
        names, unit = names_of(device), device.bounds.unit
        families.append(FamilyState(device.name, names, setpoints, readbacks, unit))
    return MachineState(machine.title, tuple(families), time.time(), note, uid)


def names_of(device: Any) -> tuple[str, ...]:
    """Return the names of the members of a family, or of one device."""
    if isinstance(device, SettableFamily):
        return device.names
    is_alone = isinstance(device, Rf | SettableMember)
    return (device.name if is_alone else device.info.name,)


def title_of(device: Any) -> str:
    """Return what a family or a device is called."""
    return device.name if isinstance(device, SettableFamily) else names_of(device)[0]


def listed(families: Sequence[str] | None) -> list[str] | None:
    """Return names of families as a start document has them."""
    return None if families is None else list(families)


def asked_for(machine: Machine, families: Sequence[str] | None) -> list[Any]:
    """Return families and devices by name; default: all magnets, and the RF.

    Raises:
        UnknownName: There is no such family or device.
        PlanError: It has no setpoint, or there are none.
    """
    if families is None:
        return list(machine.setpoints())
    if isinstance(families, str) or not families:
        raise PlanError(f"families are names such as ['hcm', 'rf'], not {families!r}")
    return [settable(machine, name) for name in families]


def design_state(machine: Machine) -> MsgGenerator[MachineState]:
    """Return the strengths of the design model as a state."""
    families: list[FamilyState] = []
    for device in machine.setpoints():
        names = names_of(device)
        values = yield from ask(partial(machine.design.setpoints, names))
        unit = device.bounds.unit
        families.append(FamilyState(device.name, names, values, values, unit))
    return MachineState(machine.title, tuple(families), np.nan, "the design model")


def _stored_families(stream: Stream) -> Iterator[FamilyState]:
    """Yield the families, and the RF, of the first event of a stream."""
    for key in stream.names:
        family, _, what = key.rpartition("_")
        if what not in ("strength", "current", "frequency", "value"):
            continue
        if f"{family}_readback" not in stream.names:
            continue
        setpoints, readbacks = (
            np.array(stream[name][0], dtype=np.float64, ndmin=1)
            for name in (key, f"{family}_readback")
        )
        names = (family,)
        if np.ndim(stream[key][0]):
            names = tuple(str(name) for name in stream.config(f"{family}_names"))
        yield FamilyState(family, names, setpoints, readbacks, stream.units(key))
