"""Pure analysis: arrays in, frozen results out; the model enters as an argument."""

from acctwin.analysis.bump import BumpResult
from acctwin.analysis.correction import (
    CorrectionResult,
    Inverse,
    Solution,
    invert_response,
    solve_correction,
    solve_micado,
)
from acctwin.analysis.coupling import CouplingResult, SetCouplingResult
from acctwin.analysis.feedback import FeedbackResult
from acctwin.analysis.lifetime import LifetimeResult
from acctwin.analysis.machine_state import (
    ComparisonResult,
    CycleResult,
    MachineState,
    RestoreResult,
)
from acctwin.analysis.orbit import NoiseResult, OrbitResult, estimate_noise, mean_orbit
from acctwin.analysis.response import ResponseResult, fit_response

__all__ = [
    "BumpResult",
    "ComparisonResult",
    "CorrectionResult",
    "CouplingResult",
    "CycleResult",
    "FeedbackResult",
    "Inverse",
    "LifetimeResult",
    "MachineState",
    "NoiseResult",
    "OrbitResult",
    "ResponseResult",
    "RestoreResult",
    "SetCouplingResult",
    "Solution",
    "estimate_noise",
    "fit_response",
    "invert_response",
    "mean_orbit",
    "solve_correction",
    "solve_micado",
]
