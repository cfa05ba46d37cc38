"""Measurements and corrections as Bluesky plans.

Each takes the machine first, checks limits and status before it moves anything,
puts back what it moved (unless moving was its purpose), and returns its result.
"""

from acctwin.plans.alignment.bba import bba
from acctwin.plans.coupling.correction import set_coupling
from acctwin.plans.coupling.coupling import measure_coupling
from acctwin.plans.cycle import cycle
from acctwin.plans.injection import measure_injection
from acctwin.plans.lifetime import measure_lifetime
from acctwin.plans.loco.apply import apply_loco
from acctwin.plans.loco.measurement import measure_loco
from acctwin.plans.momentum.chromaticity import measure_chromaticity
from acctwin.plans.momentum.chromaticity_correction import set_chromaticity
from acctwin.plans.momentum.chromaticity_response import measure_chromaticity_response
from acctwin.plans.momentum.dispersion import measure_dispersion
from acctwin.plans.momentum.rf import set_rf
from acctwin.plans.momentum.rf_centring import center_rf
from acctwin.plans.optics.beta import measure_beta
from acctwin.plans.optimisation.optimise import optimise
from acctwin.plans.orbits.bump import orbit_bump
from acctwin.plans.orbits.correction import correct_orbit
from acctwin.plans.orbits.feedback import orbit_feedback
from acctwin.plans.orbits.orbit import measure_orbit, monitor_orbit
from acctwin.plans.response import measure_orbit_response, measure_response
from acctwin.plans.saving.machine_state import compare_machine, save_machine
from acctwin.plans.saving.reference import promote_reference, roll_back_reference
from acctwin.plans.saving.restore import restore_machine
from acctwin.plans.step import set_values, step
from acctwin.plans.tunes.correction import set_tune
from acctwin.plans.tunes.response import measure_tune_response
from acctwin.plans.tunes.step import step_tune
from acctwin.plans.tunes.tune import measure_tune

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
