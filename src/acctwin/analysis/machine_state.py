"""The state of a machine: all setpoints, what differs, what was put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from acctwin.names import BoolArray, FloatArray

_MOST_NAMED = 5


@dataclass(frozen=True)
class FamilyState:
    """Setpoints and readbacks of one family, or of one device.

    Attributes:
        family: Its name.
        devices: Its members, in s order.
        setpoints: Where they are set to, (n,).
        readbacks: Where they are, (n,).
        unit: Of all of them; ``"various"`` if they differ.
    """

    family: str
    devices: tuple[str, ...]
    setpoints: FloatArray
    readbacks: FloatArray
    unit: str


@dataclass(frozen=True)
class MachineState:
    """All setpoints of a machine at one time: strengths, the RF, and currents.

    Attributes:
        machine: Name of its profile.
        families: The standard magnet families, the RF, and the power supplies.
        time: When [s since 1970]; NaN for the design.
        note: What the operator wrote to it.
        uid: Run that holds it; empty for the design.
    """

    machine: str
    families: tuple[FamilyState, ...]
    time: float
    note: str = ""
    uid: str = ""

    def __getitem__(self, family: str) -> FamilyState:
        """Return the state of a family."""
        return {state.family: state for state in self.families}[family]

    @cached_property
    def setpoints(self) -> Mapping[str, float]:
        """Setpoint of every device, by its name."""
        return {
            name: float(value)
            for state in self.families
            for name, value in zip(state.devices, state.setpoints, strict=True)
        }


@dataclass(frozen=True)
class Device:
    """What a comparison knows of a device beside its setpoints.

    Attributes:
        family: The family it is listed under.
        unit: Of its setpoint.
        tolerance: Smaller differences do not count.
        span: From its lower to its upper limit.
        supply: The one supply that feeds it; empty: none, or several together.
    """

    family: str
    unit: str
    tolerance: float
    span: float
    supply: str = ""


@dataclass(frozen=True)
class Difference:
    """A setpoint that is not what it was.

    Attributes:
        device: Name of the device.
        family: The family it is listed under.
        saved: What was saved.
        now: What it is now.
        unit: Of both.
        tolerance: Smaller differences do not count.
        span: From the lower to the upper limit.
        supply: The one supply that feeds it; empty: none, or several together.
        saved_current: Of that supply, as saved [A]; NaN if not known.
        now_current: Of that supply, now [A]; NaN if not known.
    """

    device: str
    family: str
    saved: float
    now: float
    unit: str
    tolerance: float
    span: float
    supply: str = ""
    saved_current: float = np.nan
    now_current: float = np.nan

    @property
    def difference(self) -> float:
        """Now minus saved."""
        return self.now - self.saved


@dataclass(frozen=True)
class ComparisonResult:
    """What differs between a saved state and the machine.

    Attributes:
        differences: Strengths, and the RF, that differ by more than their tolerance.
        supplies: Currents of supplies that do [A].
        missing: Devices that were saved and that this machine does not have.
        not_saved: Devices of this machine that were not saved.
        saved_uid: Run that holds the saved state; empty: the design model.
        uid: Run that holds the present one.
    """

    differences: tuple[Difference, ...]
    supplies: tuple[Difference, ...]
    missing: tuple[str, ...]
    not_saved: tuple[str, ...]
    saved_uid: str
    uid: str

    def table(self) -> str:
        """Return what differs as text, in the unit of the strength and in amperes."""
        shown = {item.supply for item in self.differences}
        others = [item for item in self.supplies if item.device not in shown]
        head = ("device", "family", "saved", "now", "difference", "unit")
        rows = [(*head, "supply", "saved [A]", "now [A]")]
        rows += [_row(item) for item in (*self.differences, *others)]
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(n) for cell, n in zip(row, wide, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class RestoreResult:
    """What a restore did, device by device.

    Devices are what was set: the supplies of a magnet, where it has any.

    Attributes:
        devices: Names, (n,).
        families: The family that was asked for, of each device, (n,).
        units: Of each device, (n,).
        start: Setpoints before, (n,).
        wanted: Setpoints that were saved, (n,).
        setpoints: Setpoints at the end, (n,); NaN: could not be read.
        readbacks: Readbacks at the end, (n,); NaN: could not be read.
        tolerance: A device is restored when both are within it, (n,).
        left: Devices that were left where they are because they are marked bad.
        not_saved: Devices left where they are because nothing was saved for them.
        is_preview: True when nothing was set.
        saved_uid: Run that holds the saved state.
        uid: Run that holds the readings.
    """

    devices: tuple[str, ...]
    families: tuple[str, ...]
    units: tuple[str, ...]
    start: FloatArray
    wanted: FloatArray
    setpoints: FloatArray
    readbacks: FloatArray
    tolerance: FloatArray
    left: tuple[str, ...]
    not_saved: tuple[str, ...]
    is_preview: bool
    saved_uid: str
    uid: str = ""

    @cached_property
    def is_restored(self) -> BoolArray:
        """Which devices are set to what was saved, and have arrived, (n,)."""
        off = [np.abs(seen - self.wanted) for seen in (self.setpoints, self.readbacks)]
        return np.maximum(*off) <= self.tolerance

    def summary(self) -> str:
        """Say in words what was restored, and what was not."""
        done = self.is_restored
        families = np.array(self.families)
        each = ", ".join(
            f"{name} {done[families == name].sum()} of {(families == name).sum()}"
            for name in dict.fromkeys(self.families)
        )
        verb = "already there" if self.is_preview else "restored"
        text = f"{verb}: {done.sum()} of {len(done)} devices ({each})"
        late = np.flatnonzero(~done)
        if len(late):
            text += "; to be set: " if self.is_preview else "; not restored: "
            text += _shortened(
                [self._missed(int(i)) for i in late[:_MOST_NAMED]], len(late)
            )
        if self.left:
            text += f"; left where they are, marked bad: {_listed(self.left)}"
        if self.not_saved:
            text += f"; nothing saved for: {_listed(self.not_saved)}"
        return text

    def _missed(self, i: int) -> str:
        return (
            f"{self.devices[i]} wants {self.wanted[i]:.6g} {self.units[i]}, is set to "
            f"{self.setpoints[i]:.6g}, reads {self.readbacks[i]:.6g}"
        )


@dataclass(frozen=True)
class CycleResult:
    """What a hysteresis cycle went through.

    Attributes:
        devices: What was cycled: supplies, where the magnets have any.
        units: Of each device, (n,).
        waveform: Fractions of the way to the limits, (n_points,).
        setpoints: At each point, (n_points, n).
        start: Setpoints before and after, (n,).
        readbacks: Where they were at each point, (n_points, n).
        uid: Run that holds the readings.
    """

    devices: tuple[str, ...]
    units: tuple[str, ...]
    waveform: FloatArray
    setpoints: FloatArray
    start: FloatArray
    readbacks: FloatArray
    uid: str


def compare_states(
    saved: MachineState, now: MachineState, devices: Mapping[str, Device]
) -> tuple[Difference, ...]:
    """Return the setpoints that differ by more than their tolerance.

    Args:
        saved: The state to compare with.
        now: The present state.
        devices: What is compared, by name; what one of the states lacks is not.
    """
    before, after = saved.setpoints, now.setpoints
    return tuple(
        Difference(
            device=name,
            family=about.family,
            saved=before[name],
            now=after[name],
            unit=about.unit,
            tolerance=about.tolerance,
            span=about.span,
            supply=about.supply,
            saved_current=before.get(about.supply, np.nan),
            now_current=after.get(about.supply, np.nan),
        )
        for name, about in devices.items()
        if name in before
        and name in after
        and not abs(after[name] - before[name]) <= about.tolerance
    )


def waveform_setpoints(
    start: FloatArray, low: FloatArray, high: FloatArray, waveform: FloatArray
) -> FloatArray:
    """Return where a cycle goes, (n_points, n).

    Args:
        start: Present setpoints, (n,); 0 in the waveform.
        low: Lower limits, (n,); −1 in the waveform.
        high: Upper limits, (n,); +1 in the waveform.
        waveform: Fractions of the way to a limit, (n_points,).
    """
    up, down = np.clip(waveform, 0.0, 1.0), np.clip(-waveform, 0.0, 1.0)
    there = start + np.outer(up, high - start) + np.outer(down, low - start)
    return np.clip(there, np.minimum(low, start), np.maximum(high, start))


def _row(item: Difference) -> tuple[str, ...]:
    return (
        item.device,
        item.family,
        f"{item.saved:.6g}",
        f"{item.now:.6g}",
        f"{item.difference:+.3g}",
        item.unit,
        item.supply,
        _number(item.saved_current),
        _number(item.now_current),
    )


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _listed(names: Sequence[str]) -> str:
    return _shortened(names, len(names), ", ")


def _shortened(parts: Sequence[str], total: int, between: str = "; ") -> str:
    shown = parts[:_MOST_NAMED]
    more = total - len(shown)
    return between.join(shown) + (f"{between}and {more} more" if more else "")
