"""What makes the candidates of an optimisation: Xopt's generators, asked and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from acctwin.analysis.optimisation import OptimisationResult
from acctwin.errors import MissingExtra, PlanError, UnknownName
from acctwin.names import FloatArray
from acctwin.plans.optimisation.evaluation import Row, result_of
from acctwin.plans.optimisation.problem import Setting
from acctwin.plans.optimisation.rcds import rcds_generator

#: Here and in Xopt; random search needs no Xopt.
XOPT = {"neldermead": "neldermead", "bayesian": "expected_improvement", "mobo": "mobo"}
GENERATORS = ("rcds", *XOPT, "random")
#: They go their own way from one point to the next, and know no constraints.
SEQUENTIAL = ("rcds", "neldermead")
#: Step of a line search of RCDS, as a part of the variables' ranges.
RCDS_STEP = 0.02
#: Noise that is assumed where a problem knows none, relative to the start.
LEAST_NOISE = 1e-4
#: First simplex: this part of each range away from the start.
SIMPLEX = 0.05
#: A replayed candidate is the stored one within this part of a range.
SAME = 1e-9


class Asker(Protocol):
    """What suggests candidates."""

    def suggest(self) -> FloatArray:
        """Return the next candidate, (n_var,)."""
        ...

    def learn(self, row: Row) -> None:
        """Take an evaluation into account."""
        ...


@dataclass
class RandomSearch:
    """Candidates that are uniform within the limits; the yardstick for the others."""

    setting: Setting
    seed: int
    known: int = 0

    def suggest(self) -> FloatArray:
        """Return the next candidate, (n_var,)."""
        return uniform(self.setting, self.seed, self.known)

    def learn(self, row: Row) -> None:
        """Count an evaluation."""
        self.known += 1


@dataclass
class XoptAsker:
    """A generator of Xopt.

    It hears of whole rows only, with objectives in units of the start's. A failed
    evaluation is told to RCDS as the end of the range, and to others as the worst
    seen; those that know no constraints are told the same of an infeasible one.

    Attributes:
        name: One of ``GENERATORS``.
        setting: The problem, and where the machine was.
        generator: Xopt's.
        scale: Of the objectives, (n_obj,).
        seed: Of Bayesian generators.
    """

    name: str
    setting: Setting
    generator: Any
    scale: FloatArray
    seed: int
    rows: list[Row] = field(default_factory=list)
    has_begun: bool = False

    def suggest(self) -> FloatArray:
        """Return the next candidate, (n_var,)."""
        if not self.has_begun:
            self._begin()
        with self._seeded():
            (found,) = self.generator.suggest(1)
        low, high = self.setting.low, self.setting.high
        names = self.setting.problem.names
        return np.clip([float(found[name]) for name in names], low, high)

    def learn(self, row: Row) -> None:
        """Take an evaluation into account."""
        self.rows.append(row)
        if self.has_begun:
            self.generator.ingest([self._told(len(self.rows) - 1)])

    def _begin(self) -> None:
        """Tell what was known before; generators that start at a point take the last.

        Raises:
            PlanError: A sequential generator would start outside the constraints.
        """
        known = result_of(self.rows, self.setting)
        order = np.argsort(-np.nan_to_num(known.losses[:, 0], nan=np.inf))
        if self.name in SEQUENTIAL and not known.is_feasible[order[-1]]:
            raise PlanError(
                f"{self.name} knows no constraints and starts at the best point, which "
                "is not within them: start from one that is, or take 'bayesian'"
            )
        if self.name == "rcds":
            order = order[-1:]
        self.generator.ingest([self._told(int(i)) for i in order])
        self.has_begun = True

    def _told(self, index: int) -> dict[str, Any]:
        """Return a row as it is told to the generator."""
        known = result_of(self.rows[: index + 1], self.setting)
        bad = known.is_failed
        if self.name in SEQUENTIAL:
            bad = ~known.is_feasible
        values, bounded = known.values[index], known.bounded[index]
        if bad[index]:
            values, bounded = self._worst(known)
        outputs = [measured.output.name for measured in self.setting.problem.outputs]
        told = np.concatenate([values / self.scale, bounded]).tolist()
        words = dict(
            zip(known.variables, known.candidates[index].tolist(), strict=True)
        )
        words |= dict(zip(outputs, told, strict=True))
        return words | {"xopt_runtime": 0.0, "xopt_error": False}

    def _worst(self, known: OptimisationResult) -> tuple[FloatArray, FloatArray]:
        if self.name == "rcds":
            return np.full(known.values.shape[1], np.nan), known.bounded[0]
        worst = np.nanargmax(known.losses, axis=0)
        values = known.values[worst, np.arange(known.values.shape[1])]
        bounded = known.bounded[~known.is_failed]
        least = [
            column.min() if c.at_least is not None else column.max()
            for c, column in zip(known.constraints, bounded.T, strict=True)
        ]
        return values, np.array(least, dtype=np.float64)

    def _seeded(self) -> AbstractContextManager[Any]:
        """Return a context in which Bayesian suggestions can be repeated."""
        if self.name in SEQUENTIAL:
            return nullcontext()
        return _torch_seed(self.seed + len(self.rows))


def make_asker(
    name: str,
    setting: Setting,
    start: Row,
    *,
    seed: int,
    directions: FloatArray | None = None,
    options: Mapping[str, Any],
) -> Asker:
    """Return a generator for a problem.

    Args:
        name: One of ``GENERATORS``.
        setting: The problem, and where the machine was.
        start: The first evaluation.
        seed: For what is random.
        directions: For RCDS, (n_var, n_dir), in units of the variables.
        options: Of Xopt's generator.

    Raises:
        MissingExtra: Xopt is not installed.
        PlanError: Xopt does not take an option.
    """
    if name == "random":
        return RandomSearch(setting, seed)
    count = len(setting.problem.objectives)
    scale = np.abs(start.outputs[:count])
    scale[~(scale > 0.0)] = 1.0
    vocs_words = setting.vocs()
    if name in SEQUENTIAL:
        vocs_words["constraints"] = {}
    words: dict[str, Any] = {}
    if name == "rcds":
        noise = setting.problem.objectives[0].output.noise / scale[0]
        words = {"step": RCDS_STEP, "noise": max(float(noise), LEAST_NOISE)}
        if directions is not None:
            words["init_mat"] = unit_directions(directions, setting)
    elif name == "mobo":
        outputs = [m.output.name for m in setting.problem.objectives]
        reference = (start.outputs[:count] / scale).tolist()
        words = {"reference_point": dict(zip(outputs, reference, strict=True))}
    try:
        given = deepcopy(dict(options))  # Xopt takes what is nested apart
        generator = _class_of(name)(vocs=_vocs(vocs_words), **words | given)
    except ValueError as error:
        raise PlanError(f"Xopt does not make a {name} of {options}: {error}") from error
    return XoptAsker(name, setting, generator, scale, seed)


def check_generator(name: str, objectives: int) -> None:
    """Check that there is such a generator, for so many objectives.

    Raises:
        UnknownName: There is none.
        PlanError: It is for one objective, or for several.
    """
    if name not in GENERATORS:
        raise UnknownName("generator", name, GENERATORS)
    if name == "mobo" and objectives < 2:
        raise PlanError("mobo needs several objectives: take 'bayesian' for one")
    if name not in ("mobo", "random") and objectives > 1:
        raise PlanError(f"{name} is for one objective, found {objectives}: take 'mobo'")


def initial_candidates(
    name: str,
    setting: Setting,
    initial: int | Sequence[Sequence[float]] | None,
    seed: int,
) -> list[FloatArray]:
    """Return what is evaluated after the start, before the generator is asked.

    Args:
        name: One of ``GENERATORS``.
        setting: The problem, and where the machine was.
        initial: How many random ones, or which, (n, n_var); default: what the
            generator needs.
        seed: For what is random.

    Raises:
        PlanError: A wrong number of values, or one outside the limits.
    """
    n_var = len(setting.start)
    if initial is None and name == "neldermead":
        reach = SIMPLEX * (setting.high - setting.low)
        sign = np.where(setting.start + reach <= setting.high, 1.0, -1.0)
        return [setting.start + row for row in np.diag(sign * reach)]
    if initial is None:
        initial = max(5, n_var) if name in ("bayesian", "mobo") else 0
    if isinstance(initial, int):
        return [uniform(setting, seed, i + 1) for i in range(initial)]
    found = [np.array(candidate, dtype=np.float64) for candidate in initial]
    for one in found:
        is_good = one.shape == (n_var,)
        if not is_good or not ((one >= setting.low) & (one <= setting.high)).all():
            raise PlanError(
                f"an initial candidate is {n_var} numbers within the limits of the "
                f"variables, not {one.tolist()}; nothing was moved"
            )
    return found


def uniform(setting: Setting, seed: int, number: int) -> FloatArray:
    """Return one of many random candidates, (n_var,)."""
    rng = np.random.default_rng([seed, number])
    return rng.uniform(setting.low, setting.high)


def unit_directions(directions: FloatArray, setting: Setting) -> FloatArray:
    """Return directions as RCDS takes them: of ranges, length 1, as many as variables.

    Missing ones are perpendicular to those that are there.

    Args:
        directions: In units of the variables, (n_var, n_dir).
        setting: The problem, and where the machine was.

    Raises:
        PlanError: A wrong shape, or nothing in it.
    """
    given, n_var = np.array(directions, dtype=np.float64), len(setting.start)
    if given.ndim != 2 or len(given) != n_var or not np.isfinite(given).all():
        raise PlanError(f"directions have the shape ({n_var}, n), found {given.shape}")
    scaled = given / (setting.high - setting.low)[:, None]
    length = np.linalg.norm(scaled, axis=0)
    scaled = (scaled[:, length > 0.0] / length[length > 0.0])[:, :n_var]
    if not scaled.shape[1]:
        raise PlanError("all directions are zero: they lead nowhere")
    rest = np.linalg.svd(scaled, full_matrices=True)[0][:, scaled.shape[1] :]
    return np.hstack([scaled, rest])


def replay(asker: Asker, rows: Sequence[Row], setting: Setting) -> bool:
    """Bring a fresh sequential generator where it was; tell whether it got there."""
    within = SAME * (setting.high - setting.low)
    for row in rows:
        if row.origin == "generator":
            again = asker.suggest()
            if not (np.abs(again - row.candidate) <= within).all():
                return False
        asker.learn(row)
    return True


def _class_of(name: str) -> Any:
    try:
        if name == "rcds":
            return rcds_generator()
        from xopt.generators import get_generator
    except ModuleNotFoundError as error:
        raise MissingExtra("xopt", "optimise") from error
    return get_generator(XOPT[name])


def _vocs(words: Mapping[str, Any]) -> Any:
    from xopt import VOCS

    return VOCS(**words)


def _torch_seed(seed: int) -> AbstractContextManager[Any]:
    import torch

    context = torch.random.fork_rng(devices=[])

    class Seeded(AbstractContextManager[Any]):
        def __enter__(self) -> None:
            context.__enter__()
            torch.manual_seed(seed)

        def __exit__(self, *error: Any) -> None:
            context.__exit__(*error)

    return Seeded()
