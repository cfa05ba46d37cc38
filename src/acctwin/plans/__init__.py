"""Measurements and corrections as Bluesky plans.

Each takes the machine first, checks limits and status before it moves anything,
puts back what it moved (unless moving was its purpose), and returns its result.
"""

from acctwin.plans.correction import correct_orbit
from acctwin.plans.orbit import measure_orbit, monitor_orbit
from acctwin.plans.response import measure_orbit_response, measure_response
from acctwin.plans.step import set_values, step

__all__ = [
    "correct_orbit",
    "measure_orbit",
    "measure_orbit_response",
    "measure_response",
    "monitor_orbit",
    "set_values",
    "step",
]
