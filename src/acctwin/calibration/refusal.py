"""What is said when supplies cannot do what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from acctwin.errors import LimitError
from acctwin.names import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from acctwin.calibration.supplies import SupplyMap

_MOST_NAMED = 5


def out_of_curve(
    supply_map: SupplyMap, given: FloatArray, wrong: BoolArray
) -> LimitError:
    """Return the error for currents outside their curves."""
    low, high = supply_map.stack.domain
    found = np.flatnonzero(wrong)
    lines = [
        f"{supply_map.supplies[s]}: {given[s]:.9g} A is outside its curve, "
        f"{low[s]:.9g} to {high[s]:.9g} A"
        for s in found[:_MOST_NAMED]
    ]
    return LimitError(_joined(lines, len(found)))


def out_of_reach(
    supply_map: SupplyMap,
    supplies: IntArray,
    asked: IntArray,
    wanted: FloatArray,
    rigidity: float,
) -> LimitError:
    """Return the error for strengths that some supplies cannot give."""
    wiring = supply_map.wiring
    low, high = supply_map.limits(rigidity)
    lines: list[str] = []
    for s in supplies[:_MOST_NAMED]:
        mine = wiring.magnet_group[asked] == wiring.supply_group[s]
        alone = "limits" if _is_alone(supply_map, s) else "alone"
        magnets = [
            f"{_wanted(supply_map, m, value)}, {alone} {low[m]:.9g} to {high[m]:.9g}"
            for m, value in zip(asked[mine], wanted[mine], strict=True)
        ]
        lines.append(
            f"{_joined(magnets[:_MOST_NAMED], len(magnets))} (supply "
            f"{supply_map.supplies[s]}, {supply_map.low[s]:.9g} to "
            f"{supply_map.high[s]:.9g} A)"
        )
    return LimitError(_joined(lines, len(supplies)) + "; nothing was moved")


def conflict(
    supply_map: SupplyMap,
    asked: IntArray,
    wanted: FloatArray,
    wrong: BoolArray,
) -> LimitError:
    """Return the error for magnets in series that are asked for different currents."""
    wiring = supply_map.wiring
    group = wiring.magnet_group[asked[wrong][0]]
    supply = int(np.flatnonzero(wiring.supply_group == group)[0])
    mine = wiring.magnet_group[asked] == group
    magnets = [
        _wanted(supply_map, m, value)
        for m, value in zip(asked[mine], wanted[mine], strict=True)
    ]
    return LimitError(
        f"{_joined(magnets[:_MOST_NAMED], len(magnets))}: they share the supply "
        f"{supply_map.supplies[supply]} and want different currents of it; set one "
        "of them, or the supply; nothing was moved"
    )


def _is_alone(supply_map: SupplyMap, supply: int) -> bool:
    group = supply_map.wiring.supply_group
    return int((group == group[supply]).sum()) == 1


def _wanted(supply_map: SupplyMap, magnet: int, value: float) -> str:
    unit = supply_map.units[magnet]
    return f"{supply_map.magnets[magnet]}: wanted {value:.9g} {unit}".rstrip()


def _joined(lines: Sequence[str], total: int) -> str:
    more = total - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")
