"""An engine as a fit of an orbit response sees it; satisfies ``loco.Model``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.analysis.loco import Linear
from acctwin.model.engine import Engine
from acctwin.names import FloatArray, IntArray


class FittedModel:
    """Some knobs of an engine to be fitted to some monitors and actuators.

    Args:
        engine: The engine; it is changed by the fit.
        monitors: Names of the monitors.
        actuators: Names of kick knobs, and ``"rf"``.
        strengths: Names of b1 and a1 knobs.
    """

    def __init__(
        self,
        engine: Engine,
        monitors: Sequence[str],
        actuators: Sequence[str],
        strengths: Sequence[str],
    ) -> None:
        self._engine, self._actuators = engine, list(actuators)
        self._monitors, self._strengths = list(monitors), tuple(strengths)
        layout = engine.layout
        place = {name: i for i, name in enumerate(layout.monitors)}
        self._which = np.array([place[name] for name in monitors], dtype=np.int64)
        self._rows = np.concatenate([self._which, self._which + len(place)])
        knobs = {name: i for i, name in enumerate(layout.knobs)}
        self._knobs: IntArray = np.array([knobs[name] for name in strengths], dtype=int)

    @property
    def strengths(self) -> tuple[str, ...]:
        """Names of what can be fitted."""
        return self._strengths

    @property
    def start(self) -> FloatArray:
        """Present strengths, (n_strengths,)."""
        return self._engine.values()[self._knobs]

    def set(self, values: FloatArray) -> None:
        """Change the strengths, (n_strengths,)."""
        self._engine.set(self._knobs, values)

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
        return self._engine.gradient_factors(
            self._monitors, self._actuators, self._strengths
        )
