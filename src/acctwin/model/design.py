"""The design model, as plans and sessions ask it: by name, never by index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.analysis.loco.gains import Linear
from acctwin.analysis.optics import LocalOptics
from acctwin.errors import UnknownName
from acctwin.model.engine import Engine
from acctwin.names import FloatArray, IntArray


class Design:
    """Predictions of an engine that knows no errors.

    Names are those of the profile. Every method raises
    :class:`acctwin.errors.UnknownName` for one that the model does not have.

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
        """
        rows, count = self._rows(monitors), len(self._engine.layout.monitors)
        matrix = self._engine.orbit_response(list(actuators))
        return matrix[np.concatenate([rows, rows + count])]

    def place_response(
        self, places: Sequence[str], actuators: Sequence[str]
    ) -> FloatArray:
        """Return d(x, px, y, py)/d(actuator) at some places.

        Args:
            places: BPMs, and magnets, of which the entrance is meant.
            actuators: Magnets, or ``"rf"``.

        Returns:
            [m or rad, per unit of the actuator], (4, n_places, n_actuators).
        """
        return self._engine.place_response(list(places), list(actuators))

    def optics(self, places: Sequence[str]) -> LocalOptics:
        """Return the optics at BPMs, or averaged along magnets.

        Args:
            places: BPMs and magnets.
        """
        return self._engine.local_optics(list(places))

    def beta_with(
        self, monitors: Sequence[str], knobs: Sequence[str], values: FloatArray
    ) -> FloatArray:
        """Return β that monitors would have with some magnets set differently.

        Args:
            monitors: BPMs.
            knobs: Magnets by profile name.
            values: Their strengths, (n_knobs,).

        Returns:
            x, y [m], (n_monitors, 2).
        """
        rows = self._rows(monitors)
        return self._engine.optics_with(list(knobs), values).beta[rows]

    def linear_with(
        self,
        monitors: Sequence[str],
        actuators: Sequence[str],
        knobs: Sequence[str],
        values: FloatArray,
    ) -> Linear:
        """Return responses that there would be with some magnets set differently.

        Args:
            monitors: BPMs.
            actuators: Kick magnets by profile name, or ``"rf"``.
            knobs: Magnets by profile name.
            values: Their strengths, (n_knobs,).

        Returns:
            At the monitors, x and then y, without gains.
        """
        rows, count = self._rows(monitors), len(self._engine.layout.monitors)
        rows = np.concatenate([rows, rows + count])
        whole = self._engine.linear_with(list(actuators), list(knobs), values)
        return Linear(whole.direct[rows], whole.crossed[rows], whole.dispersion[rows])

    def tunes(self) -> FloatArray:
        """Return qx, qy with integer part, and qs (0 without RF), (3,)."""
        return self._engine.tunes()

    def chromaticity(self) -> FloatArray:
        """Return dQ/dδ in x and y, (2,)."""
        return self._engine.chromaticity()

    def slip_factor(self) -> float:
        """Return η = αc − 1/γ²: δ = −(Δf/f)/η."""
        return self._engine.slip_factor()

    def circumference(self) -> float:
        """Return the length of the design orbit [m]."""
        return self._engine.layout.circumference

    def tune_response(self, magnets: Sequence[str]) -> FloatArray:
        """Return dQ/d(strength) of quadrupoles in x and y.

        Args:
            magnets: Magnets whose strength is b1.

        Returns:
            [1 per unit of the strength: m², or m for a thin magnet], (2, n).

        Raises:
            PlanError: The strength of a magnet is not b1.
        """
        return self._engine.tune_response(list(magnets))

    def chromaticity_response(self, magnets: Sequence[str]) -> FloatArray:
        """Return d(dQ/dδ)/d(strength) of sextupoles in x and y.

        Args:
            magnets: Magnets whose strength is b2.

        Returns:
            [1 per unit of the strength: m³, or m² for a thin magnet], (2, n).

        Raises:
            PlanError: The strength of a magnet is not b2.
        """
        return self._engine.chromaticity_response(list(magnets))

    def coupling_response(
        self,
        monitors: Sequence[str],
        actuators: Sequence[str],
        skews: Sequence[str],
    ) -> FloatArray:
        """Return d(orbit response)/d(strength) of skew quadrupoles.

        Args:
            monitors: BPMs.
            actuators: Kick magnets, or ``"rf"``.
            skews: Magnets whose strength is a1.

        Returns:
            x at all monitors, then y, (2·n_monitors, n_actuators, n_skews).

        Raises:
            PlanError: The strength of a skew is not a1.
        """
        return self._engine.coupling_response(
            list(monitors), list(actuators), list(skews)
        )

    def setpoints(self, knobs: Sequence[str]) -> FloatArray:
        """Return the strengths that magnets have in the design.

        Args:
            knobs: Magnets by profile name, or ``"rf"``.

        Returns:
            Strengths in each knob's unit, Hz for the RF, (n_knobs,).
        """
        layout = self._engine.layout
        index = {name: i for i, name in enumerate(layout.knobs)}
        for name in knobs:
            if name not in index:
                raise UnknownName("knob of the model", name, layout.knobs)
        return layout.values[[index[name] for name in knobs]]

    def _rows(self, monitors: Sequence[str]) -> IntArray:
        """Return the place of each monitor in the model."""
        known = self._engine.layout.monitors
        index = {name: i for i, name in enumerate(known)}
        for name in monitors:
            if name not in index:
                raise UnknownName("monitor of the model", name, known)
        return np.array([index[name] for name in monitors], dtype=np.int64)
