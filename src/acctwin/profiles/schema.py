"""What a profile's YAML file may say: every section and key, with its unit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from acctwin.defaults import (
    CorrectionDefaults,
    CycleDefaults,
    OrbitDefaults,
    ResponseDefaults,
    WaitDefaults,
)
from acctwin.profiles.profile import (
    BpmSpread,
    Imperfections,
    MagnetSpread,
    Simulation,
)
from acctwin.profiles.templates import MOST


def _no_bool(value: Any) -> Any:
    """Refuse yes and no where a number belongs; pydantic would read 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("write a number")
    return value


Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Spread = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=-1, le=1)]
Waveform = Annotated[tuple[Fraction, ...], Field(min_length=1)]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1)]


class Section(BaseModel):
    """A section of the file: nothing but the keys that are described."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Beam(Section):
    """The beam that the simulated machine stores."""

    current_ma: Spread = Field(description="stored current [mA]")
    lifetime_h: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="beam lifetime [h]; without it the beam stays"
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
    cut: Annotated[Number, Field(gt=0)] = Field(
        default=Imperfections.cut,
        description="largest value drawn [sigma]",
    )


class OrbitSection(Section):
    """Defaults of the orbit measurements."""

    readings: Count = Field(
        default=OrbitDefaults.readings, description="readings averaged"
    )
    monitor_readings: Count = Field(
        default=OrbitDefaults.monitor_readings, description="readings of monitor_orbit"
    )


class ResponseSection(Section):
    """Defaults of the response measurements."""

    settle_s: Spread = Field(default=ResponseDefaults.settle_s, description="wait [s]")
    readings: Count = Field(
        default=ResponseDefaults.readings, description="readings averaged"
    )


class CorrectionSection(Section):
    """Defaults of the orbit correction."""

    singular_values: Count | None = Field(
        default=CorrectionDefaults.singular_values, description="how many are kept"
    )
    cutoff: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=CorrectionDefaults.cutoff,
        description="singular values below this fraction of the largest are dropped",
    )
    gain: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=CorrectionDefaults.gain,
        description="fraction applied in each iteration",
    )
    iterations: Count = Field(
        default=CorrectionDefaults.iterations, description="at most"
    )
    rf: bool = Field(
        default=CorrectionDefaults.rf, description="the RF is an extra knob"
    )


class CycleSection(Section):
    """Defaults of hysteresis cycles."""

    waveform: Waveform = Field(
        default=CycleDefaults.waveform,
        description="fractions of the way to the limits: 1 upper, -1 lower, 0 stays",
    )
    waveforms: dict[str, Waveform] = Field(
        default_factory=dict[str, Waveform],
        description="waveforms of single families, by name",
    )
    settle_s: Spread = Field(
        default=CycleDefaults.settle_s, description="wait at each point [s]"
    )


class WaitSection(Section):
    """When a move is given up."""

    timeout_s: Annotated[Number, Field(gt=0)] = Field(
        default=WaitDefaults.timeout_s,
        description="how long a readback may take to arrive [s]",
    )
    late: Literal["error", "warn"] = Field(
        default=WaitDefaults.late,
        description="what happens then: error ends the plan, warn goes on",
    )


class DefaultsSection(Section):
    """What a plan does when it is not told."""

    orbit: OrbitSection = Field(
        default_factory=OrbitSection, description="measure_orbit …"
    )
    response: ResponseSection = Field(
        default_factory=ResponseSection, description="measure_response"
    )
    correction: CorrectionSection = Field(
        default_factory=CorrectionSection, description="correct_orbit"
    )
    cycle: CycleSection = Field(
        default_factory=CycleSection, description="cycle of the magnets"
    )
    waits: WaitSection = Field(
        default_factory=WaitSection, description="waiting for readbacks"
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
    beam: Beam = Field(description="the beam that the simulated machine stores")
    simulation: SimulationSection = Field(
        default_factory=SimulationSection,
        description="how the simulated machine behaves in time",
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
