"""What is optimised: variables with limits, objectives and constraints of readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.optimisation import Output
from acctwin.errors import LimitError, PlanError
from acctwin.names import FloatArray
from acctwin.plans.knobs import Knobs
from acctwin.plans.stubs import Reading, setpoints

#: How far from a limit a variable stays, as a part of its range.
HAIR = 1e-9


@dataclass(frozen=True)
class Variable:
    """One number that is varied: a knob's setpoint, or a combination of knobs.

    Attributes:
        name: Its name.
        unit: Of its value.
        weights: Change of each knob of the problem for a change of 1, by name.
        low: Lower limit; None: as far as every knob may go.
        high: Upper limit; None: the same.
        reach: How far from its start it may go at most; None: to the limits.
        is_change: The value counts from where the knobs were at the start, as that of
            a combination must; otherwise it is the setpoint of its only knob.
    """

    name: str
    unit: str
    weights: Mapping[str, float]
    low: float | None = None
    high: float | None = None
    reach: float | None = None
    is_change: bool = False


@dataclass(frozen=True)
class Measured:
    """An objective or a constraint, and how it comes from the readings of an event.

    Attributes:
        output: What it is.
        of: Returns its value from the readings; pure.
    """

    output: Output
    of: Callable[[Reading], float]


@dataclass(frozen=True)
class Problem:
    """What is varied, what is read, and what is to become of it.

    Attributes:
        name: What an operator would call it.
        knobs: All that is set.
        variables: What a generator varies.
        monitors: Devices that are triggered and read for each evaluation.
        objectives: At least one.
        constraints: Bounds that the best evaluation keeps.
        directions: Asks the design model for directions in which the problem is
            simple, (n_var, n_dir), in units of the variables; None: it knows none.
    """

    name: str
    knobs: Knobs
    variables: tuple[Variable, ...]
    monitors: tuple[Any, ...]
    objectives: tuple[Measured, ...]
    constraints: tuple[Measured, ...] = ()
    directions: Callable[[], FloatArray] | None = None

    def __post_init__(self) -> None:
        if not (self.variables and self.objectives and self.monitors):
            raise PlanError(
                f"{self.name}: a problem needs a variable, an objective and a monitor"
            )
        names = [v.name for v in self.variables] + [m.output.name for m in self.outputs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PlanError(f"{self.name}: {twice[0]!r} is the name of two things")
        for variable in self.variables:
            self._check(variable)

    @property
    def outputs(self) -> tuple[Measured, ...]:
        """Objectives, then constraints."""
        return (*self.objectives, *self.constraints)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, (n_var,)."""
        return tuple(variable.name for variable in self.variables)

    @property
    def matrix(self) -> FloatArray:
        """Change of each knob by each variable, (n_knobs, n_var)."""
        return np.array([
            [variable.weights.get(name, 0.0) for variable in self.variables]
            for name in self.knobs.names
        ])

    def _check(self, variable: Variable) -> None:
        strange = [name for name in variable.weights if name not in self.knobs.names]
        if strange or not any(variable.weights.values()):
            found = f"{strange[0]}, which is none" if strange else "no knob"
            raise PlanError(f"{variable.name} moves {found} of {self.name}")
        if not variable.is_change and list(variable.weights.values()) != [1.0]:
            raise PlanError(
                f"{variable.name} combines knobs: its value is a change from the "
                "start; say is_change=True"
            )


def plain_variables(knobs: Knobs, reach: float | None = None) -> tuple[Variable, ...]:
    """Return a variable for each knob: its setpoint.

    Args:
        knobs: What is set.
        reach: How far from its start each may go; default: to its limits.
    """
    units = [device.bounds.unit for device in knobs.devices]
    sizes = [len(places) for places in knobs.places]
    each = np.repeat(units, sizes).tolist()
    return tuple(
        Variable(name, unit, {name: 1.0}, reach=reach)
        for name, unit in zip(knobs.names, each, strict=True)
    )


@dataclass(frozen=True)
class Setting:
    """A problem on a machine that is somewhere.

    Attributes:
        problem: The problem.
        places: Setpoint of each of the knobs' devices at the start.
        start: Of the variables, (n_var,).
        low: Lower limits of the variables, (n_var,).
        high: Upper limits, (n_var,).
    """

    problem: Problem
    places: Sequence[Any]
    start: FloatArray
    low: FloatArray
    high: FloatArray

    def moves(self, candidate: FloatArray) -> list[tuple[Any, float | FloatArray]]:
        """Return where each device goes for a candidate, (n_var,)."""
        steps = self.problem.matrix @ (candidate - self.start)
        return self.problem.knobs.moves(self.places, steps)

    def vocs(self) -> dict[str, Any]:
        """Return variables, objectives and constraints as Xopt writes them."""
        problem = self.problem
        limits = zip(problem.names, self.low.tolist(), self.high.tolist(), strict=True)
        bounds: dict[str, list[Any]] = {}
        for measured in problem.constraints:
            bounds |= constraint_words(measured.output)
        return {
            "variables": {name: [low, high] for name, low, high in limits},
            "objectives": {
                m.output.name: "MAXIMIZE" if m.output.maximise else "MINIMIZE"
                for m in problem.objectives
            },
            "constraints": bounds,
        }


def constraint_words(output: Output) -> dict[str, list[Any]]:
    """Return a constraint as Xopt writes it."""
    if output.at_least is not None and output.at_most is not None:
        return {output.name: ["BOUNDS", output.at_least, output.at_most]}
    if output.at_least is not None:
        return {output.name: ["GREATER_THAN", output.at_least]}
    if output.at_most is not None:
        return {output.name: ["LESS_THAN", output.at_most]}
    raise PlanError(f"{output.name} is a constraint without a bound")


def setting_of(problem: Problem) -> MsgGenerator[Setting]:
    """Ask where the knobs are, and find the limits of the variables.

    Raises:
        LimitError: The start is outside the limits of a variable, or there is no room.
    """
    places = yield from setpoints(problem.knobs.devices)
    now = problem.knobs.setpoints(places, np.zeros(len(problem.knobs)))
    low, high = problem.knobs.limits()
    index = {name: i for i, name in enumerate(problem.knobs.names)}
    start, ends = list[float](), list[tuple[float, float]]()
    for variable in problem.variables:
        used = [(index[n], w) for n, w in variable.weights.items() if w]
        origin = 0.0 if variable.is_change else float(now[used[0][0]])
        room = [
            sorted(((low[i] - now[i]) / w, (high[i] - now[i]) / w)) for i, w in used
        ]
        least = origin + max(pair[0] for pair in room)
        most = origin + min(pair[1] for pair in room)
        start.append(origin)
        ends.append(_limits(variable, origin, least, most))
    found = np.array(ends)
    return Setting(problem, places, np.array(start), found[:, 0], found[:, 1])


def _limits(
    variable: Variable, origin: float, least: float, most: float
) -> tuple[float, float]:
    """Return the limits of a variable, from those of its knobs and its own."""
    reach = np.inf if variable.reach is None else variable.reach
    least = max(least, origin - reach)
    most = min(most, origin + reach)
    if variable.low is not None:
        least = max(least, variable.low)
    if variable.high is not None:
        most = min(most, variable.high)
    if not (least <= origin <= most and least < most):
        raise LimitError(
            f"{variable.name} starts at {origin:.6g} {variable.unit} and its limits "
            f"are {least:.6g} to {most:.6g}; nothing was moved"
        )
    # A hair inside, so that no rounding leaves the limits of a device.
    hair = HAIR * (most - least)
    return min(origin, least + hair), max(origin, most - hair)
