"""Simulation studies: a ready problem on many twins at once, never on the machine."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.analysis.optimisation import OptimisationResult
from acctwin.devices.ring import Machine
from acctwin.errors import MissingExtra, PlanError, UnknownName
from acctwin.plans import save_machine
from acctwin.plans.optimisation import study as optimise_study
from acctwin.plans.optimisation.evaluation import Row, result_of
from acctwin.plans.optimisation.problem import Setting, setting_of
from acctwin.plans.optimisation.problems import READY, named_problem
from acctwin.profiles.profile import Profile
from acctwin.workflows.study_twin import Job, evaluate

log = logging.getLogger(__name__)

#: Here, and in Xopt: those that know what to do with several answers at once.
GENERATORS = {
    "random": "random",
    "bayesian": "expected_improvement",
    "mobo": "mobo",
    "genetic": "nsga2",
}
#: They know nothing before some candidates have been evaluated.
BAYESIAN = ("bayesian", "mobo")
Progress = Callable[[int, int], None]


class Session(Protocol):
    """What a study needs of a session."""

    @property
    def profile(self) -> Profile:
        """The machine's profile."""
        ...

    @property
    def machine(self) -> Machine:
        """Its devices."""
        ...

    @property
    def seed(self) -> int | None:
        """Of the simulated machine's imperfections."""
        ...

    def run(self, plan: MsgGenerator[Any]) -> Any:
        """Run a plan."""
        ...


def study(
    session: Session,
    problem: str,
    generator: str = "random",
    *,
    words: Mapping[str, Any] | None = None,
    evaluations: int = 100,
    workers: int = 2,
    seed: int = 1,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> OptimisationResult:
    """Evaluate a ready problem on several twins at once, and store what was found.

    Each twin is a process with an engine of its own: the simulated machine of the
    session, in the state that the session's devices are in. The devices themselves are
    not moved. On hardware it is the design machine.

    Args:
        session: An open session.
        problem: Name of a ready problem.
        generator: ``"random"``, ``"bayesian"``, ``"mobo"`` or ``"genetic"``; it is
            asked for as many candidates as there are workers.
        words: Arguments of the problem.
        evaluations: How many, after the start.
        workers: How many twins.
        seed: For what is random.
        options: Of Xopt's generator.
        progress: Hears how many evaluations are done, and of how many.

    Raises:
        UnknownName: There is no such problem or generator.
        MissingExtra: Xopt is not installed.
        PlanError: The machine has not what the problem needs.
    """
    _check(problem, generator, evaluations, workers)
    given = dict(words or {})
    setting = session.run(setting_of(named_problem(session.machine, problem, given)))
    asked = _generator(generator, setting, options or {})
    first = len(setting.problem.names) if generator in BAYESIAN else 0
    state = session.run(save_machine(session.machine, note=f"a study of {problem}"))
    job = Job(session.profile, session.seed, state, problem, given)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        rows = _evaluate_all(
            _search(asked, job, pool, workers),
            setting,
            evaluations,
            (max(first, workers) if first else 0, seed),
            progress or _log,
        )
    result = result_of(rows, setting, generator=generator, finish="start")
    return session.run(optimise_study.store_study(setting, result, state.uid))


def _check(problem: str, generator: str, evaluations: int, workers: int) -> None:
    if generator not in GENERATORS:
        raise UnknownName("generator of a study", generator, GENERATORS)
    if problem not in READY:
        raise UnknownName("ready problem", problem, READY)
    if evaluations < 1 or workers < 1:
        raise PlanError(
            f"at least 1 evaluation and 1 worker are needed, not {evaluations} and "
            f"{workers}"
        )


def _generator(name: str, setting: Setting, options: Mapping[str, Any]) -> Any:
    """Return a generator of Xopt.

    Raises:
        MissingExtra: Xopt is not installed.
        PlanError: It does not take an option.
    """
    try:
        from xopt import VOCS
        from xopt.errors import VOCSError
        from xopt.generators import get_generator
    except ModuleNotFoundError as error:
        raise MissingExtra("xopt", "optimise") from error
    given = deepcopy(dict(options))  # Xopt takes what is nested apart
    try:
        return get_generator(GENERATORS[name])(vocs=VOCS(**setting.vocs()), **given)
    except (ValueError, VOCSError) as error:
        raise PlanError(f"Xopt does not make a {name} of {options}: {error}") from error


def _search(asked: Any, job: Job, pool: Any, workers: int) -> Any:
    """Return Xopt, with its evaluations in a pool of processes."""
    from xopt import Evaluator, Xopt

    evaluator = Evaluator(
        function=partial(evaluate, job=pickle.dumps(job)),
        executor=pool,
        max_workers=workers,
        function_kwargs={},
        vectorized=False,
    )
    return Xopt(generator=asked, evaluator=evaluator)


def _evaluate_all(
    search: Any,
    setting: Setting,
    evaluations: int,
    first: tuple[int, int],
    progress: Progress,
) -> list[Row]:
    """Return all evaluations, the start first.

    Args:
        search: Xopt.
        setting: The problem, and where the machine was.
        evaluations: How many after the start.
        first: How many of them are random before the generator is asked, and a seed.
        progress: Hears of it.
    """
    names = list(setting.problem.names)
    search.evaluate_data([dict(zip(names, setting.start.tolist(), strict=True))])
    if first[0]:
        search.random_evaluate(min(evaluations, first[0]), seed=first[1])
    while (done := len(search.data) - 1) < evaluations:
        progress(done, evaluations)
        search.step()
    data = search.data.iloc[: evaluations + 1]
    outputs = [measured.output.name for measured in setting.problem.outputs]
    candidates = data[names].to_numpy(dtype=np.float64)
    values = data[outputs].to_numpy(dtype=np.float64)
    origins = ["start", *["generator"] * (len(values) - 1)]
    return [Row(*row) for row in zip(candidates, values, origins, strict=True)]


def _log(done: int, count: int) -> None:
    log.info("%d of %d evaluations", done, count)
