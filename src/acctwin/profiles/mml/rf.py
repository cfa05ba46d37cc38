"""The profile's section on the RF."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from acctwin.profiles.mml.families import RF
from acctwin.profiles.mml.report import Notes
from acctwin.profiles.mml.ring import Ring
from acctwin.profiles.mml.setup import MmlFamily, MmlSetup
from acctwin.profiles.mml.values import column, pairs, text

#: A dispersion measurement moves the momentum by this.
MOMENTUM_STEP: Final = 2e-3
#: What is taken where a set-up does not say: limits, as a fraction; tolerance [Hz].
LIMITS, TOLERANCE_HZ = 2e-3, 10.0

_UNITS: Final = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}


def rf_section(
    setup: MmlSetup,
    families: Sequence[MmlFamily],
    ring: Ring,
    counts: dict[str, int],
    notes: Notes,
) -> dict[str, float]:
    """Return limits, tolerance and step of the RF [Hz]; empty without RF.

    Args:
        setup: The set-up; its AD may have the step.
        families: All families that may be mapped.
        ring: The lattice.
        counts: Where the RF is counted.
        notes: Where what is assumed is added.
    """
    family = next((f for f in families if f.name.upper() == RF), None)
    if family is None or ring.rf_hz is None:
        if family is not None:
            notes.add("left out", family.name, "the lattice has no cavity")
        return {}
    setpoint = family.field("Setpoint")
    hz = _hz_of_hardware(setpoint)
    if hz is None:
        reason = "its HW2PhysicsParams and HWUnits do not say how many Hz it is"
        notes.add("left out", family.name, reason)
        return {}
    low, high = _limits(setpoint, hz, ring.rf_hz, notes)
    tolerance = _positive(column(setpoint.get("Tolerance"), 1))
    if tolerance is None:
        reason = f"not there, or 0: {TOLERANCE_HZ:g} Hz is taken"
        notes.add("assumed", RF, reason, "Setpoint.Tolerance")
    counts[family.name] = 1
    return {
        "low_hz": low,
        "high_hz": high,
        "tolerance_hz": TOLERANCE_HZ if tolerance is None else hz * tolerance,
        "delta_hz": min(_step(setup, setpoint, hz, ring.rf_hz, notes), high - low),
    }


def _hz_of_hardware(setpoint: Mapping[str, Any]) -> float | None:
    gain = _positive(column(setpoint.get("HW2PhysicsParams"), 1))
    return gain or _UNITS.get(text(setpoint.get("HWUnits")).lower())


def _limits(
    setpoint: Mapping[str, Any], hz: float, design: float, notes: Notes
) -> tuple[float, float]:
    found = pairs(setpoint.get("Range"), 1)
    if found and all(map(math.isfinite, found[0])):
        low, high = hz * found[0][0], hz * found[0][1]
        if low < design < high:
            return low, high
    reason = f"not there, or without the lattice's {design:.9g} Hz: ±{LIMITS:.1%} of it"
    notes.add("assumed", RF, reason, "Setpoint.Range")
    return design * (1.0 - LIMITS), design * (1.0 + LIMITS)


def _step(
    setup: MmlSetup,
    setpoint: Mapping[str, Any],
    hz: float,
    design: float,
    notes: Notes,
) -> float:
    """Return the step of a dispersion measurement [Hz]."""
    for value in (setup.ad.get("DeltaRFDisp"), setpoint.get("DeltaRespMat")):
        step = _positive(column(value, 1))
        if step is not None:
            return hz * step
    compaction = _positive(column(setup.ad.get("MCF"), 1)) or 1e-3
    step = design * compaction * MOMENTUM_STEP
    reason = f"not there: {step:.6g} Hz, 0.2 % of the momentum with MCF {compaction:g}"
    notes.add("assumed", "AD", reason, "DeltaRFDisp")
    return step


def _positive(values: list[float] | None) -> float | None:
    if not values or not 0.0 < abs(values[0]) < math.inf:
        return None
    return abs(values[0])
