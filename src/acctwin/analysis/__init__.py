"""Pure analysis: arrays in, frozen results out; the model enters as an argument."""

from acctwin.analysis.correction import CorrectionResult, Solution, solve_correction
from acctwin.analysis.machine_state import (
    ComparisonResult,
    CycleResult,
    MachineState,
    RestoreResult,
)
from acctwin.analysis.orbit import NoiseResult, OrbitResult, estimate_noise, mean_orbit
from acctwin.analysis.response import ResponseResult, fit_response

__all__ = [
    "ComparisonResult",
    "CorrectionResult",
    "CycleResult",
    "MachineState",
    "NoiseResult",
    "OrbitResult",
    "ResponseResult",
    "RestoreResult",
    "Solution",
    "estimate_noise",
    "fit_response",
    "mean_orbit",
    "solve_correction",
]
