"""What an optimisation has tried, what came of it, and which of it is best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import BoolArray, FloatArray


@dataclass(frozen=True)
class Output:
    """What is made of the readings of an evaluation: an objective or a constraint.

    Attributes:
        name: Its name.
        unit: Of its value.
        noise: Standard deviation of one evaluation, in its unit; 0: not known.
        maximise: An objective that is to be large; otherwise small.
        at_least: Of a constraint: lower bound.
        at_most: Of a constraint: upper bound.
    """

    name: str
    unit: str
    noise: float = 0.0
    maximise: bool = False
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, values: FloatArray) -> BoolArray:
        """Tell which values are within the bounds; a missing one (NaN) is not."""
        met = np.isfinite(values)
        if self.at_least is not None:
            met &= values >= self.at_least
        if self.at_most is not None:
            met &= values <= self.at_most
        return met


@dataclass(frozen=True)
class OptimisationResult:
    """All evaluations of an optimisation, in order; a failed one has NaN as outputs.

    Attributes:
        variables: Names of what was varied, (n_var,).
        units: Their units, (n_var,).
        objectives: What was to be made small, or large, (n_obj,).
        constraints: What had to stay within bounds, (n_con,).
        candidates: What was set, (n, n_var).
        values: Of the objectives, (n, n_obj).
        bounded: Of the constraints, (n, n_con).
        origins: ``"start"``, ``"initial"``, ``"generator"`` or ``"final"``, (n,).
        generator: What made the candidates.
        finish: ``"best"`` or ``"start"``: what was to be set at the end.
        resumed: How a stopped run went on: ``""`` (it did not), ``"data"``,
            ``"replay"``, or ``"restart from best"``.
        uid: Run that holds the readings.
    """

    variables: tuple[str, ...]
    units: tuple[str, ...]
    objectives: tuple[Output, ...]
    constraints: tuple[Output, ...]
    candidates: FloatArray
    values: FloatArray
    bounded: FloatArray
    origins: tuple[str, ...]
    generator: str
    finish: str
    resumed: str = ""
    uid: str = ""

    @property
    def evaluations(self) -> int:
        """How many there were."""
        return len(self.candidates)

    @property
    def is_failed(self) -> BoolArray:
        """Which have no value: without beam, or outside a device's limits, (n,)."""
        outputs = np.hstack([self.values, self.bounded])
        return np.array((~np.isfinite(outputs)).any(axis=1))

    @property
    def is_feasible(self) -> BoolArray:
        """Which did not fail and are within all bounds, (n,)."""
        met = ~self.is_failed
        for i, constraint in enumerate(self.constraints):
            met &= constraint.is_met(self.bounded[:, i])
        return met

    @property
    def losses(self) -> FloatArray:
        """The objectives with their sign so that less is better, (n, n_obj)."""
        signs = [-1.0 if objective.maximise else 1.0 for objective in self.objectives]
        return self.values * np.array(signs)

    @property
    def best(self) -> int | None:
        """Index of the best feasible evaluation; None: none, or several objectives.

        With noise the best is partly lucky: the last evaluation, ``"final"``, is a
        second one of the same candidate.
        """
        candidates = np.flatnonzero(self.is_feasible & self._is_search())
        if len(self.objectives) != 1 or not len(candidates):
            return None
        return int(candidates[np.argmin(self.losses[candidates, 0])])

    @property
    def pareto(self) -> BoolArray:
        """Which feasible evaluations no other one beats in all objectives, (n,)."""
        front = self.is_feasible.copy()
        losses = self.losses
        for i in np.flatnonzero(front):
            others = losses[self.is_feasible]
            no_worse = (others <= losses[i]).all(axis=1)
            front[i] = not (no_worse & (others < losses[i]).any(axis=1)).any()
        return front

    @property
    def start(self) -> FloatArray:
        """Where the variables were at the beginning, (n_var,)."""
        return self.candidates[0]

    @property
    def history(self) -> FloatArray:
        """Best feasible value of the first objective so far, (n,); NaN before one."""
        first: FloatArray = self.losses[:, 0]
        losses = np.where(self.is_feasible, first, np.inf)
        so_far = np.minimum.accumulate(losses)
        (objective, *_) = self.objectives
        sign = -1.0 if objective.maximise else 1.0
        return sign * np.where(np.isfinite(so_far), so_far, np.nan)

    def summary(self) -> str:
        """Return a sentence on what was gained."""
        words = f"{self.generator}: {self.evaluations} evaluations"
        failed = int(self.is_failed.sum())
        if failed:
            words += f", {failed} of them failed"
        if len(self.objectives) != 1:
            return f"{words}; {int(self.pareto.sum())} on the Pareto front"
        (objective,), best = self.objectives, self.best
        if best is None:
            return f"{words}; none was feasible"
        first, least = self.values[0, 0], self.values[best, 0]
        words += f"; {objective.name} {first:.4g} to {least:.4g} {objective.unit}"
        if self.origins[-1] == "final":
            words += f", {self.values[-1, 0]:.4g} when it was set again"
        return words

    def _is_search(self) -> BoolArray:
        return np.array([origin != "final" for origin in self.origins], dtype=bool)
