"""Cycle magnets through their hysteresis loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.machine_state import CycleResult, waveform_setpoints
from acctwin.devices.magnet import Magnet, MagnetFamily
from acctwin.devices.ring import Machine
from acctwin.devices.selection import Selection
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import (
    Actuators,
    Knob,
    boxes,
    good_members,
    magnets_of_supplies,
    with_values,
)
from acctwin.plans.call import plan
from acctwin.plans.guards import check_moves, restoring
from acctwin.plans.stubs import Reading, in_run, move, setpoints, take
from acctwin.plans.targets import Target, good_part, settable, title

#: More than this is a stored beam, less is noise of the current monitor [A].
STORED_A = 1e-4


@plan
def cycle(
    machine: Machine,
    family: Target,
    waveform: Sequence[float] | None = None,
    *,
    steps: int = 1,
    settle_s: float | None = None,
    with_beam: bool = False,
) -> MsgGenerator[CycleResult]:
    """Take magnets through a hysteresis loop and back to where they were.

    The waveform is in fractions of the way from the present setpoint to the limits: 1
    is the upper limit, −1 the lower, 0 where it is. Where magnets have supplies, it is
    their current that is cycled. All good members of a family go together; when the
    waveform is through, or on any other exit, they are set to where they were.

    Args:
        machine: The machine.
        family: A family or a device, by its profile name or itself, or a selection.
        waveform: Fractions, −1 to 1; default: the profile's for this family.
        steps: Equal steps from one point to the next.
        settle_s: Wait at each point [s]; default: the profile's.
        with_beam: Cycle although beam is stored.

    Raises:
        PlanError: Beam is stored, a supply also feeds other magnets, or the waveform
            leaves −1 to 1; nothing was moved.
        DeviceError: A device did not arrive.
    """
    shape = _shape(machine, family, waveform)
    if steps < 1:
        raise PlanError(f"steps is at least 1, not {steps}")
    wait_s = machine.defaults.cycle.settle_s if settle_s is None else settle_s
    points = _stepped(np.append(shape, 0.0) if shape[-1] else shape, steps)
    loop = _loop(machine, settable(machine, family))
    if not with_beam:
        yield from _refuse_beam(machine, title(family))

    def body(uid: str) -> MsgGenerator[CycleResult]:
        before = yield from setpoints(loop.devices)
        start, low, high = map(loop.values, (before, *loop.limits()))
        path = waveform_setpoints(start, low, high, points)
        moves = [loop.moves(before, values) for values in path]
        for each in moves:
            check_moves(each)
        events = yield from restoring(loop.devices, lambda: _walk(loop, moves, wait_s))
        seen = [loop.values([e[d.keys[1]] for d in loop.devices]) for e in events]
        return CycleResult(
            devices=tuple(knob.info.name for knob in loop.knobs),
            units=tuple(knob.info.unit for knob in loop.knobs),
            waveform=points,
            setpoints=path,
            start=start,
            readbacks=np.array(seen),
            uid=uid,
        )

    metadata = {
        "plan_name": "cycle",
        "plan_args": {
            "family": title(family),
            "waveform": shape.tolist(),
            "steps": steps,
            "settle_s": wait_s,
            "with_beam": with_beam,
        },
        "num_points": len(points),
    }
    return (yield from in_run(body, metadata))


@dataclass(frozen=True)
class _Loop:
    """What is cycled: whole devices that are set, and which of their members."""

    devices: list[Any]
    places: list[list[int]]
    knobs: list[Knob]

    def limits(self) -> tuple[list[Any], list[Any]]:
        """Return the lower and the upper limits of each device."""
        bounds = [device.bounds for device in self.devices]
        return [each.low for each in bounds], [each.high for each in bounds]

    def values(self, arrays: Sequence[Any]) -> FloatArray:
        """Return the values of the members that are cycled, (n,)."""
        pairs = zip(arrays, self.places, strict=True)
        return np.concatenate([np.atleast_1d(array)[i] for array, i in pairs])

    def moves(self, before: Sequence[Any], values: FloatArray) -> list[tuple[Any, Any]]:
        """Return where each device goes when the members that are cycled go there."""
        ends = np.cumsum([len(places) for places in self.places])[:-1]
        shares = np.split(values, ends)
        return [
            (device, with_values(was, places, share))
            for device, was, places, share in zip(
                self.devices, before, self.places, shares, strict=True
            )
        ]


def _loop(machine: Machine, asked: Actuators) -> _Loop:
    members = asked if isinstance(asked, MagnetFamily | Selection) else [asked]
    magnets = [member for member in members if isinstance(member, Magnet)]
    if magnets and all(magnet.supplies for magnet in magnets):
        _refuse_shared(machine, magnets)
        parts = good_part(asked, "hardware")
    else:
        parts = good_part(asked, "physics")
    knobs, devices = good_members(parts), boxes(parts)
    if not knobs:
        raise PlanError("nothing to cycle: all that was asked for is marked bad")
    by_name = {knob.info.name: knob for knob in knobs}
    places = [
        [i for i, name in enumerate(device.bounds.names) if name in by_name]
        for device in devices
    ]
    ordered = [
        by_name[device.bounds.names[i]]
        for device, chosen in zip(devices, places, strict=True)
        for i in chosen
    ]
    return _Loop(devices, places, ordered)


def _refuse_shared(machine: Machine, magnets: Sequence[Magnet]) -> None:
    chosen = {magnet.info.name for magnet in magnets}
    feeds = magnets_of_supplies(machine)
    for magnet in magnets:
        for supply in magnet.supplies:
            others = sorted(feeds[supply.info.name] - chosen)
            if others:
                raise PlanError(
                    f"{supply.info.name} feeds {magnet.info.name} and also "
                    f"{', '.join(others[:3])}, which would be cycled too: name them "
                    "all, or cycle the supplies themselves"
                )


def _refuse_beam(machine: Machine, what: Any) -> MsgGenerator[None]:
    if not machine.has("dcct"):
        return
    reading = yield Msg("read", machine.dcct)
    current = reading[machine.dcct.current.name]["value"]
    if current > STORED_A:
        raise PlanError(
            f"{1e3 * current:.3g} mA are stored, and cycling {what} would lose them: "
            "dump the beam first, or say with_beam=True"
        )


def _shape(
    machine: Machine, family: Target, waveform: Sequence[float] | None
) -> FloatArray:
    default = machine.defaults.cycle
    if waveform is None:
        waveform = default.waveforms.get(str(title(family)), default.waveform)
    shape = np.asarray(waveform, dtype=np.float64)
    if shape.ndim != 1 or not len(shape) or not (np.abs(shape) <= 1.0).all():
        raise PlanError(
            f"a waveform is a list of fractions from -1 (lower limit) over 0 (where it "
            f"is) to 1 (upper limit), not {waveform!r}"
        )
    return shape


def _stepped(shape: FloatArray, steps: int) -> FloatArray:
    """Return a waveform with equal steps between its points, from 0 on."""
    corners = np.arange(len(shape) + 1) * steps
    values = np.append(0.0, shape)
    return np.interp(np.arange(1, corners[-1] + 1), corners, values)


def _walk(
    loop: _Loop, moves: Sequence[list[tuple[Any, Any]]], settle_s: float
) -> MsgGenerator[list[Reading]]:
    events: list[Reading] = []
    for each in moves:
        yield Msg("checkpoint")
        yield from move(each)
        if settle_s:
            yield from bps.sleep(settle_s)
        events.append((yield from take(loop.devices)))
    return events
