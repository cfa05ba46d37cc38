"""The hidden truth of a simulated machine: for tests alone.

An import contract keeps everything else in ``acctwin`` from using this module.
"""

from __future__ import annotations

from typing import Any

from acctwin.model.imperfections import Errors
from acctwin.session.session import Session


def hidden_lattice(session: Session) -> Any:
    """Return a copy of the simulated machine's true lattice (``at.Lattice``).

    Strengths are the true ones, calibration errors included, as they are now.
    """
    sim = session._sim  # noqa: SLF001
    sim.send_pending()
    return sim.engine.submit("ring_copy").result()


def hidden_errors(session: Session) -> Errors:
    """Return what was drawn for the simulated machine."""
    return session._sim.errors  # noqa: SLF001
