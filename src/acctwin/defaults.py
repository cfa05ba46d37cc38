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
class Defaults:
    """The defaults of all plans."""

    orbit: OrbitDefaults = OrbitDefaults()
    response: ResponseDefaults = ResponseDefaults()
    correction: CorrectionDefaults = CorrectionDefaults()
    bump: BumpDefaults = BumpDefaults()
    feedback: FeedbackDefaults = FeedbackDefaults()
    cycle: CycleDefaults = field(default_factory=CycleDefaults)
    lifetime: LifetimeDefaults = LifetimeDefaults()
    waits: WaitDefaults = WaitDefaults()
