"""The design model, as plans and sessions ask it: by name, never by index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.errors import UnknownName
from acctwin.model.engine import Engine
from acctwin.names import FloatArray


class Design:
    """Predictions of an engine that knows no errors.

    Args:
        engine: The design model's engine; it is asked only when it is needed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def orbit_response(
        self, monitors: Sequence[str], actuators: Sequence[str]
    ) -> FloatArray:
        """Return d(x at the monitors, then y)/d(actuator).

        Args:
            monitors: BPMs, by profile name.
            actuators: Kick magnets by profile name, or ``"rf"``.

        Returns:
            Matrix [m/rad], or [m/Hz] for the RF, (2·n_monitors, n_actuators).

        Raises:
            UnknownName: A monitor or an actuator that the model does not have.
        """
        known = self._engine.layout.monitors
        index = {name: i for i, name in enumerate(known)}
        for name in monitors:
            if name not in index:
                raise UnknownName("monitor of the model", name, known)
        rows = np.array([index[name] for name in monitors], dtype=np.int64)
        matrix = self._engine.orbit_response(list(actuators))
        return matrix[np.concatenate([rows, rows + len(known)])]

    def setpoints(self, knobs: Sequence[str]) -> FloatArray:
        """Return the strengths that magnets have in the design.

        Args:
            knobs: Magnets by profile name, or ``"rf"``.

        Returns:
            Strengths in each knob's unit, Hz for the RF, (n_knobs,).

        Raises:
            UnknownName: A knob that the model does not have.
        """
        layout = self._engine.layout
        index = {name: i for i, name in enumerate(layout.knobs)}
        for name in knobs:
            if name not in index:
                raise UnknownName("knob of the model", name, layout.knobs)
        return layout.values[[index[name] for name in knobs]]
