"""An engine as a fit of an orbit response sees it; satisfies ``loco.Model``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.analysis.factors import Factors, merged
from acctwin.analysis.loco import Linear
from acctwin.analysis.loco.differences import difference_factors
from acctwin.model.engine import Engine
from acctwin.names import FloatArray, IntArray


class FittedModel:
    """Some strengths of an engine, to be fitted at some monitors and actuators.

    A strength is that of one knob, or of several that keep their ratios, such as
    magnets in series; it is then the strength of the first of them.

    Args:
        engine: The engine; it is changed by the fit.
        monitors: Names of the monitors.
        actuators: Names of kick knobs, and ``"rf"``.
        strengths: Names of the knobs of each strength.
        steps: Derivatives of a strength are taken by differences of so much to each
            side; 0: of its b1 and a1 knobs, by the engine's formula; (n_strengths,).
            Default: all by the formula.
    """

    def __init__(
        self,
        engine: Engine,
        monitors: Sequence[str],
        actuators: Sequence[str],
        strengths: Sequence[Sequence[str]],
        steps: FloatArray | None = None,
    ) -> None:
        self._engine, self._actuators = engine, list(actuators)
        self._monitors = list(monitors)
        self._names = [name for group in strengths for name in group]
        layout = engine.layout
        place = {name: i for i, name in enumerate(layout.monitors)}
        self._which = np.array([place[name] for name in monitors], dtype=np.int64)
        self._rows = np.concatenate([self._which, self._which + len(place)])
        knobs = {name: i for i, name in enumerate(layout.knobs)}
        self._knobs: IntArray = np.array([knobs[n] for n in self._names], dtype=int)
        sizes = [len(group) for group in strengths]
        self._first = np.cumsum([0, *sizes[:-1]])
        self._owner = np.repeat(np.arange(len(sizes)), sizes)
        self._strengths = tuple(group[0] for group in strengths)
        self._steps = np.zeros(len(strengths)) if steps is None else steps
        present = engine.values()[self._knobs]
        leaders = present[self._first][self._owner]
        is_set = leaders != 0.0
        self._ratio = np.where(is_set, present / np.where(is_set, leaders, 1.0), 1.0)

    @property
    def strengths(self) -> tuple[str, ...]:
        """Names of what can be fitted: the first knob of each strength."""
        return self._strengths

    @property
    def start(self) -> FloatArray:
        """Present strengths, (n_strengths,)."""
        return self._engine.values()[self._knobs][self._first]

    def set(self, values: FloatArray) -> None:
        """Change the strengths, (n_strengths,)."""
        self._engine.set(self._knobs, values[self._owner] * self._ratio)

    def linear(self) -> Linear:
        """Return the response.

        Raises:
            BeamLost: There is no stable motion.
        """
        direct = self._engine.orbit_response(self._actuators)
        crossed = self._engine.crossed_response(self._actuators)
        dispersion = self._engine.dispersion()[self._which]
        return Linear(direct[self._rows], crossed[self._rows], dispersion.T.ravel())

    def factors(self) -> Factors:
        """Return its derivatives to the strengths."""
        exact = self._steps[self._owner] == 0
        if not exact.any():
            return self._differences()
        names = [self._names[i] for i in np.flatnonzero(exact)]
        found = self._engine.gradient_factors(self._monitors, self._actuators, names)
        ratio = self._ratio[exact][found.owner][:, None, None]
        owner = self._owner[exact][found.owner]
        by_formula = Factors(
            owner, found.left * ratio, found.right, len(self._strengths)
        )
        return by_formula if exact.all() else merged(by_formula, self._differences())

    def _differences(self) -> Factors:
        """Return derivatives by differences; strengths are as before afterwards."""
        present = self.start

        def response(values: FloatArray) -> FloatArray:
            self.set(values)
            return self._engine.orbit_response(self._actuators)[self._rows]

        try:
            return difference_factors(response, present, self._steps)
        finally:
            self.set(present)
