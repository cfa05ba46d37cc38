"""A measured response, with what is known of its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from acctwin.errors import PlanError
from acctwin.names import BoolArray, FloatArray


@dataclass(frozen=True)
class LocoData:
    """What LOCO fits.

    The standard error of an entry is ``row_sigma · column_sigma``: the noise of a BPM,
    over the step of an actuator.

    Attributes:
        monitors: The BPMs.
        actuators: The correctors, and ``"rf"`` if the dispersion is fitted too.
        matrix: d(x at all BPMs, then y)/d(actuator), (2·n_monitors, n_actuators).
        row_sigma: (2·n_monitors,).
        column_sigma: (n_actuators,).
        good: Which entries are fitted, (2·n_monitors, n_actuators).
    """

    monitors: tuple[str, ...]
    actuators: tuple[str, ...]
    matrix: FloatArray
    row_sigma: FloatArray
    column_sigma: FloatArray
    good: BoolArray

    def __post_init__(self) -> None:
        rows, columns = 2 * len(self.monitors), len(self.actuators)
        wanted = {
            "matrix": (rows, columns),
            "row_sigma": (rows,),
            "column_sigma": (columns,),
            "good": (rows, columns),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise PlanError(f"{name} of a LOCO fit is {found}, wanted {shape}")
        for name in ("row_sigma", "column_sigma"):
            values = getattr(self, name)
            bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
            if len(bad):
                raise PlanError(
                    f"{name} of a LOCO fit is not positive at {bad[:5].tolist()}: "
                    "measure the noise, or leave these out"
                )
        if not np.isfinite(self.matrix[self.good]).all():
            raise PlanError("the matrix of a LOCO fit has entries that are no numbers")

    @property
    def has_rf(self) -> BoolArray:
        """Which actuators are the RF frequency, (n_actuators,)."""
        return np.array([name == "rf" for name in self.actuators], dtype=bool)

    @property
    def row_weight(self) -> FloatArray:
        """1/row_sigma, (2·n_monitors,)."""
        return 1 / self.row_sigma

    @property
    def column_weight(self) -> FloatArray:
        """1/column_sigma, (n_actuators,)."""
        return 1 / self.column_sigma

    def residuals(self, predicted: FloatArray) -> FloatArray:
        """Return measured − predicted over its standard error; 0 where not fitted."""
        weight = np.outer(self.row_weight, self.column_weight)
        return np.where(self.good, (self.matrix - predicted) * weight, 0.0)

    def without(self, names: Sequence[str]) -> LocoData:
        """Leave out BPMs and actuators.

        Raises:
            PlanError: Nothing has such a name.
        """
        for name in names:
            if name not in (*self.monitors, *self.actuators):
                raise PlanError(f"there is no BPM or actuator {name} to leave out")
        kept = np.array([name not in names for name in self.monitors], dtype=bool)
        rows = np.concatenate([kept, kept])
        columns = np.array([name not in names for name in self.actuators], dtype=bool)
        return LocoData(
            tuple(name for name in self.monitors if name not in names),
            tuple(name for name in self.actuators if name not in names),
            self.matrix[rows][:, columns],
            self.row_sigma[rows],
            self.column_sigma[columns],
            self.good[rows][:, columns],
        )

    def with_dispersion(self, weight: float) -> LocoData:
        """Let the dispersion count more, or less, than its errors say.

        Args:
            weight: Its errors are taken for this times smaller; 0: it is left out.

        Raises:
            PlanError: There is no dispersion to weigh, or the weight is negative.
        """
        if not (np.isfinite(weight) and weight >= 0):
            raise PlanError(f"the weight of the dispersion is 0 or more, not {weight}")
        if weight == 1.0:
            return self
        if not self.has_rf.any():
            raise PlanError(
                "there is no dispersion to weigh: measure with the RF, or leave "
                "dispersion_weight at 1"
            )
        if weight == 0.0:
            return replace(self, good=self.good & ~self.has_rf)
        sigma = np.where(self.has_rf, self.column_sigma / weight, self.column_sigma)
        return replace(self, column_sigma=sigma)

    def without_outliers(self, predicted: FloatArray, factor: float) -> LocoData:
        """Leave out entries that are far from a prediction.

        Args:
            predicted: (2·n_monitors, n_actuators).
            factor: Of the rms residual of what is fitted; tested twice, so that one
                large error does not hide others.
        """
        residuals, good = self.residuals(predicted), self.good.copy()
        for _ in range(2):
            kept = residuals[good]
            far = np.abs(residuals - kept.mean()) > factor * kept.std()
            good &= ~far
        return replace(self, good=good)
