"""Response of orbit and trajectory to any knob, from the maps of one turn.

A knob changes what leaves its element: the source vector s. Carried back to the
beginning of the lattice it is u = T⁻¹ s, with T the map to the element's exit. A
first turn shows T(b)·u at every place b after the element. The closed orbit moves
by x₀ = (1 − M)⁻¹ M u at the beginning, hence by T(b)·(x₀ + u) after the element and
by T(b)·x₀ before it. This is exact to first order for thick and tilted elements,
with coupling, radiation and RF.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from acctwin.model.channels import STEPS
from acctwin.model.compiled import CompiledRing
from acctwin.model.matrices import TurnMap
from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class Sources:
    """What knobs change at the exits of their elements.

    Attributes:
        column: Which column of the result each source belongs to, (n_sources,),
            in increasing order.
        exits: Index of the boundary behind each source's element, (n_sources,).
        vectors: d(coordinates at the exit)/d(knob), (n_sources, n).
        columns: Number of columns of the result.
    """

    column: IntArray
    exits: IntArray
    vectors: FloatArray
    columns: int


def turned(sources: Sources) -> Sources:
    """Return the sources of the same elements turned by 90° from x to y.

    Exact for a thin kick; of a thick element with gradients it is what a corrector
    around it would do.
    """
    vectors = np.zeros_like(sources.vectors)
    vectors[:, 0:2], vectors[:, 2:4] = -sources.vectors[:, 2:4], sources.vectors[:, 0:2]
    return replace(sources, vectors=vectors)


def sources_of(ring: CompiledRing, maps: TurnMap, knobs: IntArray) -> Sources:
    """Track through single elements with each knob moved a little both ways.

    Args:
        ring: The compiled ring; strengths are as before afterwards.
        maps: Maps of its present state.
        knobs: Indices of knobs; the RF has no source.
    """
    n = maps.dimensions
    column: list[int] = []
    exits: list[int] = []
    vectors: list[FloatArray] = []
    for c, knob in enumerate(knobs.tolist()):
        if knob >= len(ring.channels):
            continue
        step = STEPS[ring.components[knob]]
        for channel in ring.channels[knob]:
            i, k, array = channel.element, channel.index, channel.array
            present = array[k]
            array[k] = present + channel.gain * step
            plus = ring.tracker.through(i, maps.orbit[i])
            array[k] = present - channel.gain * step
            minus = ring.tracker.through(i, maps.orbit[i])
            array[k] = present
            column.append(c)
            exits.append(i + 1)
            vectors.append((plus - minus)[:n] / (2 * step))
    return Sources(
        np.array(column, dtype=np.int64),
        np.array(exits, dtype=np.int64),
        np.array(vectors).reshape(-1, n),
        len(knobs),
    )


def start_response(
    ring: CompiledRing, maps: TurnMap, sources: Sources, knobs: IntArray
) -> FloatArray:
    """Return d(closed orbit at the beginning)/d(knob), (n, n_knobs)."""
    moved = -(maps.closing @ maps.matrix) @ _at_start(maps, sources)
    result = _collect(moved, sources)
    result[:, knobs == len(ring.channels)] = _rf_column(ring, maps)
    return result


def orbit_response(
    ring: CompiledRing, maps: TurnMap, sources: Sources, knobs: IntArray
) -> FloatArray:
    """Return d(x at all monitors, then y)/d(knob), (2·n_monitors, n_knobs)."""
    at_start = _at_start(maps, sources)
    closed = -(maps.closing @ maps.matrix) @ at_start
    rows, is_behind = _rows(maps, ring.monitors), _is_behind(ring, sources)
    moved = np.where(is_behind, rows @ (closed + at_start), rows @ closed)
    result = _collect(moved, sources)
    result[:, knobs == len(ring.channels)] = rows @ _rf_column(ring, maps)
    return result


def trajectory_response(
    ring: CompiledRing, maps: TurnMap, sources: Sources
) -> FloatArray:
    """Return the same for the first turn of a beam that starts where it did.

    Nothing moves before the knob's element, and nothing for the RF.
    """
    moved = _rows(maps, ring.monitors) @ _at_start(maps, sources)
    return _collect(np.where(_is_behind(ring, sources), moved, 0.0), sources)


def moved_at(
    ring: CompiledRing,
    maps: TurnMap,
    sources: Sources,
    knobs: IntArray,
    places: IntArray,
) -> FloatArray:
    """Return d(closed orbit at some boundaries)/d(knob), (n, n_places, n_knobs).

    Args:
        ring: The compiled ring.
        maps: Maps of its present state.
        sources: Of the knobs.
        knobs: Indices of knobs.
        places: Indices of element boundaries, in any order.
    """
    n, transfer = maps.dimensions, maps.transfer[places]
    at_start = _at_start(maps, sources)
    closed = -(maps.closing @ maps.matrix) @ at_start
    is_behind = places[:, None, None] >= sources.exits
    moved = transfer @ closed + np.where(is_behind, transfer @ at_start, 0.0)
    flat = moved.reshape(len(places) * n, len(sources.exits))
    result = _collect(flat, sources)
    result = result.reshape(len(places), n, -1)
    result[:, :, knobs == len(ring.channels)] = transfer @ _rf_column(ring, maps)
    return result.transpose(1, 0, 2)


def from_sources(maps: TurnMap, monitors: IntArray, exits: IntArray) -> FloatArray:
    """Return d(x at monitors, then y)/d(source), (n_exits, 2·n_monitors, n).

    Args:
        maps: Maps of the present state.
        monitors: Indices of the monitors' elements.
        exits: Boundaries at which the coordinates are changed.
    """
    n, rows = maps.dimensions, _rows(maps, monitors)
    is_behind = np.tile(monitors[None, :] >= exits[:, None], (1, 2))
    closed = -(maps.closing @ maps.matrix)
    moved = rows @ closed + is_behind[:, :, None] * rows
    back = np.linalg.inv(maps.transfer[exits])
    return np.asarray(moved @ back, dtype=np.float64).reshape(len(exits), -1, n)


def _at_start(maps: TurnMap, sources: Sources) -> FloatArray:
    """Return the sources carried back to the beginning, (n, n_sources)."""
    if not len(sources.exits):
        return np.zeros((maps.dimensions, 0))
    solved = np.linalg.solve(maps.transfer[sources.exits], sources.vectors[:, :, None])
    return np.asarray(solved[:, :, 0].T, dtype=np.float64)


def _rows(maps: TurnMap, monitors: IntArray) -> FloatArray:
    """Return d(x at the monitors, then y)/d(start), (2·n_monitors, n)."""
    seen = maps.transfer[monitors][:, [0, 2], :]
    return np.ascontiguousarray(seen.transpose(1, 0, 2)).reshape(-1, maps.dimensions)


def _is_behind(ring: CompiledRing, sources: Sources) -> np.ndarray:
    """Return which monitors are behind which sources, (2·n_monitors, n_sources)."""
    return np.tile(ring.monitors[:, None] >= sources.exits[None, :], (2, 1))


def _rf_column(ring: CompiledRing, maps: TurnMap) -> FloatArray:
    """Return d(closed orbit at the beginning)/d(RF frequency), (n, 1)."""
    slope = ring.lengthening_slope()[: maps.dimensions]
    return (maps.closing @ slope)[:, None]


def _collect(moved: FloatArray, sources: Sources) -> FloatArray:
    """Sum the columns that belong to the same knob."""
    single = len(sources.column) == sources.columns
    if single and np.array_equal(sources.column, np.arange(sources.columns)):
        return moved
    result = np.zeros((sources.columns, len(moved)))
    np.add.at(result, sources.column, moved.T)
    return np.ascontiguousarray(result.T)
