"""Orbit feedback: the next step within its limits, and what a run of it achieved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import BoolArray, FloatArray


@dataclass(frozen=True)
class FeedbackResult:
    """What an orbit feedback did.

    Attributes:
        rms_x: Horizontal rms from the goal in each cycle, before its step [m],
            (n_cycles,).
        rms_y: The same, vertical [m], (n_cycles,).
        beam_losses: How often there was no beam, and it waited.
        frozen: Knobs that were at a limit in some cycle, and did not move then.
        stopped: Why it ended, in words.
        uid: Run that holds the readings.
    """

    rms_x: FloatArray
    rms_y: FloatArray
    beam_losses: int
    frozen: tuple[str, ...]
    stopped: str
    uid: str = ""

    @property
    def cycles(self) -> int:
        """How many orbits were read."""
        return len(self.rms_x)


def limit_step(
    step: FloatArray,
    now: FloatArray,
    low: FloatArray,
    high: FloatArray,
    most: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    """Return a step that no knob makes too far, and which knobs are at a limit.

    A knob that would leave its limits stays where it is; what is left is made shorter
    as a whole, so that its pattern stays, until no knob moves further than allowed.

    Args:
        step: Wanted change of each knob, (n,).
        now: Where each knob is, (n,).
        low: Lower limits, (n,).
        high: Upper limits, (n,).
        most: Largest change of each knob, (n,).
    """
    room = np.minimum(1.0, np.min(most / np.maximum(np.abs(step), 1e-300), initial=1.0))
    short = step * room
    wanted = now + short
    is_at_limit = (wanted < low) | (wanted > high)
    return np.where(is_at_limit, 0.0, short), is_at_limit


def plane_rms(residuals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the rms in x and in y of each row of x then y, (n,) each.

    Args:
        residuals: Orbits minus goal [m], (n, 2·n_bpm).
    """
    x, y = np.split(np.square(residuals), 2, axis=1)
    return np.sqrt(x.mean(axis=1)), np.sqrt(y.mean(axis=1))
