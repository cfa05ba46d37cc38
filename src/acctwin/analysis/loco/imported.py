"""A response that was measured with another program, and what that one found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acctwin.analysis.loco.data import LocoData
from acctwin.names import FloatArray


@dataclass(frozen=True)
class ImportedLoco:
    """A response as it was taken over.

    Attributes:
        whole: All that was taken over.
        uid: Run that it is stored in.
    """

    whole: LocoData
    uid: str = ""

    def data(self, without: Sequence[str] = ()) -> LocoData:
        """Return what LOCO fits, but for BPMs and actuators with these names."""
        known = {*self.whole.monitors, *self.whole.actuators}
        return self.whole.without([name for name in without if name in known])


@dataclass(frozen=True)
class Answers:
    """Something that two programs have fitted to the same response.

    Attributes:
        what: What it is, with its unit.
        names: Devices, (n,).
        theirs: What the other program has found, (n,).
        ours: What acctwin has, (n,).
    """

    what: str
    names: tuple[str, ...]
    theirs: FloatArray
    ours: FloatArray

    @property
    def rms(self) -> tuple[float, float, float]:
        """Rms of theirs, of ours, and of the difference; means taken out."""
        difference = self.ours - self.theirs
        found = [one.std() for one in (self.theirs, self.ours, difference)]
        return float(found[0]), float(found[1]), float(found[2])


@dataclass(frozen=True)
class BothAnswers:
    """Two fits of the same response.

    Attributes:
        answers: What both have fitted.
        chi2_dof: χ² per degree of freedom: theirs and ours; NaN: not known.
    """

    answers: tuple[Answers, ...]
    chi2_dof: tuple[float, float]

    def summary(self) -> str:
        """Return rms figures in a table, one a line."""
        head = f"{'':30}{'n':>6}{'theirs':>12}{'ours':>12}{'difference':>12}"
        lines = [head]
        for one in self.answers:
            figures = "".join(f"{value:12.5f}" for value in one.rms)
            lines.append(f"{one.what + ', rms':30}{len(one.names):6}{figures}")
        theirs, ours = self.chi2_dof
        lines.append(f"{'chi2/dof':36}{theirs:12.4f}{ours:12.4f}")
        return "\n".join(lines)


def spread_of(pairs: dict[str, tuple[float, float]], what: str) -> Answers | None:
    """Return answers by device; None if there is no device with both.

    Args:
        pairs: Theirs and ours of each device.
        what: What it is, with its unit.
    """
    if not pairs:
        return None
    both = np.array(list(pairs.values()), dtype=np.float64)
    return Answers(what, tuple(pairs), both[:, 0], both[:, 1])
