"""Measurements and corrections as Bluesky plans.

Each takes the machine first, checks limits and status before it moves anything,
puts back what it moved (unless moving was its purpose), and returns its result.
"""

from acctwin.plans.bba import bba
from acctwin.plans.beta import measure_beta
from acctwin.plans.bump import orbit_bump
from acctwin.plans.chromaticity import measure_chromaticity
from acctwin.plans.chromaticity_correction import set_chromaticity
from acctwin.plans.chromaticity_response import measure_chromaticity_response
from acctwin.plans.correction import correct_orbit
from acctwin.plans.coupling import measure_coupling
from acctwin.plans.coupling_correction import set_coupling
from acctwin.plans.cycle import cycle
from acctwin.plans.dispersion import measure_dispersion
from acctwin.plans.feedback import orbit_feedback
from acctwin.plans.injection import measure_injection
from acctwin.plans.lifetime import measure_lifetime
from acctwin.plans.loco import measure_loco
from acctwin.plans.loco_apply import apply_loco
from acctwin.plans.machine_state import compare_machine, save_machine
from acctwin.plans.optimise import optimise
from acctwin.plans.orbit import measure_orbit, monitor_orbit
from acctwin.plans.reference import promote_reference, roll_back_reference
from acctwin.plans.response import measure_orbit_response, measure_response
from acctwin.plans.restore import restore_machine
from acctwin.plans.rf import set_rf
from acctwin.plans.rf_centring import center_rf
from acctwin.plans.step import set_values, step
from acctwin.plans.tune import measure_tune
from acctwin.plans.tune_correction import set_tune
from acctwin.plans.tune_response import measure_tune_response
from acctwin.plans.tune_step import step_tune

__all__ = [
    "apply_loco",
    "bba",
    "center_rf",
    "compare_machine",
    "correct_orbit",
    "cycle",
    "measure_beta",
    "measure_chromaticity",
    "measure_chromaticity_response",
    "measure_coupling",
    "measure_dispersion",
    "measure_injection",
    "measure_lifetime",
    "measure_loco",
    "measure_orbit",
    "measure_orbit_response",
    "measure_response",
    "measure_tune",
    "measure_tune_response",
    "monitor_orbit",
    "optimise",
    "orbit_bump",
    "orbit_feedback",
    "promote_reference",
    "restore_machine",
    "roll_back_reference",
    "save_machine",
    "set_chromaticity",
    "set_coupling",
    "set_rf",
    "set_tune",
    "set_values",
    "step",
    "step_tune",
]
