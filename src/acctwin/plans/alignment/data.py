"""What a run of a beam-based alignment holds, and how it is read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from acctwin.analysis.bba import (
    BbaResult,
    Centre,
    PlaneData,
    fit_centre,
    offsets_of,
)
from acctwin.analysis.bba_angle import Distances, Ring
from acctwin.analysis.bba_optics import Sites, closed_orbit
from acctwin.analysis.bba_parallel import fit_centres, induced_kicks
from acctwin.analysis.optics import LocalOptics
from acctwin.names import PLANES, FloatArray, IntArray

#: Plane of a group that is measured in both at once, and number of the first orbit.
BOTH, BASE = 2, -1
#: How well the design's response gives the size of an induced kick, relative.
RESPONSE_ERROR = 0.05

_CORRECTORS = ("hcm", "vcm")
_OPTICS = tuple(f"{q}_{p}" for q in ("beta", "alpha", "phase", "eta") for p in PLANES)


@dataclass(frozen=True)
class Plot:
    """The design that belongs to a run, in arrays that a run can hold.

    Attributes:
        bpms: All good BPMs, in s order.
        quadrupoles: All quadrupoles, in s order.
        hcm: All horizontal correctors.
        vcm: All vertical correctors.
        slope: Derivative of the dispersion at the BPMs, (n_bpms, 2).
    """

    bpms: LocalOptics
    quadrupoles: LocalOptics
    hcm: LocalOptics
    vcm: LocalOptics
    slope: FloatArray


@dataclass(frozen=True)
class Group:
    """Quadrupoles that are modulated together.

    Attributes:
        quadrupoles: Index of each in its family, (n,).
        bpms: Index among the good BPMs of the one beside each; empty: nothing is
            aligned, they only tell the beam's angle.
        plane: 0, 1, or :data:`BOTH`.
    """

    quadrupoles: tuple[int, ...]
    bpms: tuple[int, ...]
    plane: int

    @property
    def planes(self) -> tuple[int, ...]:
        """Planes that it tells something of."""
        return (0, 1) if self.plane == BOTH else (self.plane,)


@dataclass(frozen=True)
class Record:
    """Events of a run as columns, and what they mean.

    Attributes:
        groups: What was modulated, in order.
        optics: The design.
        good: Which of the family's BPMs count, (n_bpms,).
        data: Data key → array, (n_events, …).
        events_a_group: How many events a complete group has, by group.
        circumference: [m].
        uid: Of the run.
    """

    groups: tuple[Group, ...]
    optics: Plot
    good: IntArray
    data: Mapping[str, Any]
    events_a_group: tuple[int, ...]
    circumference: float
    uid: str

    def complete(self) -> list[int]:
        """Return which groups were measured to their end."""
        seen = np.asarray(self.data["bba_group"])
        return [
            i
            for i, count in enumerate(self.events_a_group)
            if np.count_nonzero(seen == i) == count
        ]

    def result(self) -> BbaResult:
        """Return the centres of all complete groups."""
        done = self.complete()
        pairs = list(dict.fromkeys(self._pairs(done)))
        columns = [self._plane(plane, done, pairs) for plane in (0, 1)]
        found = [offsets_of(data) for data in columns]
        monitors = [
            [0 if centre is None else centre.monitors for centre in data.centres]
            for data in columns
        ]
        bpms, quads = self.optics.bpms, self.optics.quadrupoles
        (x, sx, wx), (y, sy, wy) = found
        return BbaResult(
            bpms=tuple(bpms.names[bpm] for bpm, _ in pairs),
            s=np.array([bpms.s[bpm] for bpm, _ in pairs]),
            quadrupoles=tuple(quads.names[quad] for _, quad in pairs),
            offset_x=x,
            offset_y=y,
            sigma_x=sx,
            sigma_y=sy,
            way_x=wx,
            way_y=wy,
            monitors_used=np.array(monitors, dtype=np.int64).reshape(2, -1).T,
            settings=self._settings(),
            uids=(self.uid,) if self.uid else (),
        )

    def _pairs(self, done: Sequence[int]) -> Iterator[tuple[int, int]]:
        for i in done:
            group = self.groups[i]
            if group.bpms:
                yield from zip(group.bpms, group.quadrupoles, strict=True)

    def _settings(self) -> int:
        keys = ("bba_group", "bba_plane", "bba_point", "bba_modulation")
        return len(np.unique(np.column_stack([self.data[k] for k in keys]), axis=0))

    def _plane(
        self, plane: int, done: Sequence[int], pairs: list[tuple[int, int]]
    ) -> PlaneData:
        ring = self._ring(plane)
        centres: dict[tuple[int, int], Centre] = {}
        others: list[tuple[int, float, float]] = []
        for i in done:
            group = self.groups[i]
            if plane not in group.planes:
                continue
            if group.bpms:
                keys = zip(group.bpms, group.quadrupoles, strict=True)
                centres.update(zip(keys, self._centres(i, plane, ring), strict=True))
            else:
                mine = self._distances(i, plane, ring)
                there = [p for p in group.planes if p != plane]
                other = np.zeros(len(mine))
                for p in there:
                    other = self._distances(i, p, self._ring(p))
                pairs_of = zip(mine.tolist(), other.tolist(), strict=True)
                for quad, (x, y) in zip(group.quadrupoles, pairs_of, strict=True):
                    others.append((quad, x, y))
        bpm, quad = (np.array(column, dtype=np.int64) for column in _split(pairs))
        which = np.array([q for q, _, _ in others], dtype=np.int64)
        distance = np.array([mine for _, mine, _ in others])
        # Through sextupoles a kick in one plane is seen in the other one too.
        far = np.array([np.hypot(mine, other) for _, mine, other in others])
        return PlaneData(
            ring=ring,
            reading=self._positions(plane)[self._events(BASE)].mean(axis=0),
            bpm=bpm,
            quadrupole=quad,
            centres=tuple(centres.get(pair) for pair in pairs),
            others=Distances(which, distance, RESPONSE_ERROR * far),
        )

    def _centres(self, index: int, plane: int, ring: Ring) -> Sequence[Centre]:
        """Return the centres of a group's quadrupoles in a plane."""
        group = self.groups[index]
        if len(group.quadrupoles) > 1:
            places = ring.quadrupoles[np.array(group.quadrupoles)]
            moved = self._moved(index, plane)
            kicks = induced_kicks(moved, ring.bpms, places, ring.tune)
            return fit_centres(self._beside(index, plane), kicks)
        moved = np.hstack([self._moved(index, other) for other in group.planes])
        reading = np.hstack([self._beside(index, other) for other in group.planes])
        return [fit_centre(reading, moved)[group.planes.index(plane)]]

    def _distances(self, index: int, plane: int, ring: Ring) -> FloatArray:
        """Return how far the beam is from the centres, from the kicks' size [m]."""
        chosen = np.array(self.groups[index].quadrupoles)
        places = ring.quadrupoles[chosen]
        moved = self._moved(index, plane)
        kicks = induced_kicks(moved, ring.bpms, places, ring.tune)
        at = self._events(index)
        strength = np.asarray(self.data["quadrupoles_strength"])[at][:, chosen]
        step = _slopes(np.asarray(self.data["bba_modulation"])[at], strength)
        length = self.optics.quadrupoles.length[chosen]
        integrated = step * np.where(length > 0.0, length, 1.0)
        sign = -1.0 if plane == 0 else 1.0
        return sign * kicks.mean(axis=0) / integrated

    def _moved(self, index: int, plane: int) -> FloatArray:
        """Return what a full modulation does to each BPM, (n_points, n_bpms) [m]."""
        positions = self._positions(plane)
        modulation = np.asarray(self.data["bba_modulation"])
        points = self._points(index)
        return np.array([_slopes(modulation[at], positions[at]) for at in points])

    def _beside(self, index: int, plane: int) -> FloatArray:
        """Return the readings beside the quadrupoles, (n_points, n_quadrupoles) [m].

        They are carried over to the quadrupoles as far as the correctors moved the
        beam between the two.
        """
        group, ring = self.groups[index], self._ring(plane)
        kicks, positions = self._kicks(plane), self._positions(plane)
        base = kicks[self._events(BASE)].mean(axis=0)
        beside = np.array(group.bpms, dtype=np.int64)
        _, angle = closed_orbit(ring.bpms[beside], ring.correctors, ring.tune)
        way = np.empty_like(angle)
        for row, (bpm, quad) in enumerate(zip(beside, group.quadrupoles, strict=True)):
            lever, by_kicks = ring.levers(bpm, quad)
            way[row] = lever * angle[row] + by_kicks
        return np.array([
            positions[at].mean(axis=0)[beside] + way @ (kicks[at].mean(axis=0) - base)
            for at in self._points(index)
        ])

    def _events(self, index: int) -> IntArray:
        return np.flatnonzero(np.asarray(self.data["bba_group"]) == index)

    def _points(self, index: int) -> list[IntArray]:
        """Return the events of each place of the beam."""
        at = self._events(index)
        point = np.asarray(self.data["bba_point"])[at]
        return [at[point == number] for number in np.unique(point)]

    def _positions(self, plane: int) -> FloatArray:
        return np.asarray(self.data[f"bpms_{PLANES[plane]}"])[:, self.good]

    def _kicks(self, plane: int) -> FloatArray:
        return np.asarray(self.data[f"{_CORRECTORS[plane]}_strength"])

    def _ring(self, plane: int) -> Ring:
        optics = self.optics
        family = (optics.hcm, optics.vcm)[plane]
        base = self._events(BASE)
        strengths = np.asarray(self.data["quadrupoles_strength"])[base].mean(axis=0)
        return Ring(
            bpms=sites(optics.bpms, plane, optics.slope),
            quadrupoles=sites(optics.quadrupoles, plane),
            length=optics.quadrupoles.length,
            strength=strengths if plane == 0 else -strengths,
            correctors=sites(family, plane),
            kicks=self._kicks(plane)[base].mean(axis=0),
            tune=float(optics.bpms.tunes[plane]),
            circumference=self.circumference,
        )


def optics_columns(optics: Plot) -> dict[str, Any]:
    """Return the design as arrays, for a run's configuration."""
    found: dict[str, Any] = {"tunes": optics.bpms.tunes}
    found |= {f"slope_{p}": optics.slope[:, i].copy() for i, p in enumerate(PLANES)}
    for name in ("bpms", "quadrupoles", "hcm", "vcm"):
        local: LocalOptics = getattr(optics, name)
        both = np.hstack([local.beta, local.alpha, local.phase, local.dispersion])
        found |= {f"{name}_{key}": both[:, i].copy() for i, key in enumerate(_OPTICS)}
        found |= {f"{name}_s": local.s, f"{name}_length": local.length}
        found[f"{name}_names"] = list(local.names)
    return found


def stored_optics(config: Mapping[str, Any]) -> Plot:
    """Return the design that :func:`optics_columns` wrote."""

    def local(name: str) -> LocalOptics:
        column = {key: np.asarray(config[f"{name}_{key}"]) for key in _OPTICS}

        def both(key: str) -> FloatArray:
            return np.column_stack([column[f"{key}_{plane}"] for plane in PLANES])

        return LocalOptics(
            names=tuple(str(word) for word in config[f"{name}_names"]),
            s=np.asarray(config[f"{name}_s"]),
            length=np.asarray(config[f"{name}_length"]),
            beta=both("beta"),
            alpha=both("alpha"),
            phase=both("phase"),
            dispersion=both("eta"),
            tunes=np.asarray(config["tunes"]),
        )

    slope = np.column_stack([np.asarray(config[f"slope_{p}"]) for p in PLANES])
    bpms, quadrupoles = local("bpms"), local("quadrupoles")
    return Plot(bpms, quadrupoles, local("hcm"), local("vcm"), slope)


def sites(local: LocalOptics, plane: int, slope: FloatArray | None = None) -> Sites:
    """Return one plane of some optics.

    Args:
        local: The optics.
        plane: 0 or 1.
        slope: Derivative of the dispersion, (n, 2); default 0.
    """
    return Sites(
        beta=local.beta[:, plane],
        alpha=local.alpha[:, plane],
        phase=local.phase[:, plane],
        s=local.s,
        eta=local.dispersion[:, plane],
        eta_slope=np.zeros(len(local.s)) if slope is None else slope[:, plane],
    )


def _slopes(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the slope of each column of y (n, m) against x (n,), (m,)."""
    away = x - x.mean()
    return away @ y / float(away @ away)


def _split(pairs: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [bpm for bpm, _ in pairs], [quad for _, quad in pairs]
