"""What a beam-based alignment moves: groups of quadrupoles, correctors, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.bba_parallel import tell_apart
from acctwin.analysis.optics import LocalOptics
from acctwin.defaults import BbaDefaults
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.names import HCM, VCM, FloatArray, IntArray
from acctwin.plans.actuators import raw
from acctwin.plans.alignment.data import BOTH, Group, Plot, sites
from acctwin.plans.alignment.pairs import (
    Asked,
    Pair,
    best_corrector,
    choose_pairs,
    neighbours,
    room_of,
    two_correctors,
)
from acctwin.plans.stubs import ask, setpoints

Mode = Literal["single", "parallel"]
Method = Literal["bipolar", "unipolar", "sweep"]
PlaneAsked = Literal["both", "x", "y"]

#: Fractions of the modulation at which the orbit is read, in this order.
MODULATIONS: dict[str, tuple[float, ...]] = {
    "bipolar": (0.5, -0.5),
    "unipolar": (0.0, 1.0),
    "sweep": (-0.5, 0.0, 0.5),
}
_PLANES = {"both": (0, 1), "x": (0,), "y": (1,)}


@dataclass(frozen=True)
class Options:
    """How an alignment is measured.

    Attributes:
        planes: Which, 0 and 1.
        mode: One quadrupole at a time, or many.
        method: How a quadrupole is modulated.
        values: Numbers of the profile, or given.
        modulation: Full change of a strength, None: from the tune shift.
    """

    planes: tuple[int, ...]
    mode: Mode
    method: Method
    values: BbaDefaults
    modulation: float | None


@dataclass(frozen=True)
class Step:
    """What a group moves.

    Attributes:
        group: The quadrupoles.
        changes: Full modulation of each of them, (n,).
        correctors: Those that move the beam: (family, index in it).
        kicks: Change of each at each point, (n_points, n_correctors) [rad].
    """

    group: Group
    changes: FloatArray
    correctors: tuple[tuple[str, int], ...]
    kicks: FloatArray


@dataclass(frozen=True)
class Task:
    """All that is measured.

    Attributes:
        machine: The machine.
        options: How.
        steps: Group by group.
        optics: The design.
        good: Which BPMs of the family count.
        circumference: [m].
        start: Setpoints of ``boxes`` at the start.
    """

    machine: Machine
    options: Options
    steps: tuple[Step, ...]
    optics: Plot
    good: IntArray
    circumference: float
    start: tuple[FloatArray, ...]

    @property
    def boxes(self) -> list[Any]:
        """Families that hold what is moved."""
        return boxes_of(self.machine)

    @property
    def behind(self) -> list[Any]:
        """What is put back: supplies, and families that have none."""
        return raw(self.boxes)

    @property
    def fractions(self) -> tuple[float, ...]:
        """Of the modulation, in the order they are set."""
        return MODULATIONS[self.options.method]

    def counts(self) -> tuple[int, ...]:
        """Return how many events each complete group has."""
        each = len(self.fractions) * self.options.values.readings
        return tuple(len(step.kicks) * each for step in self.steps)

    def corrector_moves(self, step: Step, kicks: FloatArray) -> list[tuple[Any, float]]:
        """Return where the correctors of a step go, (n_correctors,) [rad]."""
        return [
            (getattr(self.machine, name)[i], float(self._start(name)[i] + kick))
            for (name, i), kick in zip(step.correctors, kicks, strict=True)
        ]

    def quadrupole_moves(self, step: Step, fraction: float) -> list[tuple[Any, float]]:
        """Return where the quadrupoles of a step go."""
        start = self._start("quadrupoles")
        return [
            (self.machine.quadrupoles[i], float(start[i] + fraction * change))
            for i, change in zip(step.group.quadrupoles, step.changes, strict=True)
        ]

    def everywhere(self) -> list[tuple[Any, float]]:
        """Return every place that anything goes to, for a check."""
        moves: list[tuple[Any, float]] = []
        for step in self.steps:
            for kicks in step.kicks:
                moves += self.corrector_moves(step, kicks)
            for fraction in self.fractions:
                moves += self.quadrupole_moves(step, fraction)
        return moves

    def _start(self, name: str) -> FloatArray:
        names = [box.name for box in self.boxes]
        return self.start[names.index(name)]


def boxes_of(machine: Machine) -> list[Any]:
    """Return the families that an alignment moves."""
    return [machine.hcm, machine.vcm, machine.quadrupoles]


def prepare(
    machine: Machine, asked: Asked | None, done: set[str], options: Options
) -> MsgGenerator[Task]:
    """Choose quadrupoles and correctors, and how far they go.

    Args:
        machine: The machine.
        asked: BPMs, or pairs of a BPM and a quadrupole.
        done: BPMs that need not be measured.
        options: How.

    Raises:
        PlanError: What was asked cannot be measured, or all of it was.
    """
    pairs = [pair for pair in choose_pairs(machine, asked) if pair.bpm not in done]
    if not pairs:
        raise PlanError("nothing to measure: every BPM was measured in the runs given")
    optics = yield from ask(lambda: _design(machine))
    places = yield from setpoints(boxes_of(machine))
    start = tuple(np.array(place, dtype=np.float64) for place in places)
    responses = yield from ask(lambda: _responses(machine, pairs))
    maker = _Maker(machine, options, optics, start, responses)
    parallel = options.mode == "parallel"
    steps = maker.together(pairs) if parallel else maker.one_by_one(pairs)
    return Task(
        machine,
        options,
        (*maker.probes(pairs), *steps),
        optics,
        np.flatnonzero(machine.bpms.status),
        machine.design.circumference(),
        start,
    )


@dataclass(frozen=True)
class _Maker:
    """Makes the steps."""

    machine: Machine
    options: Options
    optics: Plot
    start: tuple[FloatArray, ...]
    responses: tuple[FloatArray, FloatArray]

    def one_by_one(self, pairs: Sequence[Pair]) -> list[Step]:
        """Return a step for each pair: along one plane, then along the other."""
        steps: list[Step] = []
        along = np.linspace(-1.0, 1.0, self.options.values.points)
        for row, pair in enumerate(pairs):
            correctors: list[tuple[str, int]] = []
            sizes: list[float] = []
            for plane in self.options.planes:
                reach, room = self._reach(plane, self.responses[plane][row : row + 1])
                chosen = best_corrector(reach)
                correctors.append(((HCM, VCM)[plane], chosen))
                sizes.append(self._kick(plane, row, chosen, room))
            kicks: FloatArray = np.kron(np.diag(sizes), along[:, None]).astype(
                np.float64
            )
            steps.append(self._step([pair], self._plane(), correctors, kicks))
        return steps

    def together(self, pairs: Sequence[Pair]) -> list[Step]:
        """Return a step for many pairs, both planes at once."""
        turn = 2 * np.pi * np.arange(self.options.values.points)
        turn = turn[:, None] / self.options.values.points
        steps: list[Step] = []
        for chosen in self._groups([pair.quadrupole for pair in pairs]):
            correctors: list[tuple[str, int]] = []
            kicks: list[FloatArray] = []
            for plane in self.options.planes:
                response = self.responses[plane][chosen]
                _, room = self._reach(plane, response)
                two = two_correctors(response, room)
                moved = np.sqrt(np.mean(np.square(response[:, two]), axis=0))
                most = np.minimum(self.options.values.span_m / 2 / moved, room[two])
                kicks.append(np.column_stack([np.cos(turn), np.sin(turn)]) * most)
                correctors += [((HCM, VCM)[plane], int(i)) for i in two]
            both = self._plane()
            steps.append(
                self._step(
                    [pairs[i] for i in chosen],
                    both,
                    correctors,
                    np.column_stack(kicks),
                )
            )
        return steps

    def probes(self, pairs: Sequence[Pair]) -> list[Step]:
        """Return steps that modulate the quadrupoles next to those of the pairs."""
        names = neighbours(self.machine, pairs)
        if not self.options.values.neighbours:
            names = []
        if self.options.mode == "single" or not names:
            return [self._probe([name]) for name in names]
        return [
            self._probe([names[i] for i in chosen]) for chosen in self._groups(names)
        ]

    def _groups(self, names: Sequence[str]) -> list[list[int]]:
        """Return which quadrupoles are modulated together, by index into names."""
        optics = self.optics
        where = np.array([optics.quadrupoles.names.index(name) for name in names])
        planes = self.options.planes
        return tell_apart(
            [sites(optics.bpms, plane) for plane in planes],
            [sites(optics.quadrupoles, plane)[where] for plane in planes],
            optics.bpms.tunes[list(planes)],
            self.options.values.together,
        )

    def _probe(self, names: Sequence[str]) -> Step:
        quads = tuple(self.machine.quadrupoles.names.index(name) for name in names)
        group = Group(quads, (), self._plane())
        return Step(group, self._changes(quads), (), np.zeros((1, 0)))

    def _step(
        self,
        pairs: Sequence[Pair],
        plane: int,
        correctors: Sequence[tuple[str, int]],
        kicks: FloatArray,
    ) -> Step:
        family = self.machine.quadrupoles.names
        quads = tuple(family.index(pair.quadrupole) for pair in pairs)
        bpms = tuple(self.optics.bpms.names.index(pair.bpm) for pair in pairs)
        group = Group(quads, bpms, plane)
        return Step(group, self._changes(quads), tuple(correctors), kicks)

    def _plane(self) -> int:
        planes = self.options.planes
        return BOTH if len(planes) == 2 else planes[0]

    def _changes(self, quads: tuple[int, ...]) -> FloatArray:
        """Return the modulation of quadrupoles; signs alternate to hold the tunes."""
        chosen = list(quads)
        sign = np.where(np.arange(len(chosen)) % 2, -1.0, 1.0)
        if self.options.modulation is not None:
            return sign * self.options.modulation
        optics, start = self.optics.quadrupoles, self.start[2][chosen]
        length = optics.length[chosen]
        beta = optics.beta[chosen].max(axis=1)
        shift = self.options.values.tune_shift
        wanted = 4 * np.pi * shift / beta / np.where(length > 0.0, length, 1.0)
        low, high = (limit[chosen] for limit in self.machine.quadrupoles.limits)
        room = np.minimum(high - start, start - low)
        return sign * np.minimum(wanted, 0.9 * room)

    def _reach(self, plane: int, response: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far correctors move the beam [m], and can go themselves [rad]."""
        family = (self.machine.hcm, self.machine.vcm)[plane]
        room = np.where(family.status, room_of(family, self.start[plane]), 0.0)
        size = np.sqrt(np.mean(np.square(response), axis=0))
        return size * room, room

    def _kick(self, plane: int, row: int, chosen: int, room: FloatArray) -> float:
        moved = abs(float(self.responses[plane][row, chosen]))
        if not moved * room[chosen] > 0.0:
            bpm = self.optics.bpms.names[row]
            raise PlanError(f"no corrector can move the beam at {bpm}")
        return min(self.options.values.span_m / 2 / moved, float(room[chosen]))


def _design(machine: Machine) -> Plot:
    design = machine.design

    def of(names: Sequence[str]) -> LocalOptics:
        return design.optics(names)

    bpms = of(machine.bpms.good().names)
    return Plot(
        bpms,
        of(machine.quadrupoles.names),
        of(machine.hcm.names),
        of(machine.vcm.names),
        _dispersion_slope(machine, bpms),
    )


def _dispersion_slope(machine: Machine, bpms: LocalOptics) -> FloatArray:
    """Return the derivative of the dispersion at BPMs, (n_bpms, 2); 0 without RF."""
    if not machine.has("rf"):
        return np.zeros((len(bpms.names), 2))
    x, px, y, py = machine.design.place_response(bpms.names, ["rf"])[:, :, 0]
    moved, turned = np.column_stack([x, y]), np.column_stack([px, py])
    per_hertz = float(np.sum(moved * bpms.dispersion) / np.sum(np.square(moved)))
    return turned * per_hertz


def _responses(
    machine: Machine, pairs: Sequence[Pair]
) -> tuple[FloatArray, FloatArray]:
    """Return what all correctors of a plane do at the BPMs of pairs [m/rad]."""
    names = [pair.bpm for pair in pairs]
    x = machine.design.orbit_response(names, machine.hcm.names)[: len(names)]
    y = machine.design.orbit_response(names, machine.vcm.names)[len(names) :]
    return x, y


def options_of(
    plane: PlaneAsked,
    mode: Mode,
    method: Method,
    modulation: float | None,
    values: BbaDefaults,
) -> Options:
    """Return checked options.

    Raises:
        PlanError: One of them makes no sense.
    """
    for word, given, known in (
        ("plane", plane, _PLANES),
        ("mode", mode, ("single", "parallel")),
        ("method", method, MODULATIONS),
    ):
        if given not in known:
            raise PlanError(f"{word} is one of {', '.join(known)}, not {given!r}")
    if values.points < 3 or values.readings < 1 or not values.span_m > 0.0:
        raise PlanError(
            f"at least 3 points, 1 reading and a span above 0 are needed; found "
            f"{values.points}, {values.readings} and {values.span_m:g} m"
        )
    return Options(_PLANES[plane], mode, method, values, modulation)
