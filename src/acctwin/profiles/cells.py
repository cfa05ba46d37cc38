"""Cells of a table as numbers and states; what is wrong becomes a fault."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from acctwin.errors import Fault
from acctwin.profiles.tables import Cell
from acctwin.profiles.templates import TemplateError

T = TypeVar("T")


def parse_number(text: str) -> float:
    """Return a finite number, or NaN for anything else."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def read_number(cell: Cell | None, faults: list[Fault]) -> float:
    """Return the number in a cell; NaN, with a fault, if there is none."""
    if cell is None:
        return math.nan
    value = parse_number(cell.text)
    if math.isnan(value):
        message = f"bad number {cell.text!r}; write a finite number such as 2.5e-4"
        faults.append(cell.fault(message))
    return value


def read_status(cell: Cell | None, faults: list[Fault]) -> bool:
    """Return whether a device is in use."""
    if cell is None:
        return False
    if cell.text not in ("0", "1"):
        message = f"status {cell.text!r} must be 1 (in use) or 0 (left out)"
        faults.append(cell.fault(message))
    return cell.text == "1"


def attempt(action: Callable[[], T], cell: Cell, faults: list[Fault]) -> T | None:
    """Return what an action returns; a template error becomes a fault at a cell."""
    try:
        return action()
    except TemplateError as error:
        faults.append(cell.fault(str(error)))
        return None


def check_limits(low: float, high: float, tolerance: float) -> list[tuple[str, str]]:
    """Return what is wrong with limits and tolerance, as (which, message).

    A NaN stands for a number that has a fault already: it is not compared.
    """
    wrong: list[tuple[str, str]] = []
    if low >= high:
        wrong.append(("low", f"low {low:g} is not below high {high:g}"))
    if tolerance <= 0:
        wrong.append(("tolerance", f"tolerance {tolerance:g} must be above 0"))
    return wrong


def check_numbers(
    low: float, high: float, tolerance: float, delta: float
) -> list[tuple[str, str]]:
    """Return what is wrong with limits, tolerance and step, as (which, message)."""
    wrong = check_limits(low, high, tolerance)
    if low < high and delta > high - low:
        message = f"delta {delta:g} is outside the limits {low:g} … {high:g}"
        wrong.append(("delta", message))
    if delta <= 0:
        wrong.append(("delta", f"delta {delta:g} must be above 0"))
    return wrong
