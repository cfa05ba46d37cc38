"""What a checked profile says about one machine: plain frozen values.

A profile is the YAML file plus its tables, with every template row expanded, so
that nothing above this layer ever sees a template or a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acctwin.defaults import (
    CorrectionDefaults,
    Defaults,
    OrbitDefaults,
    ResponseDefaults,
    WaitDefaults,
)
from acctwin.errors import Fault
from acctwin.names import Component
from acctwin.profiles.control import Control
from acctwin.profiles.imperfections import Imperfections
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.members import MemberRow
from acctwin.profiles.touschek import Touschek

if TYPE_CHECKING:
    from acctwin.calibration.curves import Curve


@dataclass(frozen=True)
class Origin:
    """Where in the user's files a row was written, for messages.

    Attributes:
        file: The file.
        line: The line, from 1.
        columns: Where each cell of the line begins, by its column's name.
    """

    file: str
    line: int
    columns: tuple[tuple[str, int], ...] = ()

    def fault(self, message: str, cell: str = "") -> Fault:
        """Return a fault at a cell of the line, or at its beginning."""
        return Fault(self.file, self.line, dict(self.columns).get(cell, 1), message)


@dataclass(frozen=True)
class ElementRef:
    """Lattice elements that make up one device.

    Attributes:
        family: Lattice family name (pyAT's ``FamName``).
        index: Occurrence of the family in s order, from 0, of the first element.
        count: Consecutive occurrences that belong together (a sliced magnet).
    """

    family: str
    index: int
    count: int = 1


@dataclass(frozen=True)
class LatticeSource:
    """Where the lattice comes from.

    Attributes:
        source: ``"at:hmba.mat"`` (data that ships with accelerator-toolbox),
            ``"code:fodo"`` (built in code), or an absolute path of a lattice file.
        repeat: How many times the file's cell is repeated to make the ring.
        key: Variable name inside a .mat file, where the file has several.
    """

    source: str
    repeat: int = 1
    key: str | None = None


@dataclass(frozen=True)
class Feed:
    """What a supply does to a magnet.

    Attributes:
        supply: Name of the supply.
        weight: Integrated field of the magnet for the supply's excitation.
    """

    supply: str
    weight: float


@dataclass(frozen=True)
class MagnetRow:
    """One magnet, or one function of a combined-function magnet.

    Attributes:
        name: Profile name, unique in the machine, e.g. ``"SR/C04/QF1A"``.
        families: Families it belongs to; the first is its own kind.
        element: The lattice elements behind it.
        component: Which field component its strength is.
        unit: Unit of strength, limits, tolerance and delta.
        low: Lower limit of the setpoint.
        high: Upper limit of the setpoint.
        tolerance: A move is done when |setpoint − readback| is within this.
        delta: Full step of a response measurement (bipolar: ±delta/2).
        status: False marks a device that every default leaves out.
        feeds: The supplies that feed it; none: it has no current.
        length: What its strength is multiplied by to be integrated [m]; 1 where it
            is integrated already.
    """

    name: str
    families: tuple[str, ...]
    element: ElementRef
    component: Component
    unit: str
    low: float
    high: float
    tolerance: float
    delta: float
    status: bool
    origin: Origin
    feeds: tuple[Feed, ...] = ()
    length: float = 1.0


@dataclass(frozen=True)
class SupplyRow:
    """One power supply.

    Attributes:
        name: Profile name, unique in the machine, e.g. ``"SR/C04/PS-QF1A"``.
        low: Lowest current that may be set [A].
        high: Highest current that may be set [A].
        tolerance: A move is done when |setpoint − readback| is within this [A].
        ramp: How fast the current changes [A/s].
        curve: What its current excites in the magnets; many may share one.
        status: False: it, and the magnets it feeds, are left out by every default.
    """

    name: str
    low: float
    high: float
    tolerance: float
    ramp: float
    curve: Curve
    status: bool
    origin: Origin


@dataclass(frozen=True)
class BpmRow:
    """One beam position monitor."""

    name: str
    families: tuple[str, ...]
    element: ElementRef
    status: bool
    origin: Origin


@dataclass(frozen=True)
class SettingRow:
    """One value that is set and that no table has: the RF, a plane of the pinger.

    Attributes:
        name: Profile name.
        low: Lower limit.
        high: Upper limit.
        tolerance: A move is done when |setpoint − readback| is within this.
        delta: What a measurement uses when it is not told.
    """

    name: str
    low: float
    high: float
    tolerance: float
    delta: float
    origin: Origin


@dataclass(frozen=True)
class RfRow(SettingRow):
    """The master RF frequency [Hz]; delta: full step of a dispersion measurement."""


@dataclass(frozen=True)
class KickRow(SettingRow):
    """The amplitude of the pinger in one plane [rad]; delta: of a measurement."""


@dataclass(frozen=True)
class PingerRow:
    """The magnet that kicks the beam once, for turn-by-turn measurements.

    Attributes:
        element: The lattice element at whose entrance the beam is kicked.
        x: Its horizontal kick; None: it has none.
        y: Its vertical kick; None: it has none.
        origin: Where the element was written.
        name: In messages.
    """

    element: ElementRef
    x: KickRow | None
    y: KickRow | None
    origin: Origin
    name: str = "pinger"


@dataclass(frozen=True)
class Diagnostics:
    """Which instruments the machine has beyond BPMs, tune and current monitor.

    Attributes:
        emittance: Whether there is an emittance monitor.
        turns: Longest turn-by-turn record; 0: the BPMs take none.
        lifetime: Whether there is a lifetime monitor.
    """

    emittance: bool = False
    lifetime: bool = False
    turns: int = 0


@dataclass(frozen=True)
class Simulation:
    """How the simulated machine behaves in time.

    Attributes:
        real_time: True: supplies ramp and monitors update by the clock on the wall.
            False: moves are over at once, and only the machine's own time passes.
        lag_s: Time constant from a supply's ramp to what it delivers [s].
        bpm_update_s: Time between two readings of the BPMs [s].
        tune_update_s: Time between two readings of the tune monitor [s].
        current_update_s: Time between two readings of the current monitor [s].
        lifetime_s: Beam lifetime [s], apart from the next; inf: the beam stays.
        touschek: How the Touschek lifetime is found; None: the beam has none.
        refill_a: The beam is filled up when its current falls to this [A].
    """

    real_time: bool = False
    lag_s: float = 0.0
    bpm_update_s: float = 0.0
    tune_update_s: float = 0.0
    lifetime_s: float = math.inf
    touschek: Touschek | None = None
    refill_a: float = 0.0
    current_update_s: float = 0.5


@dataclass(frozen=True)
class DataStore:
    """Where the runs of a machine go if a session is not told.

    Attributes:
        catalog: ``"local"``, ``"temporary"``, a folder, or the URL of a Tiled server.
        waiting_bytes: What may wait there for Tiled; with more, runs are stopped.
    """

    catalog: str = "local"
    waiting_bytes: int = 10_000_000_000


@dataclass(frozen=True)
class Profile:
    """One machine, checked and expanded.

    Attributes:
        name: Name of the profile (its file name without suffix).
        description: One line for people.
        path: The YAML file.
        operational_mode: Name of the optics mode.
        lattice: Where the lattice comes from.
        magnets: All magnets, in table order (s order is the lattice's business).
        bpms: All BPMs.
        rf: The RF frequency, if the machine has one.
        beam_current_a: Current that the simulated machine stores [A].
        imperfections: What a seed draws from.
        defaults: Defaults of the plans.
        hash: SHA-256 over the profile and its tables, for metadata.
        supplies: All power supplies, in table order; a machine may have none.
        energy_ev: Beam energy [eV]; there if the machine has supplies.
        simulation: How the simulated machine behaves in time.
        pinger: The magnet that kicks the beam once, if there is one.
        injection: What is injected, where the efficiency of that is measured.
        diagnostics: Which further instruments there are.
        control: Where the devices are in the control system, if there is one.
        data: Where runs are kept if a session is not told.
        members: Devices that are described by classes of classic ophyd.
    """

    name: str
    description: str
    path: Path
    operational_mode: str
    lattice: LatticeSource
    magnets: tuple[MagnetRow, ...]
    bpms: tuple[BpmRow, ...]
    rf: RfRow | None
    beam_current_a: float
    imperfections: Imperfections
    defaults: Defaults
    hash: str
    supplies: tuple[SupplyRow, ...] = ()
    energy_ev: float | None = None
    simulation: Simulation = Simulation()
    pinger: PingerRow | None = None
    injection: InjectedBunch | None = None
    diagnostics: Diagnostics = Diagnostics()
    control: Control | None = None
    data: DataStore = DataStore()
    members: tuple[MemberRow, ...] = ()

    def families(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the devices of each family, in table order."""
        found: dict[str, list[str]] = {}
        for row in (*self.magnets, *self.bpms):
            for family in row.families:
                found.setdefault(family, []).append(row.name)
        return {family: tuple(names) for family, names in found.items()}


__all__ = [
    "BpmRow",
    "Control",
    "CorrectionDefaults",
    "DataStore",
    "Defaults",
    "Diagnostics",
    "ElementRef",
    "Feed",
    "Imperfections",
    "KickRow",
    "LatticeSource",
    "MagnetRow",
    "MemberRow",
    "OrbitDefaults",
    "Origin",
    "PingerRow",
    "Profile",
    "ResponseDefaults",
    "RfRow",
    "SettingRow",
    "Simulation",
    "SupplyRow",
    "WaitDefaults",
]
