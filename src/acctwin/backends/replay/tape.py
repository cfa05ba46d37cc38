"""A recorded machine that can be set: it reads what was recorded at its setpoints."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from acctwin.backends.powering import Powering
from acctwin.backends.replay.keys import Kind
from acctwin.backends.replay.recording import Recording, Sample
from acctwin.backends.sim.signal import Changes
from acctwin.errors import DeviceError
from acctwin.names import BoolArray, FloatArray, IntArray

_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class Monitor:
    """A device that reads.

    Attributes:
        address: Its name.
        kind: Of the monitors.
        which: Indices among all monitors of the kind, (n,).
    """

    address: str
    kind: Kind
    which: IntArray


class Tape:
    """Setpoints, beginning where the run began, and the readings recorded there.

    Anything may be set within its limits. A monitor reads what was recorded with all
    setpoints where they are now, within tolerance; each acquisition gives the next
    of the recorded repeats, and after the last of them there is none.

    Args:
        recording: The run.
        powering: Values of all supplies ⇄ strengths of all knobs.

    Attributes:
        recording: The run.
        changes: Tells monitors of moves.
        kick: Amplitudes of the pinger in x and y [rad], (2,).
        count: Turns of a turn-by-turn record.
    """

    def __init__(self, recording: Recording, powering: Powering) -> None:
        self.recording, self._powering = recording, powering
        self.changes = Changes()
        self.values = recording.start.copy()
        self._n_knobs = len(powering.knobs)
        first = recording.state[0]
        self._offset = first[: self._n_knobs] - powering.strengths(self.values)
        self.kick = first[self._n_knobs : self._n_knobs + 2].copy()
        self.count = int(first[-1])
        self.stamp = time.time()
        self._given: dict[str, set[int]] = {}
        self._shown: dict[str, tuple[int, bytes]] = {}
        self._holding: dict[str, list[int]] = {}
        self._found: tuple[bytes, BoolArray] = (b"", np.zeros((0, 0), dtype=np.bool_))

    def rewind(self) -> None:
        """Give the recorded repeats from the first one again."""
        self._given.clear()
        self._shown.clear()

    def put(self, knobs: IntArray, strengths: FloatArray) -> None:
        """Set some knobs, by index into the layout's.

        Raises:
            LimitError: The supplies cannot do it; nothing is moved.
        """
        wanted = strengths - self._offset[knobs]
        self.put_supplies(*self._powering.change(self.values, knobs, wanted))

    def put_supplies(self, which: IntArray, values: FloatArray) -> None:
        """Set some supplies, by index into the powering's."""
        self.values[which] = values
        self.stamp = time.time()

    def read_setpoints(self, knobs: IntArray) -> tuple[FloatArray, float]:
        """Return what some knobs are set to, and since when."""
        return self._strengths()[knobs], self.stamp

    def read_delivered(self, knobs: IntArray) -> tuple[FloatArray, float]:
        """Return the readbacks that were recorded here, else the setpoints."""
        return self._seen(self.recording.readbacks, self._strengths(), knobs)

    def read_supplies(self, which: IntArray) -> tuple[FloatArray, float]:
        """Return what some supplies are set to, and since when."""
        return self.values[which], self.stamp

    def read_supplies_delivered(self, which: IntArray) -> tuple[FloatArray, float]:
        """Return the readbacks that were recorded here, else the setpoints."""
        return self._seen(self.recording.supply_readbacks, self.values, which)

    def acquire(self, monitor: Monitor) -> None:
        """Take the next of the readings that were recorded at the present setpoints.

        Raises:
            DeviceError: None was, or all of them were taken.
        """
        points = self._points(monitor)
        given = self._given.setdefault(monitor.address, set())
        left = [point for point in points if point not in given]
        if not left:
            raise DeviceError(
                f"replay of run {self.recording.uid}: all {len(points)} readings of "
                f"{monitor.address} that were recorded with these setpoints are used "
                "up; the next plan begins with the first again"
            )
        given.add(left[0])
        self._shown[monitor.address] = left[0], self._present().tobytes()

    def sample(self, monitor: Monitor, channel: str) -> Sample:
        """Return the reading that was acquired last here, else the next one.

        Raises:
            DeviceError: Nothing was recorded with the present setpoints.
        """
        address = monitor.address
        point, there = self._shown.get(address, (-1, b""))
        if there != self._present().tobytes():
            points = self._points(monitor)
            given = self._given.get(address, set())
            point = next((p for p in points if p not in given), points[-1])
        found = self.recording.readings[monitor.kind][point]
        if channel not in found:
            raise DeviceError(
                f"replay of run {self.recording.uid}: {address}/{channel} was not "
                f"recorded; of {address} it holds {', '.join(found)}"
            )
        return found[channel]

    def _strengths(self) -> FloatArray:
        return self._powering.strengths(self.values) + self._offset

    def _present(self) -> FloatArray:
        return np.concatenate([self._strengths(), self.kick, [float(self.count)]])

    def _here(self, components: int) -> IntArray:
        """Return the points where these first components are as at present."""
        present = self._present()
        if self._found[0] != present.tobytes():
            recording = self.recording
            away = np.abs(recording.state - present) > recording.tolerance
            self._found = present.tobytes(), away
        return np.flatnonzero(~self._found[1][:, :components].any(axis=1))

    def _components(self, kind: str) -> int:
        """Return how many components count: the pinger moves no stored beam."""
        return len(self.recording.names) if kind == "turns" else self._n_knobs

    def _points(self, monitor: Monitor) -> list[int]:
        """Return the points with a reading of a monitor at the present setpoints."""
        there = self._recorded(monitor)
        if not there:
            held = ", ".join(self.recording.readings) or "nothing"
            raise DeviceError(
                f"replay of run {self.recording.uid}: {monitor.address} was not "
                f"recorded; the run holds readings of {held}"
            )
        here = set(self._here(self._components(monitor.kind)).tolist())
        points = [point for point in there if point in here]
        if not points:
            raise DeviceError(self._nowhere(monitor, np.array(there)))
        return points

    def _recorded(self, monitor: Monitor) -> list[int]:
        """Return the points with a reading of a monitor, wherever they are."""
        if monitor.address not in self._holding:
            found = self.recording.readings.get(monitor.kind, {})
            self._holding[monitor.address] = [
                point
                for point, samples in found.items()
                if any(sample.known[monitor.which].all() for sample in samples.values())
            ]
        return self._holding[monitor.address]

    def _seen(
        self, readbacks: FloatArray, setpoints: FloatArray, which: IntArray
    ) -> tuple[FloatArray, float]:
        here = self._here(self._n_knobs)
        found = setpoints[which]
        for seen in readbacks[here][:, which]:
            if np.isfinite(seen).all():
                return seen, self.stamp
        return found.copy(), self.stamp

    def _nowhere(self, monitor: Monitor, points: IntArray) -> str:
        """Describe how far the nearest of the readings of a monitor is away."""
        recording, present = self.recording, self._present()
        count, address = self._components(monitor.kind), monitor.address
        away = np.abs(recording.state[points] - present) > recording.tolerance
        nearest = int(np.argmin(away[:, :count].sum(axis=1)))
        moved = np.flatnonzero(away[nearest, :count])
        lines = [
            f"{recording.names[i]} is at {present[i]:.9g} {recording.units[i]}, "
            f"recorded {recording.state[points[nearest], i]:.9g}"
            for i in moved[:_MOST_NAMED]
        ]
        more = len(moved) - _MOST_NAMED
        tail = f"; and {more} more" if more > 0 else ""
        return (
            f"replay of run {recording.uid}: {address} was not recorded with these "
            f"setpoints: {'; '.join(lines)}{tail}. The run holds {len(points)} "
            f"readings of {address}, and this is the nearest"
        )
