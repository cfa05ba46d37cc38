"""LOCO: gradients and gains from a measured orbit response; pure."""

from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.loco.fit import Model, Options, fit
from acctwin.analysis.loco.gains import Gains, Linear, kicked, shown
from acctwin.analysis.loco.normal import normal_equations
from acctwin.analysis.loco.parameters import Block, Parameters, parameters_of
from acctwin.analysis.loco.result import Combination, LocoFit

__all__ = [
    "Block",
    "Combination",
    "Gains",
    "Linear",
    "LocoData",
    "LocoFit",
    "Model",
    "Options",
    "Parameters",
    "fit",
    "kicked",
    "normal_equations",
    "parameters_of",
    "shown",
]
