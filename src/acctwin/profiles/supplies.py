"""From a profile to the calibration of its magnets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acctwin.calibration.links import Links
from acctwin.calibration.supplies import SupplyMap
from acctwin.errors import UnknownName
from acctwin.profiles.profile import MagnetRow, Profile, SupplyRow


def supply_map(profile: Profile) -> SupplyMap:
    """Return the calibration of all magnets of a machine that supplies feed.

    Magnets and supplies are in the order of the profile's tables. A magnet without a
    supply is not in it; a machine without supplies has an empty one.
    """
    return map_of(profile.magnets, profile.supplies)


def map_of(magnets: Sequence[MagnetRow], supplies: Sequence[SupplyRow]) -> SupplyMap:
    """Return the calibration of those magnets that are fed.

    Raises:
        CalibrationError: The magnets of a group cannot be set.
        UnknownName: A magnet is fed by a supply that is not there.
    """
    fed = [magnet for magnet in magnets if magnet.feeds]
    return SupplyMap(
        supplies=tuple(supply.name for supply in supplies),
        magnets=tuple(magnet.name for magnet in fed),
        curves=tuple(supply.curve for supply in supplies),
        weights=Links.of(entries(fed, supplies), (len(fed), len(supplies))),
        length=np.array([magnet.length for magnet in fed]),
        low=np.array([supply.low for supply in supplies]),
        high=np.array([supply.high for supply in supplies]),
        units=tuple(magnet.unit for magnet in fed),
    )


def entries(
    magnets: Sequence[MagnetRow], supplies: Sequence[SupplyRow]
) -> list[tuple[int, int, float]]:
    """Return magnet, supply and weight of each connection, by position.

    Raises:
        UnknownName: A magnet is fed by a supply that is not there.
    """
    number = {supply.name: s for s, supply in enumerate(supplies)}
    found: list[tuple[int, int, float]] = []
    for m, magnet in enumerate(magnets):
        for feed in magnet.feeds:
            if feed.supply not in number:
                raise UnknownName("supply", feed.supply, number)
            found.append((m, number[feed.supply], feed.weight))
    return found
