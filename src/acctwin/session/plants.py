"""What a session's devices are on: the simulated machine, the real one, a run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, get_args

import numpy as np
from bluesky.utils import MsgGenerator

from acctwin.backends.control.plant import ControlPlant
from acctwin.backends.link import Links
from acctwin.backends.plant import Plant
from acctwin.backends.replay.plant import ReplayPlant
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.open import Simulation
from acctwin.backends.sim.plant import SimPlant
from acctwin.data.runs import Run
from acctwin.devices.ring import Machine
from acctwin.errors import PlanError
from acctwin.model.engine import Layout
from acctwin.names import FloatArray, Mode
from acctwin.profiles.profile import Profile

log = logging.getLogger(__name__)

#: How long nothing new of a control system may answer at first [s].
CONNECT_TIMEOUT_S = 10.0

T = TypeVar("T")


class Plants:
    """The plants of a profile, each opened when it is first used, and the links.

    Args:
        profile: The checked profile.
        layout: The design model's.
        simulation: A simulated machine that is starting; None: it is started when it
            is first used.
        seed: Of the simulated machine's imperfections.
        start: Where the devices are at first: a mode, or a run.

    Attributes:
        links: Tie the devices to the plant that they are on.

    Raises:
        PlanError: The profile has no control system.
        DataError: The run is of another machine, or has no baseline.
    """

    def __init__(
        self,
        profile: Profile,
        layout: Layout,
        simulation: Simulation | None,
        seed: int | None,
        start: Mode | Run = "physics",
    ) -> None:
        self._profile, self._layout, self._seed = profile, layout, seed
        self._simulation = simulation
        self._sim: SimPlant | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.links = Links(self._plant(start))

    @property
    def mode(self) -> Mode:
        """Where the devices are: ``"physics"``, ``"hardware"`` or ``"replay"``."""
        if self.replayed is not None:
            return "replay"
        return "hardware" if isinstance(self.links.plant, ControlPlant) else "physics"

    @property
    def replayed(self) -> str | None:
        """The uid of the run that the devices are on, None when they are on none."""
        plant = self.links.plant
        return plant.uid if isinstance(plant, ReplayPlant) else None

    @property
    def reference_mode(self) -> Mode:
        """Whose references count: in replay, those of the machine of the run."""
        plant = self.links.plant
        return plant.recorded_mode if isinstance(plant, ReplayPlant) else self.mode

    def rewind(self) -> None:
        """Give the readings of a run that is replayed from the first one again."""
        plant = self.links.plant
        if isinstance(plant, ReplayPlant):
            plant.tape.rewind()

    @property
    def backends(self) -> tuple[str, ...]:
        """Where devices are, for metadata, such as ``("ca", "pva")``."""
        plant = self.links.plant
        if isinstance(plant, ControlPlant):
            return plant.backends
        return ("replay",) if isinstance(plant, ReplayPlant) else ("sim",)

    @property
    def sim(self) -> SimMachine:
        """The simulated machine; started if it is not running.

        Raises:
            EngineError: Its engine could not be started.
        """
        return self._physics().sim

    def connect(self, machine: Machine, loop: asyncio.AbstractEventLoop) -> None:
        """Connect the devices for the first time.

        Args:
            machine: The devices.
            loop: Of the RunEngine: devices live there from now on.

        Raises:
            LinkLost: Some addresses do not answer.
        """
        self._loop = loop
        self._do(self.links.plant.connect(CONNECT_TIMEOUT_S))
        self._do(machine.connect(timeout=CONNECT_TIMEOUT_S))

    def switch(self, where: Mode | Run) -> None:
        """Put all devices on another plant, and leave the one they were on.

        Args:
            where: A mode, or a run to be replayed.

        Raises:
            DataError: The run is of another machine, or has no baseline.
            PlanError: The profile has no control system.
            LinkLost: The control system does not answer; the devices stay where they
                are.
        """
        left, plant = self.links.plant, self._plant(where)
        try:
            self._bind(plant)
        except BaseException:
            self._leave(plant)
            raise
        self._leave(left)
        name, backends = self._profile.name, ", ".join(self.backends)
        log.info("%s is on %s now: %s", name, self.mode, backends)

    @contextmanager
    def twin(self, machine: Machine) -> Iterator[SimMachine]:
        """Have the devices on the simulated machine, set as the one in use.

        At the end all is as before, the simulated machine too.

        Args:
            machine: The devices.
        """
        here, there = self.links.plant, self._physics()
        sim = there.sim
        before, kick = sim.supplies.setpoints.copy(), sim.turns.kick.copy()
        count, present = sim.turns.count, before
        members = there.stand_ins.values()
        seen = members
        if here is not there:
            found = self._do(_present(machine))
            values = zip(sim.supplies.names, before, strict=True)
            present = np.array([found.get(name, value) for name, value in values])
            seen = found
            self._bind(there)
        try:
            self._do(_put_all(sim, present))
            there.stand_ins.put(seen)
            yield sim
        finally:
            there.stand_ins.put(members)
            sim.turns.kick[:], sim.turns.count = kick, count
            self._do(_put_all(sim, before))
            if here is not there:
                self._bind(here)

    def wait_for_link(self, allowed: bool) -> None:
        """Say whether a lost link is waited for from now on, if the profile says so."""
        plant = self.links.plant
        if isinstance(plant, ControlPlant):
            plant.wait_for_link(allowed)

    def is_waiting(self) -> bool:
        """Tell whether a lost link is being waited for."""
        plant = self.links.plant
        return isinstance(plant, ControlPlant) and plant.is_waiting

    def patiently(self, plan: MsgGenerator[T]) -> MsgGenerator[T]:
        """Run a plan that may wait for a lost link."""
        self.wait_for_link(True)
        return (yield from plan)

    def close(self) -> None:
        """End connections, and the simulated machine."""
        self._leave(self.links.plant)
        if self._simulation is not None:
            self._simulation.close()

    def _plant(self, where: Mode | Run) -> Plant:
        if isinstance(where, Run):
            return ReplayPlant(self._profile, self._layout, where)
        if where == "physics":
            return self._physics()
        return ControlPlant(self._profile, self._layout)

    def _physics(self) -> SimPlant:
        if self._sim is None:
            if self._simulation is None:
                self._simulation = Simulation(self._profile, self._seed)
            members = self._profile.members
            self._sim = SimPlant(self._simulation.machine(), members)
        return self._sim

    def _bind(self, plant: Plant) -> None:
        self._do(self.links.rebind(plant, CONNECT_TIMEOUT_S))

    def _leave(self, plant: Plant) -> None:
        """End the connections of a control system; a simulated machine runs on."""
        if isinstance(plant, ControlPlant) and self._loop is not None:
            self._do(plant.close())

    def _do(self, job: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop that the devices live in, and wait."""
        if self._loop is None:
            job.close()
            raise PlanError("the devices are not connected yet")
        return asyncio.run_coroutine_threadsafe(job, self._loop).result()


def check_mode(mode: str, run: str | int | None) -> None:
    """Raise PlanError if there is no such mode, or a run is missing or too much."""
    if mode not in get_args(Mode):
        known = " or ".join(map(repr, get_args(Mode)))
        raise PlanError(f"mode is {known}, not {mode!r}")
    if mode == "replay" and run is None:
        raise PlanError("mode='replay' needs the run that is replayed: run=uid")
    if mode != "replay" and run is not None:
        raise PlanError(f"run={run!r} is for mode='replay', and this is {mode!r}")


async def _present(machine: Machine) -> dict[str, float]:
    """Return what all supplies, magnets and the RF are set to, by name."""
    found: dict[str, float] = {}
    for device in machine.baseline():
        setpoints = np.atleast_1d((await device.locate())["setpoint"])
        names = ("rf",) if device.name == "rf" else device.bounds.names
        found.update(zip(names, setpoints.tolist(), strict=True))
    return found


async def _put_all(sim: SimMachine, values: FloatArray) -> None:
    """Set all supplies of a simulated machine."""
    sim.put_supplies(np.arange(len(values)), values)
    sim.changes.notify()
