"""What a local bump works with: its correctors, and what they do inside and outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.bump import solve_bump
from acctwin.analysis.orbit import OrbitResult, rms
from acctwin.analysis.response import ResponseResult
from acctwin.devices.ring import Machine
from acctwin.errors import UnknownName
from acctwin.names import PLANES, BoolArray, FloatArray
from acctwin.plans.knobs import Knobs
from acctwin.plans.orbits.bump_place import Around, Wanted, look_around
from acctwin.plans.orbits.inputs import OrbitMatrix, orbit_matrix, resolve

#: Correctors of a bump that is not told how many: at most this many.
MOST = 8


@dataclass(frozen=True)
class Task:
    """All that a pass needs.

    Attributes:
        wanted: What was asked for.
        response: What is set: the correctors of the bump, and helpers in the other
            plane; BPMs, and the matrix between them.
        target: What the knobs do at the place, a row for each value that was
            asked for, (n_wanted, n).
        is_outside: Which rows of the matrix are outside the bump, (2·n_bpm,).
        inside: BPMs inside it.
        room: How far each knob may be moved either way, (n,).
    """

    wanted: Wanted
    response: OrbitMatrix
    target: FloatArray
    is_outside: BoolArray
    inside: tuple[str, ...]
    room: FloatArray

    @property
    def knobs(self) -> Knobs:
        """What is set."""
        return self.response.knobs

    def first(self) -> FloatArray:
        """Return the steps that should make the bump."""
        outside = self.response.matrix[self.is_outside]
        return solve_bump(outside, self.target, self.wanted.values)

    def closing(self, change: FloatArray) -> FloatArray:
        """Return the steps that correct a bump, from the change that was measured.

        Args:
            change: Of the orbit since there was no bump, x then y [m], (2·n_bpm,).
        """
        missing = np.zeros(len(self.target))
        seen = self.seen(change)
        if self.wanted.position is not None and not np.isnan(seen):
            missing[0] = self.wanted.position - seen
        outside = self.response.matrix[self.is_outside]
        return solve_bump(outside, self.target, missing, change[self.is_outside])

    def seen(self, change: FloatArray) -> float:
        """Return the change at the place [m]; NaN if it is not a good BPM."""
        if self.wanted.place not in self.response.bpms:
            return np.nan
        axis = PLANES.index(self.wanted.plane)
        return float(change[self.response.row(self.wanted.place, axis)])

    def is_allowed(self) -> bool:
        """Tell whether the limits leave room for the first steps."""
        return bool(np.all(np.abs(self.first()) <= self.room))

    def should_leak(self) -> float:
        """Return the largest change expected outside, over the one inside."""
        change = np.abs(self.response.matrix @ self.first())
        outside = change[self.is_outside].max(initial=0.0)
        return float(outside / change.max()) if change.any() else 0.0

    def is_closed(self, change: FloatArray, closure: float) -> bool:
        """Tell whether a change is as wanted, to within a fraction of its amplitude."""
        position = self.wanted.position or 0.0
        inside = np.abs(change[~self.is_outside]).max(initial=0.0)
        close = closure * (abs(position) or inside)
        missing = [*change[self.is_outside]]
        if self.wanted.position is not None and self.wanted.place in self.response.bpms:
            missing.append(position - self.seen(change))
        return bool(np.all(np.abs(missing) <= close))

    def leak(self, change: FloatArray) -> float:
        """Return the rms of a change outside [m]."""
        return rms(change[self.is_outside]) if self.is_outside.any() else 0.0

    def predicted(self, before: OrbitResult, steps: FloatArray) -> OrbitResult:
        """Return the orbit that steps should make, at the BPMs in the matrix."""
        change = np.split(self.response.matrix @ steps, 2)
        x, y, rows = before.x.copy(), before.y.copy(), self.response.rows
        x[rows] += change[0]
        y[rows] += change[1]
        return replace(before, x=x, y=y)


def prepare(
    machine: Machine,
    wanted: Wanted,
    response: ResponseResult | str | None,
    chosen: int | Sequence[str] | None,
    closure: float,
    both_planes: bool,
    rf: bool,
) -> MsgGenerator[Task]:
    """Choose correctors, and find what they do.

    Not told how many, it takes as few as should close the bump to half of
    ``closure``, a fraction of its amplitude; more than the least are needed where a
    bump changes the path length, and with it the energy.

    Raises:
        PlanError: No correctors can make this bump.
        UnknownName: There is no such place, or no such corrector.
    """
    measured = yield from resolve(machine, response, "orbit_bump")
    matrix = yield from orbit_matrix(machine, measured, rf=rf)
    around = yield from look_around(machine, wanted, matrix, both_planes)
    if chosen is not None:
        names = around.best(chosen) if isinstance(chosen, int) else tuple(chosen)
        return _task(around, names)
    tasks: list[Task] = []
    least = 2 + len(wanted.values)
    for count in range(least, max(least, min(MOST, len(around.names))) + 1):
        tasks.append(_task(around, around.best(count)))
        if tasks[-1].is_allowed() and tasks[-1].should_leak() <= closure / 2:
            return tasks[-1]
    return min(tasks, key=lambda task: (not task.is_allowed(), task.should_leak()))


def _task(around: Around, names: Sequence[str]) -> Task:
    """Return the task for some correctors of the bump's plane."""
    for name in names:
        if name not in around.names:
            what = f"good {around.wanted.plane} corrector in the response"
            raise UnknownName(what, name, around.names)
    used = {*names, *around.helpers(names), "rf"}
    everything = around.response.knobs
    columns = [i for i, name in enumerate(everything.names) if name in used]
    reach = around.phase[columns]
    is_inside = (around.bpm_phase > np.nanmin(reach)) & (
        around.bpm_phase < np.nanmax(reach)
    )
    bpms = around.response.bpms
    return Task(
        around.wanted,
        replace(
            around.response,
            knobs=everything.only(used),
            matrix=around.response.matrix[:, columns],
        ),
        around.target[:, columns],
        np.tile(~is_inside, len(PLANES)),
        tuple(name for name, i in zip(bpms, is_inside, strict=True) if i),
        around.room[columns],
    )
