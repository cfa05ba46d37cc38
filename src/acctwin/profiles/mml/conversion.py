"""From HW2Physics parameters to what a current excites in a magnet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, cast

import numpy as np
from numpy.polynomial import Polynomial as PowerSeries

from acctwin.calibration.curves import Curve, Linear, Polynomial
from acctwin.errors import CalibrationError
from acctwin.names import Component
from acctwin.profiles.mml.values import column, function_name, matrix, text

#: MML's own function: a polynomial of the current, divided by Bρ.
AMP2K: Final = "amp2k"

#: Coefficients c₀, c₁, … of a device's integrated field over its current [A].
Coefficients = tuple[float, ...]


def integrated_fields(
    field: Mapping[str, Any],
    component: Component,
    lengths: list[float],
    rigidity: float,
) -> list[Coefficients] | str:
    """Return the field of each device of a family, or why it is not known.

    strength = field / (Bρ · length), in pyAT's units; ``lengths`` has 1 where the
    strength is integrated. A gain is what MML multiplies a current with; ``amp2k``
    is a polynomial, highest power first, that it divides by Bρ. Currents are
    corrected first: Gain · (current − Offset).

    Args:
        field: The Setpoint of a family.
        component: What its magnets are.
        lengths: Of each device [m].
        rigidity: Bρ [T m].
    """
    unit = text(field.get("PhysicsUnits")).lower()
    if component in ("hkick", "vkick", "angle") and unit and not unit.startswith("rad"):
        return f"its physics unit is {unit!r}, wanted radian"
    rows = len(lengths)
    name = function_name(field.get("HW2PhysicsFcn"))
    params = field.get("HW2PhysicsParams")
    if name and name.lower() != AMP2K:
        return (
            f"its HW2PhysicsFcn {name!r} is a function of Matlab; write what it gives "
            "into curves.csv as a table"
        )
    if name:
        found = _amp2k(params, rows, component)
        scale = lengths
    else:
        found = _gains(params, rows)
        scale = [rigidity * length for length in lengths]
    if isinstance(found, str):
        return found
    gain = column(field.get("Gain", 1.0), rows)
    offset = column(field.get("Offset", 0.0), rows)
    if gain is None or offset is None:
        return f"Gain or Offset does not fit its {rows} devices"
    return [
        tuple(float(c) for c in (factor * curve(PowerSeries([-g * o, g]))).trim().coef)
        for factor, curve, g, o in zip(scale, found, gain, offset, strict=True)
    ]


def curve_of(coefficients: Coefficients, low: float, high: float) -> Curve | str:
    """Return a curve over a range of currents [A], or why there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"its Range {low:g} to {high:g} has no end"
    try:
        if len(coefficients) == 2:
            return Linear(coefficients[1], coefficients[0], low, high)
        return Polynomial(coefficients, low, high)
    except CalibrationError as error:
        return str(error)


def _gains(params: Any, rows: int) -> list[PowerSeries] | str:
    if params is None:
        return "it has no HW2PhysicsParams, so what a current does is not known"
    given = matrix(params, rows)
    if given is None:
        return f"HW2PhysicsParams does not fit its {rows} devices"
    return [PowerSeries([0.0, float(gain)]) for gain in given[:, 0]]


def _amp2k(params: Any, rows: int, component: Component) -> list[PowerSeries] | str:
    if component == "angle":
        return "amp2k gives the curvature of a bend, not its angle"
    cells = cast("list[Any]", params) if isinstance(params, list) else []
    given = matrix(cells[0], rows) if cells else None
    if given is None:
        return (
            "amp2k wants a cell with coefficients, a row for each of its "
            f"{rows} devices, and a scale factor"
        )
    scale = column(cells[1] if len(cells) > 1 else 1.0, rows)
    if scale is None or not np.all(scale):
        return "the scale factor of amp2k does not fit its devices"
    return [
        PowerSeries(row[::-1])(PowerSeries([0.0, 1.0 / factor]))
        for row, factor in zip(given, scale, strict=True)
    ]
