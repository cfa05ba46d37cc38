"""Linear optics at named places, as a model predicts them or a measurement finds."""

from __future__ import annotations

from dataclasses import dataclass

from acctwin.names import FloatArray


@dataclass(frozen=True)
class LocalOptics:
    """Linear optics at some devices: at a monitor, or averaged along a magnet.

    Attributes:
        names: The devices.
        s: Position, of a magnet's middle [m], (n,).
        length: Of each device [m], 0 for a monitor, (n,).
        beta: Mean over the length [m], (n, 2).
        alpha: At the entrance, (n, 2).
        phase: Phase advance from the beginning, at a magnet's middle [rad], (n, 2).
        dispersion: Mean eta_x, eta_y [m], (n, 2).
        tunes: Whole tunes, integer part included, (2,).
    """

    names: tuple[str, ...]
    s: FloatArray
    length: FloatArray
    beta: FloatArray
    alpha: FloatArray
    phase: FloatArray
    dispersion: FloatArray
    tunes: FloatArray
