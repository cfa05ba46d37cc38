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
        beta_beat: What the fitted model says of the machine, β over that of the design
            minus 1, (n_bpm, 2).
        predicted: The same after the change.
        model_version: The fit.
        is_preview: Whether nothing was moved.
        uid: Run; ``restore_machine(machine, uid)`` undoes it.
    """

    strengths: tuple[str, ...]
    before: FloatArray
    after: FloatArray
    beta_beat: FloatArray
    predicted: FloatArray
    model_version: str
    is_preview: bool
    uid: str = ""

    @property
    def changes(self) -> FloatArray:
        """Relative change of each strength; the change itself where it was 0, (n,)."""
        scale = np.where(self.before == 0.0, 1.0, self.before)
        return (self.after - self.before) / scale

    def summary(self) -> str:
        """Return what is changed and what that does, in a few lines."""
        tense = "would change" if self.is_preview else "changed"
        largest = 100 * float(np.abs(self.changes).max())
        before, after = (
            100 * beat.std(axis=0) for beat in (self.beta_beat, self.predicted)
        )
        return (
            f"{len(self.strengths)} strengths {tense}, by {largest:.3f} % at the most\n"
            f"beta beat {before[0]:.2f} % and {before[1]:.2f} % rms, "
            f"predicted {after[0]:.2f} % and {after[1]:.2f} %"
        )
