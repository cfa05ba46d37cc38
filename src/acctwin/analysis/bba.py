"""Beam-based alignment: where the beam is when a quadrupole does not move it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from acctwin.analysis.bba_angle import Distances, Ring, find_spreads, way_between
from acctwin.analysis.orbit import OrbitResult
from acctwin.errors import DataError
from acctwin.names import BoolArray, FloatArray, IntArray

#: A monitor that moves less than this fraction of the most moved one says nothing.
LEAST_SLOPE = 0.1
#: How well the design's optics carry a position from place to place, relative.
OPTICS_ERROR = 0.05
#: A monitor whose residual is more than this many times the median one is left out.
MOST_RESIDUAL = 6.0


@dataclass(frozen=True)
class BbaResult:
    """What BPMs read when the beam goes straight through the centre of a quadrupole.

    Attributes:
        bpms: The BPMs, in the order they were asked for.
        s: Their positions [m], (n,).
        quadrupoles: Beside each of them.
        offset_x: Horizontal reading at the centre [m], (n,); NaN: not measured.
        offset_y: Vertical [m], (n,).
        sigma_x: Standard error of ``offset_x`` [m], (n,), the way's included.
        sigma_y: Standard error of ``offset_y`` [m], (n,).
        way_x: How far the beam moved between BPM and quadrupole; it is taken into
            account in ``offset_x`` [m], (n,).
        way_y: In ``offset_y`` [m], (n,).
        monitors_used: How many BPMs the fit of each centre used, (n, 2).
        settings: How many settings of the machine were measured.
        uids: Runs that hold the readings.
    """

    bpms: tuple[str, ...]
    s: FloatArray
    quadrupoles: tuple[str, ...]
    offset_x: FloatArray
    offset_y: FloatArray
    sigma_x: FloatArray
    sigma_y: FloatArray
    way_x: FloatArray
    way_y: FloatArray
    monitors_used: IntArray
    settings: int
    uids: tuple[str, ...] = ()

    @property
    def uid(self) -> str:
        """The newest run."""
        return self.uids[-1] if self.uids else ""

    @property
    def is_complete(self) -> bool:
        """Whether both planes of every BPM were measured."""
        return bool(np.isfinite([self.offset_x, self.offset_y]).all())

    def as_goal(self) -> OrbitResult:
        """Return the offsets as an orbit, for ``correct_orbit(goal=…)``.

        Raises:
            DataError: Not both planes of every BPM were measured.
        """
        if not self.is_complete:
            missing = [
                name
                for name, x, y in zip(
                    self.bpms, self.offset_x, self.offset_y, strict=True
                )
                if not np.isfinite(x + y)
            ]
            raise DataError(
                f"an orbit needs both planes, and these were not measured in both: "
                f"{', '.join(missing[:5])}"
            )
        order: list[int] = np.argsort(self.s, kind="stable").tolist()
        return OrbitResult(
            names=tuple(self.bpms[i] for i in order),
            s=self.s[order],
            x=self.offset_x[order],
            y=self.offset_y[order],
            sigma_x=self.sigma_x[order],
            sigma_y=self.sigma_y[order],
            readings=1,
            uid=self.uid,
        )


@dataclass(frozen=True)
class Centre:
    """Where a BPM's reading is when its quadrupole does not move the beam.

    Attributes:
        reading: [m].
        sigma: Standard error [m].
        monitors: How many BPMs saw it.
    """

    reading: float
    sigma: float
    monitors: int


def fit_centre(reading: FloatArray, moved: FloatArray) -> tuple[Centre, ...]:
    """Find where nothing moves, from all monitors and both planes together.

    Every monitor moves in proportion to how far the beam is off the centre in x, and
    in y (sextupoles couple the planes), each by factors of its own: a plane for each
    against the readings, and one zero of all.

    Args:
        reading: Of the BPM beside the quadrupole, (n, n_planes) [m]; carried over to
            the quadrupole.
        moved: What modulating it did to each monitor, (n, n_monitors) [m].

    Returns:
        The centre in each plane.

    Raises:
        DataError: The beam was not moved enough, or no monitor moved.
    """
    count, planes = reading.shape
    if count < planes + 2:
        raise DataError(f"a centre needs {planes + 2} places of the beam, not {count}")
    middle = reading.mean(axis=0)
    design = np.column_stack([np.ones(count), reading - middle])
    if np.linalg.matrix_rank(design) <= planes:
        raise DataError("the beam was not moved: the centre cannot be told")
    fitted, *_ = np.linalg.lstsq(design, moved, rcond=None)
    left = moved - design @ fitted
    fitted = np.asarray(fitted, dtype=np.float64)
    used = _useful(fitted[1:], left)
    level, slopes = fitted[0, used], fitted[1:, used]
    normal = slopes @ slopes.T
    if not np.all(np.linalg.eigvalsh(normal) > 0.0):
        raise DataError("no monitor moved when the quadrupole was modulated")
    zero = -np.linalg.solve(normal, slopes @ level)
    freedom = int(used.sum()) * (count - planes - 1)
    variance = float(np.square(left[:, used]).sum()) / freedom
    there = np.concatenate([[1.0], zero])
    lever = float(there @ np.linalg.solve(design.T @ design, there))
    # A reading of the BPM itself is the mean of what the difference is made of.
    sigma = np.sqrt(variance * lever * (np.diag(np.linalg.inv(normal)) + 0.25))
    return tuple(
        Centre(float(m + z), float(s), int(used.sum()))
        for m, z, s in zip(middle, zero, sigma, strict=True)
    )


def _useful(slopes: FloatArray, left: FloatArray) -> BoolArray:
    """Return which monitors move enough, and as a plane does, (n_monitors,)."""
    size = np.abs(slopes)
    used = (size >= LEAST_SLOPE * size.max(axis=1, keepdims=True)).any(axis=0)
    scatter = np.sqrt(np.mean(np.square(left), axis=0))
    typical = float(np.median(scatter[used]))
    return used & (scatter <= MOST_RESIDUAL * typical) if typical else used


@dataclass(frozen=True)
class PlaneData:
    """What was found in one plane, before the angle is known.

    Attributes:
        ring: The design in this plane.
        reading: Of all BPMs, before anything was moved [m], (n_bpms,).
        bpm: Index of the BPM of each pair, (n,).
        quadrupole: Index of its quadrupole, (n,).
        centres: Of each pair; None: not measured in this plane.
        others: More quadrupoles that were modulated.
    """

    ring: Ring
    reading: FloatArray
    bpm: IntArray
    quadrupole: IntArray
    centres: tuple[Centre | None, ...]
    others: Distances


def offsets_of(data: PlaneData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the reading of each BPM for a beam that goes straight through its centre.

    Returns:
        Offset, its standard error, and the way between BPM and quadrupole in it [m],
        (n,) each; NaN where nothing was measured.
    """
    offset, sigma, way = np.full((3, len(data.centres)), np.nan)
    measured = {i: c for i, c in enumerate(data.centres) if c is not None}
    if not measured:
        return offset, sigma, way
    spreads = find_spreads(data.ring, data.reading)
    known = _distances(data, measured)
    for i, centre in measured.items():
        bpm, quadrupole = int(data.bpm[i]), int(data.quadrupole[i])
        way[i], error = way_between(
            data.ring, data.reading, known, spreads, bpm, quadrupole
        )
        offset[i] = centre.reading + way[i]
        sigma[i] = np.linalg.norm([centre.sigma, error, OPTICS_ERROR * way[i]])
    return offset, sigma, way


def _distances(data: PlaneData, measured: dict[int, Centre]) -> Distances:
    """Return how far the beam was from the centres of all modulated quadrupoles."""
    readings = np.array([centre.reading for centre in measured.values()])
    errors = np.array([centre.sigma for centre in measured.values()])
    chosen = list(measured)
    which = data.quadrupole[chosen]
    share = np.array([data.ring.share(int(quadrupole)) for quadrupole in which])
    distance = share * (data.reading[data.bpm[chosen]] - readings)
    return Distances(
        np.concatenate([which, data.others.which]),
        np.concatenate([distance, data.others.distance]),
        np.concatenate([
            np.hypot(errors, OPTICS_ERROR * np.abs(distance)),
            data.others.sigma,
        ]),
    )


def merge(results: list[BbaResult]) -> BbaResult:
    """Return several results as one; where a plane was measured twice, the newest.

    Raises:
        DataError: There are none.
    """
    if not results:
        raise DataError("there is no result of a beam-based alignment")
    rows: dict[str, tuple[BbaResult, int]] = {}
    numbers: dict[str, FloatArray] = {}
    for result in results:
        for i, name in enumerate(result.bpms):
            rows[name] = result, i
            held = numbers.setdefault(name, np.full((4, 2), np.nan))
            new = _row(result, i)
            seen = np.isfinite(new[0])
            held[:, seen] = new[:, seen]
    table = np.array(list(numbers.values()))
    return BbaResult(
        bpms=tuple(rows),
        s=np.array([result.s[i] for result, i in rows.values()]),
        quadrupoles=tuple(result.quadrupoles[i] for result, i in rows.values()),
        offset_x=table[:, 0, 0],
        offset_y=table[:, 0, 1],
        sigma_x=table[:, 1, 0],
        sigma_y=table[:, 1, 1],
        way_x=table[:, 2, 0],
        way_y=table[:, 2, 1],
        monitors_used=np.nan_to_num(table[:, 3]).astype(np.int64),
        settings=sum(result.settings for result in results),
        uids=tuple(uid for result in results for uid in result.uids),
    )


def _row(result: BbaResult, i: int) -> FloatArray:
    """Return offset, sigma, way and monitors of a BPM, (4, 2)."""
    return np.array([
        [result.offset_x[i], result.offset_y[i]],
        [result.sigma_x[i], result.sigma_y[i]],
        [result.way_x[i], result.way_y[i]],
        result.monitors_used[i].astype(np.float64),
    ])
