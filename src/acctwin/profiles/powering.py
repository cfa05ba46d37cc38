"""Faults between magnets and their supplies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from acctwin.calibration.groups import find_groups
from acctwin.calibration.pieces import outside
from acctwin.calibration.rigidity import rigidity
from acctwin.errors import CalibrationError, Fault, did_you_mean
from acctwin.profiles.profile import MagnetRow, SupplyRow
from acctwin.profiles.supplies import entries, map_of
from acctwin.profiles.supply_rows import SupplyLine


def unknown_supplies(
    magnets: Sequence[MagnetRow], lines: Sequence[SupplyLine]
) -> list[Fault]:
    """Return a fault for each line whose magnets are fed by a supply nobody has."""
    known = {name for line in lines for name in line.names}
    faults: dict[tuple[str, int], Fault] = {}
    for magnet in magnets:
        for feed in magnet.feeds:
            if feed.supply not in known and _line(magnet) not in faults:
                hint = did_you_mean(feed.supply, known)
                message = f"no supply is called {feed.supply!r}{hint}"
                faults[_line(magnet)] = magnet.origin.fault(message, "supply")
    return list(faults.values())


def idle_supplies(
    magnets: Sequence[MagnetRow], lines: Sequence[SupplyLine]
) -> list[Fault]:
    """Return a fault for each line with supplies that feed nothing."""
    fed = {feed.supply for magnet in magnets for feed in magnet.feeds}
    faults: list[Fault] = []
    for line in lines:
        idle = [name for name in line.names if name not in fed]
        if idle:
            more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
            message = f"no magnet is fed by {idle[0]!r}{more}"
            faults.append(line.row.cells["name"].fault(message))
    return faults


def power_faults(
    magnets: Sequence[MagnetRow], supplies: Sequence[SupplyRow], energy_ev: float
) -> list[Fault]:
    """Return what good magnets and supplies cannot do together.

    Args:
        magnets: All magnets.
        supplies: All supplies; those that feed the magnets are there.
        energy_ev: Beam energy [eV]; NaN if unknown because of a fault.
    """
    fed = [magnet for magnet in magnets if magnet.feeds]
    faults = _group_faults(fed, supplies)
    if faults or math.isnan(energy_ev):
        return faults
    try:
        return _reach_faults(fed, supplies, rigidity(energy_ev))
    except CalibrationError:
        return faults  # an energy below the rest mass: the YAML file has that fault


def _group_faults(
    fed: Sequence[MagnetRow], supplies: Sequence[SupplyRow]
) -> list[Fault]:
    """Return a fault for each line whose magnets cannot be set."""
    faults: dict[tuple[str, int], Fault] = {}
    for group in find_groups(entries(fed, supplies)):
        problem = group.problem()
        if problem:
            first = fed[group.magnets[0]]
            names = ", ".join(fed[m].name for m in group.magnets[:5])
            fault = first.origin.fault(f"{names}: {problem}", "supply")
            faults.setdefault(_line(first), fault)
    return list(faults.values())


def _reach_faults(
    fed: Sequence[MagnetRow], supplies: Sequence[SupplyRow], b_rho: float
) -> list[Fault]:
    """Return a fault for each line with limits that its supplies cannot reach."""
    low, high = map_of(fed, supplies).limits(b_rho)
    faults: list[Fault] = []
    seen: set[tuple[tuple[str, int], str]] = set()
    for column in ("low", "high"):
        wanted = np.array([getattr(magnet, column) for magnet in fed])
        for m in map(int, np.flatnonzero(outside(wanted, low, high))):
            magnet = fed[m]
            if (_line(magnet), column) in seen:
                continue
            seen.add((_line(magnet), column))
            names = " ".join(feed.supply for feed in magnet.feeds)
            message = (
                f"{magnet.name}: {column} {wanted[m]:g} {magnet.unit} cannot be "
                f"reached; {names} allows {low[m]:.6g} to {high[m]:.6g}"
            )
            faults.append(magnet.origin.fault(message, column))
    return faults


def _line(magnet: MagnetRow) -> tuple[str, int]:
    return magnet.origin.file, magnet.origin.line
