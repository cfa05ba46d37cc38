"""Lines of magnets.csv, supplies.csv and curves.csv from the families of a set-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from acctwin.calibration.curves import Curve
from acctwin.names import COMPONENT_UNITS, Component
from acctwin.profiles.mml.conversion import Coefficients, curve_of, integrated_fields
from acctwin.profiles.mml.families import Device, magnet_kind
from acctwin.profiles.mml.report import Notes
from acctwin.profiles.mml.setup import MmlFamily
from acctwin.profiles.mml.values import column, pairs, texts

#: What is taken where a set-up does not say: fractions of the range, and its time [s].
TOLERANCE, STEP, RAMP_S = 1e-3, 1e-2, 20.0

#: Fields of two devices on one channel are alike if they are, to this fraction.
ALIKE = 1e-9

Line = dict[str, str]


@dataclass
class MagnetTables:
    """Lines of the three tables, and what has been used for them."""

    magnets: list[Line] = field(default_factory=list[Line])
    supplies: list[Line] = field(default_factory=list[Line])
    curves: list[Line] = field(default_factory=list[Line])
    _curve_names: dict[tuple[Any, ...], str] = field(
        default_factory=dict[tuple[Any, ...], str]
    )

    def curve(self, family: str, key: tuple[Any, ...]) -> str:
        """Return the name of a curve; the same for the same numbers."""
        if key not in self._curve_names:
            number = 1 + sum(
                n.split("-")[0] == family for n in self._curve_names.values()
            )
            name = family if number == 1 else f"{family}-{number}"
            self._curve_names[key] = name
            self.curves.append(_curve_line(name, key))
        return self._curve_names[key]


@dataclass(frozen=True)
class _Supply:
    """One channel of a family and the device that is first on it."""

    name: str
    fields: Coefficients
    curve: Curve
    low: float
    high: float


def add_magnets(
    tables: MagnetTables,
    family: MmlFamily,
    devices: Sequence[Device],
    rows: int,
    rigidity: float,
    taken: set[str],
    notes: Notes,
) -> int:
    """Add the lines of a family of magnets; return how many devices it has given.

    Args:
        tables: Where the lines go.
        family: The family.
        devices: Those that are in the lattice.
        rows: How many the family's lists have.
        rigidity: Bρ [T m].
        taken: Names that are used; those of the supplies are added.
        notes: Where what is left out is added.
    """
    kind = magnet_kind(family)
    if kind is None or not devices:
        return 0
    lengths = [1.0] * rows
    for device in devices:
        if unit_of(device, kind[1]) != COMPONENT_UNITS[kind[1]][1]:
            lengths[device.row] = device.spot.length
    setpoint = family.field("Setpoint")
    fields = integrated_fields(setpoint, kind[1], lengths, rigidity)
    ranges = pairs(setpoint.get("Range"), rows)
    if isinstance(fields, str) or ranges is None:
        reason = fields if isinstance(fields, str) else "it has no Range that fits"
        notes.add("left out", family.name, reason, "Setpoint")
        return 0
    work = _Work(
        tables=tables,
        family=family,
        kind=kind,
        fields=fields,
        ranges=ranges,
        scale=[1.0 / (rigidity * length) for length in lengths],
        numbers=_Numbers(family.name, setpoint, ranges, rows, notes),
        channels=_channels(setpoint, devices, rows, taken),
    )
    count = 0
    for device in devices:
        problem = work.add(device)
        if problem:
            notes.add("left out", f"{family.name} ({device.name})", problem)
        count += not problem
    taken.update(work.supplies)
    return count


def unit_of(device: Device, component: Component) -> str:
    """Return the unit of a magnet's strength: thin if its elements have no length."""
    thick, thin = COMPONENT_UNITS[component]
    return thick if device.spot.length > 0.0 else thin


class _Numbers:
    """Tolerance, step and ramp of each device of a family, in hardware units."""

    def __init__(
        self,
        family: str,
        setpoint: Mapping[str, Any],
        ranges: list[tuple[float, float]],
        rows: int,
        notes: Notes,
    ) -> None:
        span = [high - low for low, high in ranges]

        def given(name: str, fraction: float, words: str) -> list[float]:
            found = column(setpoint.get(name), rows) or [np.nan] * rows
            good = [0.0 < abs(n) < np.inf for n in found]
            if not all(good):
                part = f"Setpoint.{name}"
                notes.add("assumed", family, f"not there, or 0: {words}", part)
            return [
                abs(n) if is_good else fraction * width
                for n, is_good, width in zip(found, good, span, strict=True)
            ]

        self.tolerance = given("Tolerance", TOLERANCE, "0.1 % of the range is taken")
        self.delta = given("DeltaRespMat", STEP, "1 % of the range is taken")
        self.ramp = given(
            "RampRate", 1.0 / RAMP_S, f"the range in {RAMP_S:g} s is taken"
        )

    def of(self, row: int, supply: _Supply, factor: float) -> Line:
        """Return limits, tolerance and step of a magnet, in its own unit.

        Args:
            row: Of the family's lists.
            supply: What feeds it.
            factor: Its strength for its supply's excitation.
        """
        ends = factor * np.asarray(supply.curve.value([supply.low, supply.high]))
        currents = np.linspace(supply.low, supply.high, 101)
        slopes = np.abs(factor * np.asarray(supply.curve.slope(currents)))
        low, high = float(ends.min()), float(ends.max())
        delta = self.delta[row] * (high - low) / (supply.high - supply.low)
        return {
            "low": repr(low),
            "high": repr(high),
            "tolerance": f"{self.tolerance[row] * float(slopes.max()):.6g}",
            "delta": f"{min(delta, high - low):.6g}",
        }


@dataclass(frozen=True)
class _Work:
    """One family on its way into the tables; lists have an item for each row of it."""

    tables: MagnetTables
    family: MmlFamily
    kind: tuple[str, Component]
    fields: list[Coefficients]
    ranges: list[tuple[float, float]]
    scale: list[float]
    numbers: _Numbers
    channels: list[str]
    supplies: dict[str, _Supply] = field(default_factory=dict[str, _Supply])

    def add(self, device: Device) -> str | None:
        """Add a device and its supply; or return why it cannot be."""
        row, channel = device.row, self.channels[device.row]
        supply = self.supplies.get(channel)
        if supply is None:
            made = _supply(channel, self.fields[row], self.ranges[row])
            if isinstance(made, str):
                return made
            supply = self.supplies[channel] = made
            line = _supply_line(self.tables, self.family, made, device, self.numbers)
            self.tables.supplies.append(line)
        weight = _weight(self.fields[row], supply.fields)
        if weight is None:
            return f"it shares the channel {channel!r}, with a curve of another form"
        self.tables.magnets.append(
            _magnet_line(self.family, *self.kind, device, supply, weight)
            | self.numbers.of(row, supply, weight * self.scale[row])
        )
        return None


def _channels(
    setpoint: Mapping[str, Any], devices: Sequence[Device], rows: int, taken: set[str]
) -> list[str]:
    """Return the name of each device's supply: devices on one channel share it."""
    words = texts(setpoint.get("ChannelNames")) or texts(setpoint.get("TangoNames"))
    own = {device.row: f"{device.name}/PS" for device in devices}
    if len(words) != rows or any(set(' *,{}"') & set(word) for word in words):
        return [own.get(row, "") for row in range(rows)]
    return [
        own.get(row, "") if not word or word in taken else word
        for row, word in enumerate(words)
    ]


def _supply(
    name: str, fields: Coefficients, limits: tuple[float, float]
) -> _Supply | str:
    curve = curve_of(fields, *limits)
    return curve if isinstance(curve, str) else _Supply(name, fields, curve, *limits)


def _weight(fields: Coefficients, first: Coefficients) -> float | None:
    """Return how many times as much a device gets as the first one; None if unlike."""
    if len(fields) != len(first):
        return None
    mine, its = np.array(fields), np.array(first)
    weight = float(mine @ its / (its @ its))
    alike = np.allclose(mine, weight * its, rtol=ALIKE, atol=0.0)
    if not alike or not weight:
        return None
    return 1.0 if abs(weight - 1.0) < ALIKE else weight


def _supply_line(
    tables: MagnetTables,
    family: MmlFamily,
    supply: _Supply,
    device: Device,
    numbers: _Numbers,
) -> Line:
    key = (supply.fields, supply.low, supply.high)
    return {
        "name": supply.name,
        "count": "1",
        "unit": "A",
        "low": repr(supply.low),
        "high": repr(supply.high),
        "tolerance": f"{numbers.tolerance[device.row]:.9g}",
        "ramp_a_per_s": f"{numbers.ramp[device.row]:.9g}",
        "curve": tables.curve(family.name, key),
        "status": "1",
    }


def _curve_line(name: str, key: tuple[Any, ...]) -> Line:
    fields, low, high = key
    is_linear = len(fields) == 2
    values = [fields[1], fields[0]] if is_linear else list(fields)
    return {
        "name": name,
        "kind": "linear" if is_linear else "polynomial",
        "low": repr(low),
        "high": repr(high),
        "values": " ".join(repr(value) for value in values),
    }


def _magnet_line(
    family: MmlFamily,
    standard: str,
    component: Component,
    device: Device,
    supply: _Supply,
    weight: float,
) -> Line:
    unit = unit_of(device, component)
    is_integrated = unit == COMPONENT_UNITS[component][1]
    return {
        "name": device.name,
        "families": " ".join(dict.fromkeys([family.name, standard])),
        "element": device.spot.text,
        "component": component,
        "unit": unit,
        "status": str(int(device.status)),
        "supply": supply.name if weight == 1.0 else f"{supply.name}*{weight!r}",
        "length_m": "-" if is_integrated else repr(device.spot.length),
    }
