"""From a profile and a seed to a running simulated machine."""

from __future__ import annotations

from acctwin.backends.sim.machine import SimMachine
from acctwin.model.imperfections import draw
from acctwin.model.process import EngineProcess
from acctwin.model.spec import spec_of
from acctwin.profiles.profile import Profile


class Simulation:
    """A simulated machine that is starting: its engine takes a few seconds.

    Args:
        profile: The checked profile.
        seed: Of its hidden errors; None: it is the design machine.
    """

    def __init__(self, profile: Profile, seed: int | None) -> None:
        self._profile, self._seed = profile, seed
        self._errors = draw(profile, seed)
        self._engine = EngineProcess(spec_of(profile, self._errors.misalignments))

    def machine(self) -> SimMachine:
        """Wait for the engine and return the machine around it.

        Raises:
            EngineError: The engine could not be started.
        """
        layout = self._engine.layout
        return SimMachine(self._engine, layout, self._errors, self._profile, self._seed)

    def close(self) -> None:
        """End the engine."""
        self._engine.close()


def open_simulation(profile: Profile, seed: int | None) -> SimMachine:
    """Start a simulated machine and wait until it runs.

    Args:
        profile: The checked profile.
        seed: Of its hidden errors; None: it is the design machine.
    """
    starting = Simulation(profile, seed)
    try:
        return starting.machine()
    except BaseException:
        starting.close()
        raise
