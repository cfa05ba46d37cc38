"""The injection efficiency from many shots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray


@dataclass(frozen=True)
class InjectionResult:
    """How much of what is injected survives.

    Attributes:
        efficiency: Mean of the shots, 0 to 1.
        sigma: Its standard error; NaN from a single shot.
        shots: Efficiency of each, (n,).
        uid: Run that holds them.
    """

    efficiency: float
    sigma: float
    shots: FloatArray
    uid: str = ""


def injection_of(shots: FloatArray, uid: str = "") -> InjectionResult:
    """Average shots.

    Args:
        shots: Efficiency of each, 0 to 1, (n,).
        uid: Run that holds them.
    """
    count = len(shots)
    spread = np.std(shots, ddof=1) / np.sqrt(count) if count > 1 else np.nan
    return InjectionResult(float(shots.mean()), float(spread), shots, uid)
