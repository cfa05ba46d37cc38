"""Pure analysis: arrays in, frozen results out; the model enters as an argument."""

from acctwin.analysis.correction import CorrectionResult, Solution, solve_correction
from acctwin.analysis.orbit import NoiseResult, OrbitResult, estimate_noise, mean_orbit
from acctwin.analysis.response import ResponseResult, fit_response

__all__ = [
    "CorrectionResult",
    "NoiseResult",
    "OrbitResult",
    "ResponseResult",
    "Solution",
    "estimate_noise",
    "fit_response",
    "mean_orbit",
    "solve_correction",
]
