"""What a user may break on the simulated machine, to practise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.errors import UnknownName
from acctwin.names import HCM, VCM
from acctwin.profiles.profile import Profile

_KICKS = ("hkick", "vkick")


class Faults:
    """Faults of the simulated machine, as ``session.simulation``."""

    def __init__(self, profile: Profile, sim: SimMachine) -> None:
        self._sim = sim
        self._kicks = {
            family: names
            for family, names in profile.families().items()
            if any(
                row.component in _KICKS
                for row in profile.magnets
                if row.name == names[0]
            )
        }

    def stick(self, name: str) -> None:
        """Let a supply take setpoints and stay where it is."""
        self._sim.supplies.stick(name)

    def trip(self, name: str) -> None:
        """Switch a supply off: it delivers nothing, whatever it is told."""
        self._sim.supplies.trip(name)

    def repair(self, name: str) -> None:
        """Let a supply work again; it goes to its setpoint."""
        self._sim.supplies.repair(name)

    def drift(self, rate: float, families: Sequence[str] = (HCM, VCM)) -> None:
        """Let the kicks of correctors wander at random; no readback shows it.

        The orbit sees it at each new reading of the BPMs. Where the machine has its
        own time, a reading lets the profile's ``bpm_update_s`` pass, and while there
        is a drift at least 0.1 s.

        Args:
            rate: Standard deviation of each kick after one second [rad/√s]; it grows
                with the root of time. 0 stops the drift; the kicks stay what they are.
            families: Which correctors.

        Raises:
            UnknownName: There is no such family of correctors.
            LimitError: The rate is negative or not finite.
        """
        for family in families:
            if family not in self._kicks:
                raise UnknownName("family of correctors", family, self._kicks)
        index = {name: i for i, name in enumerate(self._sim.layout.knobs)}
        names = dict.fromkeys(n for family in families for n in self._kicks[family])
        knobs = np.array([index[name] for name in names], dtype=np.int64)
        self._sim.drift.start(rate, knobs)
