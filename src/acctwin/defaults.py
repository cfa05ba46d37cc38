"""What a plan does when it is not told: a section for each kind of plan.

The values come from a machine's profile; plans read them from the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class OrbitDefaults:
    """Defaults of ``measure_orbit`` and ``monitor_orbit``.

    Attributes:
        readings: Readings that are averaged for one orbit.
        monitor_readings: Readings of a noise estimate.
    """

    readings: int = 1
    monitor_readings: int = 20


@dataclass(frozen=True)
class ResponseDefaults:
    """Defaults of ``measure_response``.

    Attributes:
        settle_s: Extra wait after every move [s].
        readings: Readings that are averaged at every step.
    """

    settle_s: float = 0.0
    readings: int = 1


@dataclass(frozen=True)
class CorrectionDefaults:
    """Defaults of ``correct_orbit``.

    Attributes:
        singular_values: How many singular values are kept; None: by ``cutoff``.
        cutoff: Singular values below this fraction of the largest are dropped.
        gain: Fraction of the solution that is applied in each iteration.
        iterations: At most this many.
        rf: Whether the RF frequency is an extra knob.
    """

    singular_values: int | None = None
    cutoff: float = 1e-3
    gain: float = 1.0
    iterations: int = 3
    rf: bool = False


@dataclass(frozen=True)
class BumpDefaults:
    """Defaults of ``orbit_bump``.

    Attributes:
        closure: It is closed when no BPM outside sees more than this fraction of it.
        iterations: How many times the correctors are set at most.
        readings: Readings that are averaged for each orbit.
    """

    closure: float = 0.005
    iterations: int = 3
    readings: int = 3


@dataclass(frozen=True)
class FeedbackDefaults:
    """Defaults of ``orbit_feedback``; what is inverted is as for ``correct_orbit``.

    Attributes:
        gain: Fraction of the solution that is applied in each cycle.
        period_s: Time between two cycles [s].
        min_current_a: Below this beam current it holds still [A]; 0: not looked at.
        wait_s: Time between two looks while there is no beam [s].
        give_up_s: It fails when there has been no beam for this long [s].
    """

    gain: float = 0.5
    period_s: float = 1.0
    min_current_a: float = 0.0
    wait_s: float = 1.0
    give_up_s: float = 600.0


@dataclass(frozen=True)
class CycleDefaults:
    """Defaults of ``cycle``.

    Attributes:
        waveform: Fractions of the way to the limits: 1 upper, −1 lower, 0 where it is.
        waveforms: The same for single families, by name.
        settle_s: Wait at each point [s].
    """

    waveform: tuple[float, ...] = (1.0, -1.0) * 3
    waveforms: Mapping[str, tuple[float, ...]] = field(
        default_factory=dict[str, tuple[float, ...]]
    )
    settle_s: float = 0.0


@dataclass(frozen=True)
class LifetimeDefaults:
    """Defaults of ``measure_lifetime``.

    Attributes:
        precision: It ends when the lifetime's relative standard error is below this.
        max_s: It ends after this time at the latest [s].
        min_readings: It does not end with fewer readings of a falling current.
    """

    precision: float = 0.02
    max_s: float = 600.0
    min_readings: int = 10


@dataclass(frozen=True)
class RfDefaults:
    """Defaults of ``set_rf``, of ``center_rf``, and of scans of the RF.

    Attributes:
        max_step_hz: Largest step of the RF [Hz]; None: a quarter of its step in a
            response measurement.
        iterations: Of ``center_rf``, at most.
        gain: Fraction of the solution that ``center_rf`` applies.
    """

    max_step_hz: float | None = None
    iterations: int = 3
    gain: float = 1.0


@dataclass(frozen=True)
class DispersionDefaults:
    """Defaults of ``measure_dispersion``.

    Attributes:
        points: At how many frequencies the orbit is measured.
        readings: Readings that are averaged at each.
    """

    points: int = 2
    readings: int = 3


@dataclass(frozen=True)
class ChromaticityDefaults:
    """Defaults of ``measure_chromaticity`` and ``set_chromaticity``.

    Attributes:
        span: Range of momentum δ, from end to end.
        points: At how many momenta the tunes are measured.
        order: Highest power of δ that is fitted.
        readings: Readings of the tunes that are averaged at each.
        families: Sextupole families that set the chromaticity.
        tolerance: The chromaticity is set when both planes are this near.
        iterations: Of ``set_chromaticity``, at most.
    """

    span: float = 0.008
    points: int = 5
    order: int = 2
    readings: int = 3
    families: tuple[str, ...] = ()
    tolerance: float = 0.05
    iterations: int = 3


@dataclass(frozen=True)
class TuneDefaults:
    """Defaults of the tune measurements and of ``set_tune``.

    Attributes:
        readings: Readings of the tune monitor that are averaged.
        folded: Whether the monitor shows the distance from the nearest integer only,
            0 to 0.5.
        families: Quadrupole families that set the tunes.
        tolerance: The tunes are reached when both are within this.
        iterations: How many times the quadrupoles are set at most.
        max_step: Largest change of a tune in one iteration.
        shift: Change of the tune that a response measurement makes, about.
    """

    readings: int = 10
    folded: bool = False
    families: tuple[str, ...] = ()
    tolerance: float = 5e-4
    iterations: int = 3
    max_step: float = 0.1
    shift: float = 0.01


@dataclass(frozen=True)
class BetaDefaults:
    """Defaults of ``measure_beta``.

    Attributes:
        shift: Change of the tune that each quadrupole makes, about.
        most: A quadrupole is never moved by more than so many of its steps.
    """

    shift: float = 0.005
    most: float = 5.0


@dataclass(frozen=True)
class CouplingDefaults:
    """Defaults of ``measure_coupling`` and ``set_coupling``.

    Attributes:
        correctors: How many of each plane the orbit response is measured with.
        readings: Readings that are averaged at each step.
        span: The tunes are scanned from this far before they meet to this far beyond.
        points: At how many places of the span, and again near the closest approach.
        singular_values: How many are kept by a correction; None: by ``cutoff``.
        cutoff: Singular values below this fraction of the largest are dropped.
        dispersion_weight: Of the vertical dispersion against the orbit response.
        gain: Fraction of the solution that is applied in each iteration.
        iterations: At most this many.
    """

    correctors: int = 8
    readings: int = 2
    span: float = 0.02
    points: int = 7
    singular_values: int | None = None
    cutoff: float = 0.1
    dispersion_weight: float = 1.0
    gain: float = 1.0
    iterations: int = 2


@dataclass(frozen=True)
class BbaDefaults:
    """Defaults of ``bba``.

    Attributes:
        points: Places of the beam in each plane.
        span_m: From the first to the last of them, at the BPM [m].
        tune_shift: Tune shift of a full modulation of one quadrupole.
        readings: Of each setting.
        together: Quadrupoles that the parallel mode modulates at once.
        neighbours: Whether quadrupoles next to those of the pairs are modulated too,
            to know the beam's angle.
    """

    points: int = 5
    span_m: float = 5e-4
    tune_shift: float = 0.005
    readings: int = 1
    together: int = 20
    neighbours: bool = True


@dataclass(frozen=True)
class WaitDefaults:
    """When a move is over, and when it is given up.

    Attributes:
        timeout_s: How long a move may take [s].
        late: What happens then: ``"error"`` ends the plan, ``"warn"`` says so and
            goes on.
        done: ``"readback"``: when the readback is within tolerance of the setpoint;
            ``"flag"``: when the device itself no longer says that it is moving.
        flag_delay_s: How long a device may take to raise its flag after a put [s].
    """

    timeout_s: float = 10.0
    late: Literal["error", "warn"] = "error"
    done: Literal["readback", "flag"] = "readback"
    flag_delay_s: float = 0.0


@dataclass(frozen=True)
class BeamDefaults:
    """What a reading does when there is no beam.

    Attributes:
        lost: ``"end"``: the plan ends; ``"wait"``: the reading is taken again when
            the beam is back.
        wait_s: How long it waits at most [s].
        minimum_a: From which current on it is back [A], where there is a monitor.
    """

    lost: Literal["end", "wait"] = "end"
    wait_s: float = 600.0
    minimum_a: float = 0.0


@dataclass(frozen=True)
class Defaults:
    """The defaults of all plans."""

    orbit: OrbitDefaults = OrbitDefaults()
    response: ResponseDefaults = ResponseDefaults()
    correction: CorrectionDefaults = CorrectionDefaults()
    bump: BumpDefaults = BumpDefaults()
    feedback: FeedbackDefaults = FeedbackDefaults()
    cycle: CycleDefaults = field(default_factory=CycleDefaults)
    lifetime: LifetimeDefaults = LifetimeDefaults()
    rf: RfDefaults = RfDefaults()
    dispersion: DispersionDefaults = DispersionDefaults()
    chromaticity: ChromaticityDefaults = ChromaticityDefaults()
    tune: TuneDefaults = TuneDefaults()
    beta: BetaDefaults = BetaDefaults()
    coupling: CouplingDefaults = CouplingDefaults()
    bba: BbaDefaults = BbaDefaults()
    waits: WaitDefaults = WaitDefaults()
    beam: BeamDefaults = BeamDefaults()
