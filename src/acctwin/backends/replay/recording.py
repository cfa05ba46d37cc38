"""A stored run as a table: where the machine stood, and what was read there.

Every event is a point, in time order. A setpoint that an event does not hold is where
it was last seen; the first event of the baseline has them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from acctwin.backends.powering import Powering
from acctwin.backends.replay.keys import Entry, Keys
from acctwin.backends.replay.recorded import RecordedRun, RecordedStream
from acctwin.devices.setpoint import device_name
from acctwin.errors import DataError
from acctwin.model.engine import Layout
from acctwin.names import BoolArray, FloatArray, IntArray
from acctwin.profiles.profile import Profile

#: Components of a point after the knobs.
PULSED = ("pinger_x", "pinger_y", "turns_count")
_READ = ("bpms", "turns", "tune", "dcct", "emittance", "injection", "lifetime")


@dataclass(frozen=True)
class Sample:
    """One value of a channel, over all devices of its kind.

    Attributes:
        values: (n,), or (n_turns, n) of turn-by-turn records.
        known: Which devices were recorded, (n,).
        timestamp: When it was read [s since the epoch].
    """

    values: FloatArray
    known: BoolArray
    timestamp: float


@dataclass(frozen=True)
class Recording:
    """A run as points in time order.

    Attributes:
        uid: The run.
        names: Components of a point: the knobs, then ``PULSED``.
        units: Of each of them.
        tolerance: Two values of a component are the same within this, (n_names,).
        state: What each of them was set to, (n_points, n_names).
        readbacks: Of the knobs, NaN where not recorded, (n_points, n_knobs).
        supply_readbacks: Of the powering's supplies, the same, (n_points, n_supplies).
        readings: Kind of monitor → point → channel → sample.
        start: Values of the powering's supplies at the first point, (n_supplies,).
    """

    uid: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    tolerance: FloatArray
    state: FloatArray
    readbacks: FloatArray
    supply_readbacks: FloatArray
    readings: Mapping[str, Mapping[int, Mapping[str, Sample]]]
    start: FloatArray


def record(
    run: RecordedRun, profile: Profile, layout: Layout, powering: Powering
) -> Recording:
    """Return a run as points.

    Args:
        run: The run, with a baseline.
        profile: Of the machine that it is of.
        layout: The design model's.
        powering: Values of all supplies ⇄ strengths of all knobs.

    Raises:
        DataError: It is of another machine, or does not say where the machine stood.
    """
    found = run.start.get("profile")
    if found != profile.name:
        raise DataError(
            f"run {run.uid} is of the machine {found!r}, and this is {profile.name!r}: "
            "it cannot be replayed here"
        )
    if "baseline" not in run.streams or not len(run.streams["baseline"].time):
        raise DataError(
            f"run {run.uid} has no baseline, so where the machine stood is not known: "
            "it cannot be replayed"
        )
    _refuse_moved_members(run, profile)
    builder = _Builder(profile, layout, powering)
    keys = Keys(profile, layout, powering.names[: powering.count])
    rows: list[tuple[float, RecordedStream, int, list[Entry]]] = []
    for name, stream in run.streams.items():
        if name != "result":
            entries = list(keys.entries(stream))
            rows += [(t, stream, row, entries) for row, t in enumerate(stream.time)]
    for _, stream, row, entries in sorted(rows, key=lambda item: item[0]):
        builder.add(stream, row, entries)
    return builder.recording(run.uid)


def _refuse_moved_members(run: RecordedRun, profile: Profile) -> None:
    """Refuse a run in which something moved that cannot be set in replay."""
    for row in profile.members:
        key = f"{device_name(row.name)}_value"
        columns = [
            s[key] for n, s in run.streams.items() if n != "result" and key in s.names
        ]
        if row.setting is None or not columns:
            continue
        if np.ptp(np.concatenate(columns)) > row.setting.tolerance:
            raise DataError(
                f"{row.name} was moved in run {run.uid}, and members are not replayed: "
                "which reading belongs to which of its setpoints would be lost"
            )


class _Builder:
    """Follows the setpoints through a run and gathers what was read."""

    def __init__(self, profile: Profile, layout: Layout, powering: Powering) -> None:
        self._profile, self._layout, self._powering = profile, layout, powering
        index = {name: i for i, name in enumerate(layout.knobs)}
        self._feeds: dict[str, list[int]] = {}
        for magnet in profile.magnets:
            for feed in magnet.feeds:
                self._feeds.setdefault(feed.supply, []).append(index[magnet.name])
        self._values = powering.start.copy()
        strengths = powering.strengths(self._values)
        self._state = np.concatenate([strengths, np.full(len(PULSED), np.nan)])
        self._points: list[FloatArray] = []
        self._readbacks: list[FloatArray] = []
        self._supply_readbacks: list[FloatArray] = []
        self._readings: dict[str, dict[int, dict[str, Sample]]] = {}
        self._start = self._values

    def add(self, stream: RecordedStream, row: int, entries: list[Entry]) -> None:
        """Add an event."""
        readbacks = np.full(len(self._layout.knobs), np.nan)
        supply_readbacks = np.full(len(self._values), np.nan)
        # Currents first: a strength that was recorded itself is better than theirs.
        for entry in sorted(entries, key=lambda entry: entry.kind != "supply"):
            value = stream[entry.key][row]
            if entry.kind in _READ:
                self._read(entry, value, float(stream.timestamps[entry.key][row]))
            elif entry.channel == "readback":
                both = {"supply": supply_readbacks, "knob": readbacks}
                both[entry.kind][entry.which] = value
            else:
                self._set(entry, value)
            if entry.kind == "turns":
                self._state[-1] = float(stream.config("turns_count"))
        if not self._points:
            self._begin()
        self._points.append(self._state.copy())
        self._readbacks.append(readbacks)
        self._supply_readbacks.append(supply_readbacks)

    def recording(self, uid: str) -> Recording:
        """Return all that was added."""
        profile, layout = self._profile, self._layout
        rows = {row.name: (row.tolerance, row.unit) for row in profile.magnets}
        if profile.rf is not None:
            rows["rf"] = (profile.rf.tolerance, "Hz")
        pinger = profile.pinger
        planes = (pinger.x, pinger.y) if pinger else (None, None)
        known = [rows.get(name, (0.0, "")) for name in layout.knobs]
        known += [(plane.tolerance if plane else 0.0, "rad") for plane in planes]
        known.append((0.0, "turns"))
        tolerance, units = zip(*known, strict=True)
        return Recording(
            uid=uid,
            names=(*layout.knobs, *PULSED),
            units=units,
            tolerance=np.array(tolerance),
            state=_filled(np.array(self._points), len(PULSED)),
            readbacks=np.array(self._readbacks),
            supply_readbacks=np.array(self._supply_readbacks),
            readings=self._readings,
            start=self._start,
        )

    def _set(self, entry: Entry, value: FloatArray) -> None:
        if entry.kind == "kick":
            self._state[len(self._layout.knobs) + entry.which] = value
        elif entry.kind == "knob":
            self._state[entry.which] = value
        else:
            self._values[entry.which] = value
            fed = self._fed_by(entry.which)
            self._state[fed] = self._powering.strengths(self._values)[fed]

    def _begin(self) -> None:
        """Take what the first event says of knobs without a supply as their values."""
        powering = self._powering
        index = {name: i for i, name in enumerate(self._layout.knobs)}
        own = [index[name] for name in powering.names[powering.count :]]
        self._values[powering.count :] = self._state[own]
        self._start = self._values.copy()

    def _fed_by(self, supplies: IntArray) -> IntArray:
        names = (self._powering.names[i] for i in supplies)
        fed = {knob for name in names for knob in self._feeds.get(name, ())}
        return np.array(sorted(fed), dtype=np.int64)

    def _read(self, entry: Entry, value: FloatArray, timestamp: float) -> None:
        count = len(self._layout.monitors) if entry.kind in ("bpms", "turns") else 1
        point = self._readings.setdefault(entry.kind, {}).setdefault(
            len(self._points), {}
        )
        values = np.atleast_1d(np.asarray(value, dtype=np.float64))
        seen = np.full((*values.shape[:-1], count), np.nan)
        known = np.zeros(count, dtype=np.bool_)
        if entry.channel in point:
            before = point[entry.channel]
            seen, known = before.values.copy(), before.known.copy()
        seen[..., entry.which] = values
        known[entry.which] = True
        point[entry.channel] = Sample(seen, known, timestamp)


def _filled(state: FloatArray, last: int) -> FloatArray:
    """Give the last columns, which no baseline holds, their first value from the start.

    What was never recorded is 0.
    """
    for column in state[:, -last:].T:
        first = column[np.isfinite(column)][:1]
        column[np.isnan(column)] = first[0] if len(first) else 0.0
    return state
