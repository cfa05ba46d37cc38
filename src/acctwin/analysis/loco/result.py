"""What a LOCO fit has found, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.loco.gains import Gains
from acctwin.analysis.loco.parameters import Parameters
from acctwin.analysis.loco.solvers import Reduced
from acctwin.names import BoolArray, FloatArray, IntArray

#: Strengths with more than this part of the largest share of a combination are named.
SHARE = 0.3


@dataclass(frozen=True)
class Combination:
    """Strengths that the data cannot tell apart.

    Attributes:
        names: Those with the largest shares, largest first.
        shares: In units of what changes the data by as much for each, (n,).
    """

    names: tuple[str, ...]
    shares: FloatArray


@dataclass(frozen=True)
class LocoFit:
    """Strengths and gains that explain a measured response.

    Attributes:
        strengths: Names of the fitted strengths.
        start: Their values before the fit, (n,).
        values: After it, (n,).
        sigma: Standard errors along what the data tell, (n,); larger by √(χ²/dof) where
            model and noise do not explain all.
        monitors: The BPMs.
        actuators: The correctors, and ``"rf"``.
        gains: Of BPMs and actuators.
        gains_sigma: Their standard errors; 0 of what was not fitted.
        chi2_dof: χ² per degree of freedom: 1 where model and noise explain all.
        history: χ² after each iteration, priors included.
        converged: Whether the last iteration changed hardly anything.
        residuals: Measured − fitted, over the standard error; 0 where left out,
            (2·n_monitors, n_actuators).
        good: Which entries were fitted in the end, (2·n_monitors, n_actuators).
        singular: Singular values over the largest, (n,).
        kept: How many of them were used.
        degenerate: What the others stand for.
        unknown: How many combinations of gains are known from priors alone, such as
            all vertical BPM gains against all vertical kicks; no part of
            ``gains_sigma``.
    """

    strengths: tuple[str, ...]
    start: FloatArray
    values: FloatArray
    sigma: FloatArray
    monitors: tuple[str, ...]
    actuators: tuple[str, ...]
    gains: Gains
    gains_sigma: Gains
    chi2_dof: float
    history: tuple[float, ...]
    converged: bool
    residuals: FloatArray
    good: BoolArray
    singular: FloatArray
    kept: int
    degenerate: tuple[Combination, ...]
    unknown: int

    @property
    def changes(self) -> FloatArray:
        """Fitted strengths over those before, minus 1; the change where that was 0."""
        before = np.where(self.start == 0.0, 1.0, self.start)
        return (self.values - self.start) / before


def result_of(
    data: LocoData,
    parameters: Parameters,
    reduced: Reduced,
    *,
    values: FloatArray,
    gains: Gains,
    start: FloatArray,
    predicted: FloatArray,
    history: tuple[float, ...],
    converged: bool,
) -> LocoFit:
    """Gather a result.

    Args:
        data: What was fitted in the end.
        parameters: What was fitted.
        reduced: The normal equations at the end.
        values: Of all parameters.
        gains: The fitted ones.
        start: Parameters before the fit.
        predicted: What the fitted model says, (2·n_monitors, n_actuators).
        history: χ² after each iteration.
        converged: Whether it was over by itself.
    """
    residuals = data.residuals(predicted)
    used = reduced.kept + parameters.count - len(parameters.strengths)
    freedom = max(int(data.good.sum()) - used, 1)
    chi2_dof = float((residuals**2).sum()) / freedom
    sigma = reduced.sigma() * np.sqrt(max(chi2_dof, 1.0))
    count = len(parameters.strengths)
    zeros = np.zeros_like(gains.kick)
    none = Gains(np.zeros_like(gains.bpm), zeros, zeros, zeros)
    return LocoFit(
        strengths=parameters.strengths,
        start=start[:count],
        values=values[:count],
        sigma=sigma[:count],
        monitors=data.monitors,
        actuators=data.actuators,
        gains=gains,
        gains_sigma=parameters.gains(sigma, none),
        chi2_dof=chi2_dof,
        history=history,
        converged=converged,
        residuals=residuals,
        good=data.good,
        singular=reduced.singular,
        kept=reduced.kept,
        degenerate=_combinations(reduced.dropped, parameters.strengths),
        unknown=len(reduced.unknown),
    )


def _combinations(
    dropped: FloatArray, names: tuple[str, ...]
) -> tuple[Combination, ...]:
    """Name the largest shares of each row of what was left out."""
    found = list[Combination]()
    sizes: FloatArray = np.abs(dropped)
    for row, size in enumerate(sizes):
        order = np.asarray(np.argsort(-size), dtype=np.int64)
        large: IntArray = order[size[order] > SHARE * size.max()]
        chosen = tuple(names[int(i)] for i in large)
        found.append(Combination(chosen, dropped[row, large]))
    return tuple(found)
