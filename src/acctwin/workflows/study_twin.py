"""One of the twins of a study: a process that evaluates candidates."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop
from bluesky.utils import Msg, MsgGenerator

from acctwin.analysis.machine_state import MachineState
from acctwin.backends.build import build_machine
from acctwin.backends.link import Links
from acctwin.backends.sim.open import open_simulation
from acctwin.backends.sim.plant import SimPlant
from acctwin.errors import BeamLost, LimitError, UnknownName
from acctwin.model.design import Design
from acctwin.model.process import EngineProcess
from acctwin.model.spec import spec_of
from acctwin.names import FloatArray
from acctwin.plans import restore_machine
from acctwin.plans.guards import check_moves
from acctwin.plans.optimisation.problem import Setting, setting_of
from acctwin.plans.optimisation.problems import named_problem
from acctwin.plans.stubs import move, trigger
from acctwin.profiles.profile import Profile


class Job(NamedTuple):
    """What a twin has to know: the machine, where it is, and the problem."""

    profile: Profile
    seed: int | None
    state: MachineState
    problem: str
    words: dict[str, Any]


class NoRuns:
    """A twin of a study has no catalogue."""

    def run(self, key: str | int) -> Any:
        """Find nothing."""
        raise UnknownName("run", str(key), ())


class Twin:
    """A simulated machine with a problem, in a process of its own."""

    def __init__(self, job: Job) -> None:
        self._model = EngineProcess(spec_of(job.profile))
        sim = open_simulation(job.profile, job.seed)
        links = Links(SimPlant(sim))
        design = Design(self._model)
        self.machine = build_machine(job.profile, links, design, NoRuns())
        self._RE: Any = RunEngine({}, call_returns_result=True)
        call_in_bluesky_event_loop(self.machine.connect())
        self._run(restore_machine(self.machine, job.state))
        made = named_problem(self.machine, job.problem, job.words)
        self._setting: Setting = self._run(setting_of(made))

    def evaluate(self, inputs: Mapping[str, float]) -> dict[str, float]:
        """Return the outputs at a candidate; NaN where there is no beam."""
        problem = self._setting.problem
        candidate = np.array([float(inputs[name]) for name in problem.names])
        names = [measured.output.name for measured in problem.outputs]
        try:
            found = self._run(_evaluation(self._setting, candidate))
        except (BeamLost, LimitError):
            self._run(move(self._setting.moves(self._setting.start)))
            found = np.full(len(names), np.nan)
        return dict(zip(names, found.tolist(), strict=True))

    def _run(self, plan: MsgGenerator[Any]) -> Any:
        return self._RE(plan).plan_result


@cache
def twin_of(job: bytes) -> Twin:
    """Return the twin of this process, opened when it is first asked for."""
    return Twin(pickle.loads(job))


def evaluate(inputs: Mapping[str, float], job: bytes) -> dict[str, float]:
    """Evaluate a candidate on the twin of this process."""
    return twin_of(job).evaluate(inputs)


def _evaluation(setting: Setting, candidate: FloatArray) -> MsgGenerator[FloatArray]:
    """Set a candidate, read, and return the outputs; outside of any run."""
    problem = setting.problem
    moves = setting.moves(candidate)
    check_moves(moves)
    yield from move(moves)
    yield from trigger([m for m in problem.monitors if hasattr(m, "trigger")])
    readings: dict[str, Any] = {}
    for device in (*problem.monitors, *problem.knobs.devices):
        found = yield Msg("read", device)
        readings |= {key: item["value"] for key, item in found.items()}
    return np.array([measured.of(readings) for measured in problem.outputs])
