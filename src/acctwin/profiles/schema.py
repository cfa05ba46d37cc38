"""What a profile's YAML file may say: every section and key, with its unit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from acctwin.profiles.imperfections import BpmSpread, Imperfections, MagnetSpread
from acctwin.profiles.injection import InjectedBunch
from acctwin.profiles.profile import Diagnostics, Simulation
from acctwin.profiles.schema_control import ControlSection
from acctwin.profiles.schema_data import DataSection
from acctwin.profiles.schema_defaults import DefaultsSection
from acctwin.profiles.schema_members import MemberSection
from acctwin.profiles.section import Count, Number, Section, Spread, Whole
from acctwin.profiles.templates import MOST
from acctwin.profiles.touschek import Touschek


class Lattice(Section):
    """Where the lattice comes from."""

    source: str = Field(
        description="at:FILE (ships with accelerator-toolbox), code:NAME (built in "
        "code), or the path of a lattice file in the machine's devices folder"
    )
    repeat: Count = Field(
        default=1, description="how often the file's cell is repeated"
    )
    key: str | None = Field(
        default=None, description="variable to load from a .mat file"
    )


class Cells(Section):
    """The numbers that ``{cell}`` stands for, in the order of the lattice."""

    first: Count = Field(
        description="number of the lattice's first cell; after ``count`` comes 1"
    )
    count: Count = Field(le=MOST, description="number of cells")


class Rf(Section):
    """The master RF frequency."""

    name: str = Field(default="RF", min_length=1, description="name of the device")
    low_hz: Number = Field(description="lower limit [Hz]")
    high_hz: Number = Field(description="upper limit [Hz]")
    tolerance_hz: Number = Field(description="|setpoint − readback| when done [Hz]")
    delta_hz: Number = Field(description="full step of a dispersion measurement [Hz]")


class Kick(Section):
    """One plane of the pinger."""

    name: str = Field(min_length=1, description="name of the device")
    low_rad: Number = Field(description="lower limit of the kick [rad]")
    high_rad: Number = Field(description="upper limit of the kick [rad]")
    tolerance_rad: Number = Field(description="|setpoint − readback| when done [rad]")
    delta_rad: Number = Field(description="kick of a measurement [rad]")


class Pinger(Section):
    """The magnet that kicks the beam once, for turn-by-turn measurements."""

    element: str = Field(
        description="lattice element at whose entrance it kicks: FAMILY or "
        "FAMILY[index]"
    )
    x: Kick | None = Field(default=None, description="its horizontal kick, if any")
    y: Kick | None = Field(default=None, description="its vertical kick, if any")


class Injection(Section):
    """What is injected, and that the efficiency of it is measured.

    At the beginning of the lattice, against the closed orbit.
    """

    x_m: Number = Field(description="mean horizontal position [m]")
    xp_rad: Number = Field(default=0.0, description="mean horizontal angle [rad]")
    y_m: Number = Field(default=0.0, description="mean vertical position [m]")
    yp_rad: Number = Field(default=0.0, description="mean vertical angle [rad]")
    size_x_m: Spread = Field(default=0.0, description="rms horizontal size [m]")
    divergence_x_rad: Spread = Field(
        default=0.0, description="rms horizontal divergence [rad]"
    )
    size_y_m: Spread = Field(default=0.0, description="rms vertical size [m]")
    divergence_y_rad: Spread = Field(
        default=0.0, description="rms vertical divergence [rad]"
    )
    energy_spread: Spread = Field(default=0.0, description="rms energy spread")
    length_m: Spread = Field(default=0.0, description="rms bunch length [m]")
    aperture_x_m: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="horizontal half-aperture there [m]"
    )
    aperture_y_m: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="vertical half-aperture there [m]"
    )
    particles: Annotated[Whole, Field(gt=0)] = Field(
        default=InjectedBunch.particles, description="particles tracked for a shot"
    )
    turns: Annotated[Whole, Field(gt=0)] = Field(
        default=InjectedBunch.turns, description="turns that they must survive"
    )


class DiagnosticsSection(Section):
    """Instruments beyond BPMs, tune and current monitor."""

    emittance: bool = Field(
        default=Diagnostics.emittance, description="there is an emittance monitor"
    )
    lifetime: bool = Field(
        default=Diagnostics.lifetime, description="there is a lifetime monitor"
    )
    turns: Whole = Field(
        default=Diagnostics.turns,
        description="longest turn-by-turn record of the BPMs; 0: they take none",
    )


class TouschekSection(Section):
    """How the Touschek lifetime of the simulated beam is found."""

    bunches: Annotated[Whole, Field(gt=0)] = Field(
        description="bunches that share the current, alike"
    )
    places: Annotated[Whole, Field(gt=1)] = Field(
        default=Touschek.places,
        description="places where the momentum acceptance is tracked",
    )
    turns: Annotated[Whole, Field(gt=0)] = Field(
        default=Touschek.turns, description="turns that a particle must survive"
    )
    momentum: Annotated[Number, Field(gt=0)] = Field(
        default=Touschek.momentum,
        description="largest relative momentum deviation that is tried",
    )


class Beam(Section):
    """The beam that the simulated machine stores."""

    current_ma: Spread = Field(description="stored current [mA]")
    lifetime_h: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="beam lifetime [h], that of Touschek apart; without it none",
    )
    touschek: TouschekSection | None = Field(
        default=None,
        description="the beam has a Touschek lifetime, and how that is found",
    )
    refill_ma: Spread = Field(
        default=0.0, description="the beam is filled up at this current [mA]"
    )


class SimulationSection(Section):
    """How the simulated machine behaves in time."""

    real_time: bool = Field(
        default=Simulation.real_time,
        description="ramps and updates take their time; else moves are over at once",
    )
    lag_s: Spread = Field(
        default=Simulation.lag_s, description="time constant of the supplies [s]"
    )
    bpm_update_s: Spread = Field(
        default=Simulation.bpm_update_s, description="between BPM readings [s]"
    )
    tune_update_s: Spread = Field(
        default=Simulation.tune_update_s, description="between tune readings [s]"
    )
    current_update_s: Spread = Field(
        default=Simulation.current_update_s,
        description="between current readings [s]",
    )


class MagnetImperfections(Section):
    """Rms imperfections of the magnets of some families."""

    families: list[str] = Field(min_length=1, description="families it applies to")
    dx_m: Spread = Field(
        default=MagnetSpread.dx, description="horizontal misalignment [m]"
    )
    dy_m: Spread = Field(
        default=MagnetSpread.dy, description="vertical misalignment [m]"
    )
    roll_rad: Spread = Field(default=MagnetSpread.roll, description="roll [rad]")
    scale: Spread = Field(
        default=MagnetSpread.scale, description="relative strength error"
    )


class BpmImperfections(Section):
    """Rms imperfections of the BPMs."""

    offset_m: Spread = Field(
        default=BpmSpread.offset, description="offset of the centre [m]"
    )
    gain: Spread = Field(
        default=BpmSpread.gain, description="relative error of the scale"
    )
    roll_rad: Spread = Field(default=BpmSpread.roll, description="roll [rad]")
    noise_m: Spread = Field(
        default=BpmSpread.noise, description="noise of one reading [m]"
    )
    noise_turn_m: Spread = Field(
        default=BpmSpread.noise_turn,
        description="noise of one turn of a turn-by-turn record [m]",
    )


class ImperfectionsSection(Section):
    """What a seed draws from: rms values, normal, cut at ``cut`` sigma."""

    magnets: list[MagnetImperfections] = Field(
        default_factory=list[MagnetImperfections], description="a list, by families"
    )
    bpms: BpmImperfections = Field(
        default_factory=BpmImperfections, description="of the BPMs"
    )
    tune_noise: Spread = Field(
        default=Imperfections.tune_noise, description="rms noise of a tune reading"
    )
    current_noise_a: Spread = Field(
        default=Imperfections.current_noise_a,
        description="noise of a current reading [A]",
    )
    injection_noise: Spread = Field(
        default=Imperfections.injection_noise,
        description="rms noise of an injection efficiency, of 0 to 1",
    )
    lifetime_noise: Spread = Field(
        default=Imperfections.lifetime_noise,
        description="relative noise of a lifetime reading",
    )
    emittance_noise: Spread = Field(
        default=Imperfections.emittance_noise,
        description="relative noise of an emittance reading",
    )
    cut: Annotated[Number, Field(gt=0)] = Field(
        default=Imperfections.cut,
        description="largest value drawn [sigma]",
    )


class ProfileFile(Section):
    """A whole profile."""

    machine: str = Field(min_length=1, description="folder of the tables in devices/")
    description: str = Field(default="", description="one line for people")
    operational_mode: str = Field(
        default="nominal", description="name of the optics mode"
    )
    energy_gev: Annotated[Number, Field(gt=0)] | None = Field(
        default=None,
        description="beam energy [GeV], the lattice's; needed if there are supplies",
    )
    lattice: Lattice = Field(description="where the lattice comes from")
    cells: Cells | None = Field(
        default=None, description="the numbers that {cell} stands for"
    )
    rf: Rf | None = Field(default=None, description="the RF frequency, if there is one")
    pinger: Pinger | None = Field(
        default=None, description="the magnet that kicks the beam once, if there is one"
    )
    diagnostics: DiagnosticsSection = Field(
        default_factory=DiagnosticsSection, description="further instruments"
    )
    injection: Injection | None = Field(
        default=None, description="what is injected, where that is measured"
    )
    beam: Beam = Field(description="the beam that the simulated machine stores")
    simulation: SimulationSection = Field(
        default_factory=SimulationSection,
        description="how the simulated machine behaves in time",
    )
    control: ControlSection | None = Field(
        default=None, description="where the devices are in the control system"
    )
    members: dict[str, MemberSection] = Field(
        default_factory=dict[str, MemberSection],
        description="devices described by classes of classic ophyd, by name",
    )
    data: DataSection = Field(
        default_factory=DataSection, description="where runs are kept"
    )
    out_of_service: list[str] = Field(
        default_factory=list[str],
        description="names of devices that every default leaves out (status 0)",
    )
    imperfections: ImperfectionsSection = Field(
        default_factory=ImperfectionsSection, description="what a seed draws from"
    )
    defaults: DefaultsSection = Field(
        default_factory=DefaultsSection,
        description="what plans do when not told",
    )
