"""What taking fitted errors out of a machine changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.names import FloatArray


@dataclass(frozen=True)
class AppliedLoco:
    """Strengths before and after.

    Attributes:
        strengths: Names of the magnets that were set, the first of those in series.
        before: Their strengths, (n,).
        after: The same, (n,).
        model_version: The fit.
        is_preview: Whether nothing was moved.
        uid: Run; ``restore_machine(machine, uid)`` undoes it.
    """

    strengths: tuple[str, ...]
    before: FloatArray
    after: FloatArray
    model_version: str
    is_preview: bool
    uid: str = ""

    @property
    def changes(self) -> FloatArray:
        """Relative change of each strength; the change itself where it was 0, (n,)."""
        scale = np.where(self.before == 0.0, 1.0, self.before)
        return (self.after - self.before) / scale
