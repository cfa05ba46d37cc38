"""The fit: strengths and gains that explain a measured response.

LOCO after J. Safranek, Nucl. Instrum. Methods A 388, 27 (1997).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.analysis.loco.data import LocoData
from acctwin.analysis.loco.gains import Gains, Linear, kicked, shown
from acctwin.analysis.loco.normal import Normal, normal_equations
from acctwin.analysis.loco.parameters import Block, Parameters, parameters_of
from acctwin.analysis.loco.result import LocoFit, result_of
from acctwin.analysis.loco.solvers import Reduced, Solver, damped_step
from acctwin.errors import BeamLost
from acctwin.names import FloatArray

log = logging.getLogger(__name__)

#: First damping of Levenberg-Marquardt, its factor, and the largest.
DAMPING, DAMPING_FACTOR, LARGEST_DAMPING = 1e-3, 10.0, 1e15

#: Hears of each iteration: its number and χ².
Progress = Callable[[int, float], None]


class Model(Protocol):
    """What a fit asks of a physics model, for the rows and columns of its data."""

    @property
    def strengths(self) -> tuple[str, ...]:
        """Names of what can be fitted."""
        ...

    @property
    def start(self) -> FloatArray:
        """Values that the fit begins with, (n_strengths,)."""
        ...

    def set(self, values: FloatArray) -> None:
        """Change the model, (n_strengths,).

        Raises:
            BeamLost: There is no stable motion.
        """
        ...

    def linear(self) -> Linear:
        """Return the response there."""
        ...

    def factors(self) -> Factors:
        """Return its derivatives there."""
        ...


@dataclass(frozen=True)
class Options:
    """How to fit.

    Attributes:
        blocks: What is fitted besides strengths.
        priors: Standard deviation of what is known of a block beforehand.
        solver: One of :data:`acctwin.analysis.loco.solvers.Solver`.
        cut: Of singular values, over the largest.
        iterations: At the most.
        tolerance: The fit is over when χ² changes by less than this part of it.
        outliers: Entries with residuals of more than so many standard deviations are
            left out, from the second iteration on; inf: none are.
        dispersion_weight: Errors of the response to the RF, the dispersion, are taken
            for this times smaller; 0: it is not fitted.
    """

    blocks: tuple[Block, ...] = ("bpm_gain", "bpm_coupling", "kick_gain", "kick_roll")
    priors: dict[Block, float] = field(default_factory=dict[Block, float])
    solver: Solver = "gauss_newton"
    cut: float = 1e-4
    iterations: int = 8
    tolerance: float = 1e-3
    outliers: float = 5.0
    dispersion_weight: float = 1.0


@dataclass
class _State:
    """Where a fit is."""

    values: FloatArray
    linear: Linear
    chi2: float
    damping: float = DAMPING


def fit(
    data: LocoData, model: Model, options: Options, progress: Progress | None = None
) -> LocoFit:
    """Fit strengths and gains to a measured response.

    Ctrl-C ends the fit with the best there is.

    Args:
        data: What was measured.
        model: The model; it is left at the fitted strengths.
        options: How to fit.
        progress: Hears of each iteration.

    Raises:
        BeamLost: The model has no stable motion at the start.
        PlanError: A weight makes no sense, or there is no dispersion to weigh.
    """
    data = data.with_dispersion(options.dispersion_weight)
    parameters = parameters_of(
        data, model.strengths, options.blocks, dict(options.priors)
    )
    fitting = _Fitting(data, model, options, parameters)
    try:
        for number in range(1, options.iterations + 1):
            is_over = fitting.iterate()
            if progress is not None:
                progress(number, fitting.state.chi2)
            if is_over:
                fitting.converged = True
                break
    except KeyboardInterrupt:
        log.warning("the fit was interrupted; this is the best so far")
    return fitting.result()


class _Fitting:
    """A fit under way."""

    def __init__(
        self, data: LocoData, model: Model, options: Options, parameters: Parameters
    ) -> None:
        self.model, self.options, self.parameters = model, options, parameters
        self.all, self.data, self.converged = data, data, False
        self.ideal = Gains.ideal(len(data.monitors), len(data.actuators))
        self.start = parameters.start(model.start, self.ideal)
        self.history = list[float]()
        self.state = self._state(self.start)

    def iterate(self) -> bool:
        """Make a step; return whether it has hardly changed anything."""
        before = self.state
        if self.history and np.isfinite(self.options.outliers):
            predicted = self._predicted(before)
            self.data = self.all.without_outliers(predicted, self.options.outliers)
            before.chi2 = self._chi2(before.values, predicted)
        normal = self._normal()
        if self.options.solver == "gauss_newton":
            step = self._reduced(normal).step()
            self.state = self._state(before.values + step)
        else:
            self.state = self._damped(normal, before)
        self.history.append(self.state.chi2)
        change = abs(before.chi2 - self.state.chi2)
        return change <= self.options.tolerance * self.state.chi2

    def result(self) -> LocoFit:
        """Return what was found, with errors from the last derivatives."""
        strengths = self.parameters.split(self.state.values)[0]
        self.model.set(strengths)
        reduced = self._reduced(self._normal())
        return result_of(
            self.data,
            self.parameters,
            reduced,
            values=self.state.values,
            gains=self._gains(self.state.values),
            start=self.start,
            predicted=self._predicted(self.state),
            history=tuple(self.history),
            converged=self.converged,
        )

    def _damped(self, normal: Normal, before: _State) -> _State:
        """Return a better state, with as little damping as it takes."""
        matrix, gradient = self._with_priors(normal, before.values)
        damping = before.damping
        while damping <= LARGEST_DAMPING:
            step = damped_step(
                matrix, gradient, damping, scaled=self.options.solver == "scaled_lm"
            )
            try:
                found = self._state(before.values + step)
            except BeamLost:
                found = None
            if found is not None and found.chi2 < before.chi2:
                found.damping = damping / DAMPING_FACTOR
                return found
            damping *= DAMPING_FACTOR
        return self._state(before.values)

    def _state(self, values: FloatArray) -> _State:
        self.model.set(self.parameters.split(values)[0])
        state = _State(values, self.model.linear(), 0.0)
        state.chi2 = self._chi2(values, self._predicted(state))
        return state

    def _chi2(self, values: FloatArray, predicted: FloatArray) -> float:
        known = (values - self.start) / self.parameters.prior
        return float((self.data.residuals(predicted) ** 2).sum() + (known**2).sum())

    def _gains(self, values: FloatArray) -> Gains:
        return self.parameters.gains(values, self.ideal)

    def _predicted(self, state: _State) -> FloatArray:
        gains = self._gains(state.values)
        return shown(gains.bpm, kicked(state.linear, gains))

    def _normal(self) -> Normal:
        return normal_equations(
            self.data,
            self.state.linear,
            self.model.factors(),
            self._gains(self.state.values),
            self.parameters,
        )

    def _with_priors(
        self, normal: Normal, values: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        weight = 1 / self.parameters.prior**2
        gradient = normal.gradient - weight * (values - self.start)
        return normal.matrix + np.diag(weight), gradient

    def _reduced(self, normal: Normal) -> Reduced:
        matrix, gradient = self._with_priors(normal, self.state.values)
        count = len(self.parameters.strengths)
        prior = self.parameters.prior[count:]
        return Reduced(matrix, gradient, count, self.options.cut, prior)
