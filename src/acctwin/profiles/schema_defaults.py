"""What a profile may say about the plans' defaults: a section for each topic.

The keys of a section are the fields of its class in :mod:`acctwin.defaults`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from acctwin.defaults import (
    BbaDefaults,
    BeamDefaults,
    BetaDefaults,
    BumpDefaults,
    ChromaticityDefaults,
    CorrectionDefaults,
    CouplingDefaults,
    CycleDefaults,
    DispersionDefaults,
    FeedbackDefaults,
    LifetimeDefaults,
    OrbitDefaults,
    ResponseDefaults,
    RfDefaults,
    TuneDefaults,
    WaitDefaults,
)
from acctwin.profiles.section import Count, Number, Section, Spread, Waveform


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


class BumpSection(Section):
    """Defaults of local bumps."""

    closure: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=BumpDefaults.closure,
        description="closed when no BPM outside sees more than this fraction of it",
    )
    iterations: Count = Field(
        default=BumpDefaults.iterations, description="correctors set at most so often"
    )
    readings: Count = Field(
        default=BumpDefaults.readings, description="readings averaged"
    )


class FeedbackSection(Section):
    """Defaults of the orbit feedback."""

    gain: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=FeedbackDefaults.gain, description="fraction applied in each cycle"
    )
    period_s: Spread = Field(
        default=FeedbackDefaults.period_s, description="between two cycles [s]"
    )
    min_current_a: Spread = Field(
        default=FeedbackDefaults.min_current_a,
        description="below this beam current it holds still [A]",
    )
    wait_s: Annotated[Number, Field(gt=0)] = Field(
        default=FeedbackDefaults.wait_s,
        description="between two looks while there is no beam [s]",
    )
    give_up_s: Annotated[Number, Field(gt=0)] = Field(
        default=FeedbackDefaults.give_up_s,
        description="it fails after so long without beam [s]",
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


class LifetimeSection(Section):
    """Defaults of the lifetime measurement."""

    precision: Annotated[Number, Field(gt=0)] = Field(
        default=LifetimeDefaults.precision,
        description="it ends when the relative standard error is below this",
    )
    max_s: Annotated[Number, Field(gt=0)] = Field(
        default=LifetimeDefaults.max_s,
        description="it ends after this time at the latest [s]",
    )
    min_readings: Annotated[Count, Field(ge=4)] = Field(
        default=LifetimeDefaults.min_readings,
        description="it does not end with fewer readings of a falling current",
    )


class RfSection(Section):
    """Defaults of what moves the RF."""

    max_step_hz: Annotated[Number, Field(gt=0)] | None = Field(
        default=RfDefaults.max_step_hz, description="largest step of the RF [Hz]"
    )
    iterations: Count = Field(
        default=RfDefaults.iterations, description="of center_rf, at most"
    )
    gain: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=RfDefaults.gain, description="fraction that center_rf applies"
    )


class DispersionSection(Section):
    """Defaults of the dispersion measurement."""

    points: Annotated[Count, Field(ge=2)] = Field(
        default=DispersionDefaults.points, description="frequencies of the RF"
    )
    readings: Count = Field(
        default=DispersionDefaults.readings, description="readings averaged at each"
    )


class ChromaticitySection(Section):
    """Defaults of the chromaticity plans."""

    span: Annotated[Number, Field(gt=0)] = Field(
        default=ChromaticityDefaults.span,
        description="range of momentum, from end to end",
    )
    points: Annotated[Count, Field(ge=2)] = Field(
        default=ChromaticityDefaults.points, description="momenta at which is measured"
    )
    order: Annotated[Count, Field(le=3)] = Field(
        default=ChromaticityDefaults.order, description="highest power that is fitted"
    )
    readings: Count = Field(
        default=ChromaticityDefaults.readings, description="readings averaged at each"
    )
    families: tuple[str, ...] = Field(
        default=ChromaticityDefaults.families,
        description="sextupole families that set the chromaticity",
    )
    tolerance: Annotated[Number, Field(gt=0)] = Field(
        default=ChromaticityDefaults.tolerance,
        description="it is set when both planes are this near",
    )
    iterations: Count = Field(
        default=ChromaticityDefaults.iterations,
        description="of set_chromaticity, at most",
    )


class TuneSection(Section):
    """Defaults of the tune measurements and of set_tune."""

    readings: Count = Field(
        default=TuneDefaults.readings, description="readings of the monitor averaged"
    )
    folded: bool = Field(
        default=TuneDefaults.folded,
        description="the monitor shows the distance from the nearest integer only",
    )
    families: tuple[str, ...] = Field(
        default=TuneDefaults.families,
        description="quadrupole families that set the tunes",
    )
    tolerance: Annotated[Number, Field(gt=0)] = Field(
        default=TuneDefaults.tolerance,
        description="reached when both tunes are within this",
    )
    iterations: Count = Field(
        default=TuneDefaults.iterations, description="quadrupoles set at most so often"
    )
    max_step: Annotated[Number, Field(gt=0, lt=0.5)] = Field(
        default=TuneDefaults.max_step,
        description="largest change of a tune in one iteration",
    )
    shift: Annotated[Number, Field(gt=0, lt=0.5)] = Field(
        default=TuneDefaults.shift,
        description="change of the tune in a response measurement, about",
    )


class BetaSection(Section):
    """Defaults of measure_beta."""

    shift: Annotated[Number, Field(gt=0, lt=0.5)] = Field(
        default=BetaDefaults.shift,
        description="change of the tune that each quadrupole makes, about",
    )
    most: Annotated[Number, Field(gt=0)] = Field(
        default=BetaDefaults.most,
        description="a quadrupole is moved by at most so many of its steps",
    )


class CouplingSection(Section):
    """Defaults of the coupling: how it is measured and corrected."""

    correctors: Count = Field(
        default=CouplingDefaults.correctors,
        description="how many of each plane the orbit response is measured with",
    )
    readings: Count = Field(
        default=CouplingDefaults.readings, description="readings averaged"
    )
    span: Annotated[Number, Field(gt=0, lt=0.5)] = Field(
        default=CouplingDefaults.span,
        description="the tunes are scanned so far to both sides of where they meet",
    )
    points: Annotated[Count, Field(ge=4)] = Field(
        default=CouplingDefaults.points,
        description="places of that scan, and again near the closest approach",
    )
    singular_values: Count | None = Field(
        default=CouplingDefaults.singular_values, description="how many are kept"
    )
    cutoff: Annotated[Number, Field(ge=0, lt=1)] = Field(
        default=CouplingDefaults.cutoff,
        description="singular values below this fraction of the largest are dropped",
    )
    dispersion_weight: Spread = Field(
        default=CouplingDefaults.dispersion_weight,
        description="of the vertical dispersion against the orbit response",
    )
    gain: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=CouplingDefaults.gain, description="fraction applied in each iteration"
    )
    iterations: Count = Field(
        default=CouplingDefaults.iterations, description="at most"
    )


class BbaSection(Section):
    """Defaults of the beam-based alignment."""

    points: Annotated[Count, Field(ge=3)] = Field(
        default=BbaDefaults.points, description="places of the beam in each plane"
    )
    span_m: Annotated[Number, Field(gt=0)] = Field(
        default=BbaDefaults.span_m, description="from the first to the last [m]"
    )
    tune_shift: Annotated[Number, Field(gt=0, le=0.1)] = Field(
        default=BbaDefaults.tune_shift, description="of a quadrupole's modulation"
    )
    readings: Count = Field(default=BbaDefaults.readings, description="of each setting")
    together: Count = Field(
        default=BbaDefaults.together,
        description="quadrupoles that the parallel mode modulates at once",
    )
    neighbours: bool = Field(
        default=BbaDefaults.neighbours,
        description="modulate the quadrupoles next to it too, to know the angle",
    )


class WaitSection(Section):
    """When a move is over, and when it is given up."""

    done: Literal["readback", "flag"] = Field(
        default=WaitDefaults.done,
        description="readback: it is within tolerance; flag: the device says so",
    )
    flag_delay_s: Spread = Field(
        default=WaitDefaults.flag_delay_s,
        description="how long a device may take to raise its flag [s]",
    )
    timeout_s: Annotated[Number, Field(gt=0)] = Field(
        default=WaitDefaults.timeout_s,
        description="how long a move may take [s]",
    )
    late: Literal["error", "warn"] = Field(
        default=WaitDefaults.late,
        description="what happens then: error ends the plan, warn goes on",
    )


class BeamSection(Section):
    """What a reading does when there is no beam."""

    lost: Literal["end", "wait"] = Field(
        default=BeamDefaults.lost,
        description="end: the plan ends; wait: read again when the beam is back",
    )
    wait_s: Annotated[Number, Field(gt=0)] = Field(
        default=BeamDefaults.wait_s, description="how long at most [s]"
    )
    minimum_a: Spread = Field(
        default=BeamDefaults.minimum_a,
        description="from which current on the beam is back [A]",
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
    bump: BumpSection = Field(default_factory=BumpSection, description="orbit_bump")
    feedback: FeedbackSection = Field(
        default_factory=FeedbackSection, description="orbit_feedback"
    )
    cycle: CycleSection = Field(
        default_factory=CycleSection, description="cycle of the magnets"
    )
    lifetime: LifetimeSection = Field(
        default_factory=LifetimeSection, description="measure_lifetime"
    )
    rf: RfSection = Field(
        default_factory=RfSection, description="set_rf, center_rf, scans of the RF"
    )
    dispersion: DispersionSection = Field(
        default_factory=DispersionSection, description="measure_dispersion"
    )
    chromaticity: ChromaticitySection = Field(
        default_factory=ChromaticitySection, description="the chromaticity plans"
    )
    tune: TuneSection = Field(
        default_factory=TuneSection, description="measure_tune, set_tune …"
    )
    beta: BetaSection = Field(default_factory=BetaSection, description="measure_beta")
    coupling: CouplingSection = Field(
        default_factory=CouplingSection, description="measure_coupling, set_coupling"
    )
    bba: BbaSection = Field(
        default_factory=BbaSection, description="beam-based alignment"
    )
    waits: WaitSection = Field(
        default_factory=WaitSection, description="waiting for readbacks"
    )
    beam: BeamSection = Field(
        default_factory=BeamSection, description="readings without beam"
    )
