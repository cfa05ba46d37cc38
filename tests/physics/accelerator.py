"""A real simulated machine of a profile, with its hidden errors, for physics tests.

``accelerator(profile, seed)`` gives an :class:`Accelerator`: devices on a simulated
machine in a process of its own, a design model in another, and a RunEngine. There is
no data server: the documents of each run are kept in memory.

    def test_something(accelerator):
        fodo = accelerator("fodo", seed=1)
        result = fodo.run(plans.measure_orbit(fodo.machine))
        again = orbit.analyse(fodo.last)         # the stored run of the last plan
        lattice = fodo.true_lattice()            # at.Lattice as it is now; tests only

A machine is shared by the tests of a module; ``fodo.reset()`` puts every setpoint back.
The engines behind it, which take seconds to start, are shared by all modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.run_engine import call_in_bluesky_event_loop

from acctwin.backends.build import build_machine
from acctwin.backends.link import Links
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.plant import SimPlant
from acctwin.data.runs import Run
from acctwin.errors import UnknownName
from acctwin.model.design import Design
from acctwin.model.imperfections import Errors, draw
from acctwin.model.process import EngineProcess
from acctwin.model.spec import spec_of
from acctwin.profiles import load_profile
from acctwin.profiles.profile import Profile


class Engines:
    """The engines of one machine and of its design model, kept between modules."""

    def __init__(self) -> None:
        self._pair: list[EngineProcess] = []

    def open(self, profile: Profile, errors: Errors) -> list[EngineProcess]:
        """Return both, as they are when they start."""
        for engine in self._pair:
            start = engine.layout.values
            engine.set(np.arange(len(start)), start)
        if not self._pair:
            specs = spec_of(profile, errors.misalignments), spec_of(profile)
            self._pair = [EngineProcess(spec) for spec in specs]
        return self._pair

    def close(self) -> None:
        """End them."""
        for engine in self._pair:
            engine.close()


class Accelerator:
    """One simulated machine and all that a plan needs.

    Attributes:
        profile: What it was built from.
        machine: The devices, for plans.
        design: The design model.
        sim: The simulated machine; for injecting faults.
        runs: All runs so far, oldest first.
    """

    def __init__(self, profile: Profile, seed: int | None, engines: Engines) -> None:
        self.profile = profile
        self.errors: Errors = draw(profile, seed)
        self._engines = engines.open(profile, self.errors)
        self.runs: list[Run] = []
        self._documents: list[tuple[str, dict[str, Any]]] = []
        self._RE = RunEngine({}, call_returns_result=True)
        self._RE.subscribe(self._keep)
        engine, model = self._engines
        self.design = Design(model)
        self.sim = SimMachine(engine, engine.layout, self.errors, profile, seed)
        self.machine = build_machine(
            profile, Links(SimPlant(self.sim)), self.design, self
        )
        call_in_bluesky_event_loop(self.machine.connect())

    def __call__(self, plan: Any) -> Any:
        """Run a plan and return its result."""
        return self._RE(plan).plan_result

    @property
    def store(self) -> Accelerator:
        """Itself: it finds runs as a store does."""
        return self

    @property
    def model(self) -> EngineProcess:
        """The engine of the design model."""
        return self._engines[1]

    @property
    def last(self) -> Run:
        """The newest run."""
        return self.runs[-1]

    def run(self, key: Any) -> Any:
        """Run a plan and return its result; or find a run by uid, as a store does."""
        if not isinstance(key, str | int):
            return self(key)
        if isinstance(key, int):
            return self.runs[key]
        for found in self.runs:
            if found.uid.startswith(key):
                return found
        raise UnknownName("run", key, [found.uid for found in self.runs])

    def true_lattice(self) -> Any:
        """Return the simulated machine's lattice as it is now (``at.Lattice``)."""
        self.sim.send_pending()
        return self._engines[0].submit("ring_copy").result()

    def true(self, product: str, *args: Any) -> Any:
        """Return a product of the simulated machine's engine, e.g. ``"tunes"``."""
        self.sim.send_pending()
        return self._engines[0].submit(product, *args).result()

    def reset(self) -> None:
        """Put every setpoint back to what it was at the start."""
        layout = self.sim.layout
        knobs = np.arange(len(layout.values))

        async def put() -> None:
            self.sim.put_supplies(
                np.arange(len(self.sim.powering.start)), self.sim.powering.start
            )
            assert np.allclose(self.sim.setpoints[knobs], layout.values)
            self.sim.changes.notify()

        call_in_bluesky_event_loop(put())

    def close(self) -> None:
        """End the RunEngine."""
        self._RE.loop.call_soon_threadsafe(self._RE.loop.stop)
        self._RE._th.join(5)
        self._RE.loop.close()

    def _keep(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._documents = []
        self._documents.append((name, doc))
        if name == "stop":
            self.runs.append(Run.from_documents(self._documents))


@pytest.fixture(scope="session")
def engines() -> Iterator[dict[Any, Engines]]:
    """Return the engines of all machines so far."""
    kept: dict[Any, Engines] = {}
    yield kept
    for pair in kept.values():
        pair.close()


@pytest.fixture(scope="module")
def accelerator(engines: dict[Any, Engines]) -> Iterator[Callable[..., Accelerator]]:
    """Return a function that opens a machine: profile, seed, changes of the profile."""
    opened: dict[Any, Accelerator] = {}

    def open_one(name: str, seed: int | None = 1, **changes: Any) -> Accelerator:
        key = name, seed, repr(sorted(changes.items()))
        if key not in opened:
            profile = replace(load_profile(name), **changes)
            pair = engines.setdefault(key, Engines())
            opened[key] = Accelerator(profile, seed, pair)
        return opened[key]

    yield open_one
    for machine in opened.values():
        machine.close()
