"""Xopt's RCDS with its line scan put right."""

from __future__ import annotations

from typing import Any

import numpy as np


def rcds_generator() -> type[Any]:
    """Return Xopt's RCDS generator, whose line scan uses what the bracketing found.

    After bracketing a minimum, RCDS scans the bracket at six points or more, and a
    point that was measured already is not to be measured again. Xopt 3.2.2 looks for
    these points by their value instead of their position, so it measures them again,
    or takes a value that happens to lie between the two positions for one of them.
    Here the scan begins with the right points; nothing else is changed.

    The classes are made when they are asked for: Xopt takes seconds to import.
    """
    from xopt.generators.sequential import rcds

    class LineSearch(rcds.GetMinAlongDirParabStateMachine):
        """Bracket a minimum, then scan."""

        @property
        def ls(self) -> Any:
            """The scan."""
            return self._scan

        @ls.setter
        def ls(self, scan: Any) -> None:
            if scan is not None:
                prepare_scan(scan)
            self._scan = scan

    class Powell(rcds.PowellMainStateMachine):
        """Search along one direction after the other."""

        @property
        def current_gmadp(self) -> Any:
            """The search that is going on."""
            return self._search

        @current_gmadp.setter
        def current_gmadp(self, plain: Any) -> None:
            self._search = None
            if plain is not None:
                self._search = LineSearch(
                    *(plain.x0, plain.f0, plain.dv, plain.Npmin, plain.step),
                    noise=plain.noise,
                )

    class Rcds(rcds.RCDSGenerator):
        """RCDS."""

        def reset(self) -> None:
            super().reset()
            plain = self._powell
            self._powell = Powell(plain.x0, plain.step, plain.Imat, plain.noise)
            self._powell.propose()
            self._powell.update_obj(plain.f0)

    return Rcds


def prepare_scan(scan: Any) -> None:
    """Give a line scan its positions, and the values that are known already.

    Each known point takes the place of the nearest position; of several, the last.

    Args:
        scan: A ``LineScanStateMachine`` of Xopt that has not begun: ``xflist_input``
            holds position and value of each known point, (n, 2).
    """
    if scan.phase != "setup" or not scan.alo < scan.ahi:
        return
    scan.Np = max(6, int(scan.Np))
    scan.delta = (scan.ahi - scan.alo) / (scan.Np - 1.0)
    scan.alist = np.linspace(scan.alo, scan.ahi, scan.Np)
    scan.flist = np.full(scan.Np, np.nan)
    for position, value in scan.xflist_input:
        if scan.alo <= position <= scan.ahi and np.isfinite(value):
            place = round((position - scan.alo) / scan.delta)
            scan.alist[place], scan.flist[place] = position, value
    scan.phase = "linescan_loop"
