"""Beta functions at quadrupoles, from the tunes when each of them is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.beta import (
    BetaResult,
    Places,
    beta_of_modulation,
    beta_result,
)
from acctwin.data.runs import Stream
from acctwin.devices.magnet import Magnet
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import boxes, good_members, magnets_of_supplies, raw
from acctwin.plans.group_knobs import GroupKnob, family_knobs
from acctwin.plans.guards import check_moves, require, restoring
from acctwin.plans.note import Note
from acctwin.plans.stubs import Reading, ask, move, setpoints
from acctwin.plans.targets import Target, settable
from acctwin.plans.tunes.knobs import design_response
from acctwin.plans.tunes.reading import TuneView, read_tunes, stored_events

_KEYS = ("step_row", "step_side", "step_integrated")


@dataclass(frozen=True)
class Rows:
    """What is changed, one after the other.

    Attributes:
        knobs: A quadrupole, or the quadrupoles that one supply feeds in series.
        names: Of the quadrupole, or of the supply.
        held: Families and magnets that know all strengths.
    """

    knobs: tuple[GroupKnob, ...]
    names: tuple[str, ...]
    held: list[Any]

    @property
    def behind(self) -> list[Any]:
        """What is put back."""
        return raw(self.held)


def rows(machine: Machine, quadrupoles: Sequence[Target] | None) -> Rows:
    """Return what is changed: each good quadrupole, magnets in series once.

    Raises:
        PlanError: There are none.
    """
    if quadrupoles is None:
        require(machine, ["quadrupoles"], "there is nothing to change")
        quadrupoles = [machine.quadrupoles]
    asked = [settable(machine, target) for target in quadrupoles]
    fed, taken = magnets_of_supplies(machine), set[str]()
    chosen: list[Magnet] = []
    for magnet in good_members(asked):
        if not isinstance(magnet, Magnet):
            raise PlanError(f"{magnet.info.name} is not a magnet")
        if magnet.info.name not in taken:
            chosen.append(magnet)
            if len(magnet.supplies) == 1:
                taken |= fed[magnet.supply.info.name]
    if not chosen:
        raise PlanError("no good quadrupole was named")
    knobs = family_knobs(machine, chosen)
    names = tuple(
        knob.name if len(knob.names) == 1 else magnet.supply.info.name
        for knob, magnet in zip(knobs, chosen, strict=True)
    )
    held = boxes(asked)
    known = {name for box in held for name in box.bounds.names}
    others = [name for knob in knobs for name in knob.names if name not in known]
    return Rows(knobs, names, [*held, *(machine[name] for name in others)])


def measure(
    machine: Machine, view: TuneView, rows: Rows, delta: float | None, uid: str
) -> MsgGenerator[tuple[BetaResult, Places]]:
    """Measure, and say where.

    Args:
        machine: The machine.
        view: How the tunes are read.
        rows: What is changed.
        delta: Full change of each strength, in its unit; None: the default.
        uid: Of the run.

    Raises:
        LimitError: A change is outside the limits; nothing was moved.
        PlanError: A magnet is no quadrupole.
    """
    start = yield from _strengths(rows)
    changes = yield from _changes(machine, rows, start, delta)
    for knob, change in zip(rows.knobs, changes.tolist(), strict=True):
        for side in (-0.5, 0.5):
            check_moves(knob.moves(start, side * change))
    names = [name for knob in rows.knobs for name in knob.names]
    local = yield from ask(lambda: machine.design.optics(names))
    # The strength of a thin quadrupole is integrated already.
    length = np.where(local.length > 0.0, local.length, 1.0)
    job = _Job(
        machine, view, rows, start, changes, dict(zip(names, length, strict=True))
    )
    ends = np.cumsum([len(knob.names) for knob in rows.knobs])[:-1]
    means = [
        knob.per_change(start, mine.T * size) / knob.per_change(start, size)
        for knob, mine, size in zip(
            rows.knobs, np.split(local.beta, ends), np.split(length, ends), strict=True
        )
    ]
    first = np.array([0, *ends])
    places = Places(
        rows.names, local.s[first], np.array(means), local.phase[first], local.tunes
    )
    events = yield from restoring(rows.behind, lambda: _walk(job))
    return _result(events, view, places, uid), places


def again(stream: Stream, view: TuneView, places: Places, uid: str) -> BetaResult:
    """Return the beta functions of stored events."""
    extra = {key: stream[key] for key in _KEYS}
    events = [
        {**event, **{key: column[i] for key, column in extra.items()}}
        for i, event in enumerate(stored_events(stream, view))
    ]
    return _result(events, view, places, uid)


@dataclass(frozen=True)
class _Job:
    """What is changed, by how much, and what is read."""

    machine: Machine
    view: TuneView
    rows: Rows
    start: Mapping[str, float]
    changes: FloatArray
    length: Mapping[str, float]


def _walk(job: _Job) -> MsgGenerator[list[Reading]]:
    """Change each quadrupole to either side; return the readings."""
    rows = job.rows
    note = Note(
        "step",
        {"row": 0, "side": 0.0, "integrated": 0.0},
        {"integrated": "1/m"},
        {"rows": list(rows.names)},
    )
    recorded = [*rows.held, *(one for one in rows.behind if one not in rows.held)]
    events: list[Reading] = []
    for index, (knob, change) in enumerate(zip(rows.knobs, job.changes, strict=True)):
        for side in (-0.5, 0.5):
            yield Msg("checkpoint")
            yield from move(knob.moves(job.start, float(side * change)))
            now = yield from _strengths(rows)
            integrated = sum(job.length[name] * now[name] for name in knob.names)
            note.values.update(row=index, side=side, integrated=float(integrated))
            taken = yield from read_tunes(job.machine, job.view, recorded, [note])
            events += taken
        yield from move(knob.moves(job.start, 0.0))
    return events


def _strengths(rows: Rows) -> MsgGenerator[dict[str, float]]:
    """Return the set strengths of all magnets, by name."""
    places = yield from setpoints(rows.held)
    found: dict[str, float] = {}
    for device, place in zip(rows.held, places, strict=True):
        values = np.atleast_1d(place).tolist()
        found.update(zip(device.bounds.names, values, strict=True))
    return found


def _changes(
    machine: Machine, rows: Rows, start: Mapping[str, float], delta: float | None
) -> MsgGenerator[FloatArray]:
    """Return the full change of each strength, (n_rows,)."""
    response = yield from design_response(machine, rows.knobs, start)
    if delta is not None:
        if not delta > 0.0:
            raise PlanError(f"delta is a positive number, not {delta!r}")
        return np.full(len(rows.knobs), delta)
    default = machine.defaults.beta
    most = default.most * np.array([knob.delta for knob in rows.knobs])
    return np.minimum(most, default.shift / np.abs(response).max(axis=0))


def _result(
    events: Sequence[Reading], view: TuneView, places: Places, uid: str
) -> BetaResult:
    count = view.readings
    taken = [
        view.result(events[first : first + count])
        for first in range(0, len(events), count)
    ]
    whole = np.array([one.tunes for one in taken])
    sigma = np.array([one.sigma for one in taken])
    integrated = np.array([event["step_integrated"] for event in events])[::count]
    beta, error = beta_of_modulation(
        whole[::2], whole[1::2], np.diff(integrated)[::2], sigma[::2], sigma[1::2]
    )
    return beta_result(places, beta, error, "modulation", uid=uid)
