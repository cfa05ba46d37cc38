"""What a profile may say about the plans' defaults: a section for each topic.

The keys of a section are the fields of its class in :mod:`acctwin.defaults`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from acctwin.defaults import (
    BumpDefaults,
    CorrectionDefaults,
    CycleDefaults,
    FeedbackDefaults,
    LifetimeDefaults,
    OrbitDefaults,
    ResponseDefaults,
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
    waits: WaitSection = Field(
        default_factory=WaitSection, description="waiting for readbacks"
    )
