"""What a session's devices are on: the simulated machine, or the real one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from acctwin.backends.control.plant import ControlPlant
from acctwin.backends.link import Links
from acctwin.backends.plant import Plant
from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.open import Simulation
from acctwin.backends.sim.plant import SimPlant
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

    Attributes:
        links: Tie the devices to the plant that they are on.

    Raises:
        PlanError: Without a simulation: the profile has no control system.
    """

    def __init__(
        self,
        profile: Profile,
        layout: Layout,
        simulation: Simulation | None,
        seed: int | None,
    ) -> None:
        self._profile, self._layout, self._seed = profile, layout, seed
        self._simulation = simulation
        self._sim: SimPlant | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.links = Links(self._plant("hardware" if simulation is None else "physics"))

    @property
    def mode(self) -> Mode:
        """Where the devices are: ``"physics"`` or ``"hardware"``."""
        return "hardware" if isinstance(self.links.plant, ControlPlant) else "physics"

    @property
    def backends(self) -> tuple[str, ...]:
        """Where devices are, for metadata, such as ``("ca", "pva")``."""
        plant = self.links.plant
        return plant.backends if isinstance(plant, ControlPlant) else ("sim",)

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

    def switch(self, mode: Mode) -> None:
        """Put all devices on another plant, and leave the one they were on.

        Raises:
            PlanError: The profile has no control system.
            LinkLost: The control system does not answer; the devices stay where they
                are.
        """
        left, plant = self.links.plant, self._plant(mode)
        try:
            self._bind(plant)
        except BaseException:
            self._leave(plant)
            raise
        self._leave(left)
        name, where = self._profile.name, ", ".join(self.backends)
        log.info("%s is on %s now: %s", name, mode, where)

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
        if here is not there:
            found = self._do(_present(machine))
            values = zip(sim.supplies.names, before, strict=True)
            present = np.array([found.get(name, value) for name, value in values])
            self._bind(there)
        try:
            self._do(_put_all(sim, present))
            yield sim
        finally:
            sim.turns.kick[:], sim.turns.count = kick, count
            self._do(_put_all(sim, before))
            if here is not there:
                self._bind(here)

    def close(self) -> None:
        """End connections, and the simulated machine."""
        self._leave(self.links.plant)
        if self._simulation is not None:
            self._simulation.close()

    def _plant(self, mode: Mode) -> Plant:
        if mode == "physics":
            return self._physics()
        return ControlPlant(self._profile, self._layout)

    def _physics(self) -> SimPlant:
        if self._sim is None:
            if self._simulation is None:
                self._simulation = Simulation(self._profile, self._seed)
            self._sim = SimPlant(self._simulation.machine())
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


def check_mode(mode: str) -> None:
    """Raise PlanError if there is no such mode."""
    if mode not in ("physics", "hardware"):
        raise PlanError(f"mode is 'physics' or 'hardware', not {mode!r}")


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
