"""Bring the tunes together, past each other and back, and see how they repel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.closest_tunes import fit_closest_tunes, tune_distance
from acctwin.analysis.coupling import ClosestTunes
from acctwin.analysis.tune_correction import crossed, solve_tune
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import FloatArray
from acctwin.plans.actuators import raw
from acctwin.plans.group_knobs import (
    GroupKnob,
    all_boxes,
    all_moves,
    group_starts,
    room,
)
from acctwin.plans.guards import check_moves, restoring
from acctwin.plans.note import Note
from acctwin.plans.stubs import Reading, move
from acctwin.plans.tunes.knobs import design_response
from acctwin.plans.tunes.reading import (
    TuneView,
    read_tunes,
    stored_events,
    stored_view,
    tune_view,
)

#: Of :class:`Note` for the result; the tunes' view is stored under it.
NAME = "coupling"

#: The fine scan reaches so many times the closest approach to both sides, and at least
#: this fraction of the span.
_REACH, _LEAST = 3.0, 0.125


@dataclass(frozen=True)
class Approach:
    """A scan of Qx − Qy.

    Attributes:
        machine: The machine.
        knobs: Quadrupoles.
        span: How far to both sides of where the tunes meet.
        points: At how many places, in the span and again near the closest approach.
        readings: Of the tune monitor at each; None: the profile's.
    """

    machine: Machine
    knobs: tuple[GroupKnob, ...]
    span: float
    points: int
    readings: int | None

    def measure(self, uid: str) -> MsgGenerator[tuple[ClosestTunes, TuneView]]:
        """Scan, put the quadrupoles back, fit.

        Raises:
            PlanError: The tunes cannot be brought together.
            DataError: They do not meet where the design says they should.
        """
        view = yield from tune_view(self.machine, "monitor", self.readings, None)
        start = yield from group_starts(self.knobs)
        direction = yield from self._direction(start)
        scan = _Scan(self, view, start, direction)
        events = yield from restoring(raw(all_boxes(self.knobs)), scan.run)
        return _fit(events, view, uid), view

    def _direction(self, start: Mapping[str, float]) -> MsgGenerator[FloatArray]:
        """Return the change of each knob that should part Qx and Qy by 1, (n_knobs,).

        Both tunes do half of it. The change is the least in units of the strengths.
        """
        response = yield from design_response(self.machine, self.knobs, start)
        size = np.array([
            max(abs(start[m.info.name]) for m in knob.magnets) for knob in self.knobs
        ])
        size = np.where(size > 0.0, size, 1.0)
        if np.linalg.matrix_rank(response * size) < 2:
            names = ", ".join(knob.name for knob in self.knobs)
            raise PlanError(
                f"{names} cannot move the two tunes independently; name more "
                "quadrupole families"
            )
        return size * solve_tune(response * size, np.array([0.5, -0.5]))


def stored_approach(run: Run) -> ClosestTunes:
    """Return the closest approach in a stored run, from its readings alone."""
    stream, view = run["primary"], stored_view(run["result"], NAME)
    offsets = stream["approach_offset"]
    events = [
        {**event, "approach_offset": offset}
        for event, offset in zip(stored_events(stream, view), offsets, strict=True)
    ]
    return _fit(events, view, run.uid)


@dataclass
class _Scan:
    """An approach under way; ``here`` is the offset where the quadrupoles are."""

    approach: Approach
    view: TuneView
    start: Mapping[str, float]
    direction: FloatArray
    here: float = 0.0

    def run(self) -> MsgGenerator[list[Reading]]:
        """Read where the tunes are, near where they should meet, where they do."""
        note = Note("approach", {"offset": 0.0})
        approach = self.approach
        first = yield from self._read(note)
        present = self._tunes(first).mean(axis=0)
        apart = float(tune_distance(present))
        away = np.copysign(approach.span, apart)
        coarse = np.linspace(away, -away, approach.points) - apart
        self._check(present, apart, coarse[-1])
        events = yield from self._visit(coarse, note)
        found = _fit(events, self.view, "")
        width = np.clip(_REACH * found.value, _LEAST * approach.span, approach.span)
        low, high = np.sort(coarse[[0, -1]])
        fine = np.linspace(-width, width, approach.points) + found.center
        fine = np.clip(fine, low, high)
        events += yield from self._visit(np.unique(fine)[::-1], note)
        yield from self._go(0.0)
        return [*first, *events]

    def _tunes(self, events: list[Reading]) -> FloatArray:
        return _whole(events, self.view)

    def _check(self, present: FloatArray, apart: float, farthest: float) -> None:
        """Refuse, before anything moves, tunes that cannot be brought together."""
        words = (
            f"the tunes {present[0]:.4f} and {present[1]:.4f} are {abs(apart):.4f} "
            "apart without their integers"
        )
        line = crossed(present, present + np.array([0.5, -0.5]) * farthest)
        if line is not None:
            raise PlanError(
                f"{words}; to bring them together one would have to cross {line:g}; "
                "move the working point first, or use another method"
            )
        knobs = self.approach.knobs
        share, limit = room(knobs, self.start, self.direction * farthest)
        if share < 1.0:
            raise PlanError(
                f"{words}; to see their closest approach Qx − Qy must change by "
                f"{abs(farthest):.4f}, and the limits allow "
                f"{share * abs(farthest):.4f} ({limit}); name more quadrupole "
                "families, or use another method"
            )
        check_moves(all_moves(knobs, self.start, self.direction * farthest))

    def _visit(self, offsets: FloatArray, note: Note) -> MsgGenerator[list[Reading]]:
        events: list[Reading] = []
        for offset in offsets.tolist():
            yield from self._go(offset)
            note.values["offset"] = offset
            events += yield from self._read(note)
        return events

    def _go(self, offset: float) -> MsgGenerator[None]:
        """Move on in steps that change Qx − Qy by no more than the span."""
        count = max(1, int(np.ceil(abs(offset - self.here) / self.approach.span)))
        for place in np.linspace(self.here, offset, count + 1)[1:].tolist():
            yield Msg("checkpoint")
            moves = all_moves(self.approach.knobs, self.start, self.direction * place)
            check_moves(moves)
            yield from move(moves)
            self.here = place

    def _read(self, note: Note) -> MsgGenerator[list[Reading]]:
        boxes = all_boxes(self.approach.knobs)
        recorded: list[Any] = [*boxes, *(d for d in raw(boxes) if d not in boxes)]
        return (
            yield from read_tunes(self.approach.machine, self.view, recorded, [note])
        )


def _whole(events: Sequence[Reading], view: TuneView) -> FloatArray:
    """Return the tunes of events, (n, 2)."""
    seen = np.array([[event["tune_qx"], event["tune_qy"]] for event in events])
    return view.branch.whole(seen)


def _fit(events: Sequence[Reading], view: TuneView, uid: str) -> ClosestTunes:
    """Fit what was read away from the start, where the tunes are far apart."""
    near = [event for event in events if event["approach_offset"] != 0.0]
    offset = np.array([event["approach_offset"] for event in near], dtype=np.float64)
    return fit_closest_tunes(offset, _whole(near, view), uid=uid)
