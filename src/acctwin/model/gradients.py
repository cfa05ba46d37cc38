"""How gradients, normal and skew, change the orbit response, to first order.

With a strength k an element maps what enters it with N(k), N' = dN/dk. An actuator
moves the orbit at its entrance by X; what leaves it changes by N'·X·dk, which is a
source like any other: B·N'·X at the monitors, with B the response of the monitors to
a source at the exit. Where one element is both actuator and gradient, its own source
depends on k as well. Exact for thick elements, with radiation, RF and coupling, about
an orbit that the gradients do not move: that of the design.
"""

from __future__ import annotations

import numpy as np

from acctwin.analysis.factors import Factors
from acctwin.model.channels import STEPS, Channel
from acctwin.model.compiled import CompiledRing
from acctwin.model.matrices import TurnMap
from acctwin.model.response import Sources, from_sources, moved_at
from acctwin.names import FloatArray, IntArray

#: Half steps of the differences, of an integrated gradient [1/m] and of every
#: coordinate: small against the nonlinearity of any magnet, large against rounding.
GRADIENT_STEP, COORDINATE_STEP = 1e-4, 1e-6
#: What is a smaller part of a derivative than this is left out.
NEGLIGIBLE = 1e-8


def gradient_factors(
    ring: CompiledRing,
    maps: TurnMap,
    monitors: IntArray,
    knobs: IntArray,
    sources: Sources,
    gradients: IntArray,
) -> Factors:
    """Return d(orbit response)/d(gradient) as factors.

    Args:
        ring: The compiled ring; strengths are as before afterwards.
        maps: Maps of its present state.
        monitors: Indices of the monitors' elements, (n_monitors,).
        knobs: Indices of the actuators.
        sources: Of the actuators.
        gradients: Indices of knobs, each of component b1 or a1.
    """
    pairs = [
        (owner, channel)
        for owner, knob in enumerate(gradients.tolist())
        for channel in ring.channels[knob]
    ]
    elements = np.array([channel.element for _, channel in pairs], dtype=np.int64)
    entering = moved_at(ring, maps, sources, knobs, elements).transpose(1, 0, 2)
    change = np.array([_map_slope(ring, maps, channel) for _, channel in pairs])
    leaving = change.reshape(-1, maps.dimensions, maps.dimensions) @ entering
    _add_own(ring, maps, knobs, leaving, [channel for _, channel in pairs])
    left, right = _compressed(from_sources(maps, monitors, elements + 1), leaving)
    owner = np.array([owner for owner, _ in pairs], dtype=np.int64)
    return Factors(owner, left, right, len(gradients))


def _compressed(left: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return factors of the same products, with the smallest rank that all allow.

    Args:
        left: (n, rows, rank).
        right: (n, rank, columns).
    """
    if not len(left):
        return left, right
    basis, triangle = np.linalg.qr(left)
    turned, sizes, rows = np.linalg.svd(triangle @ right, full_matrices=False)
    largest = np.maximum(sizes[:, :1], np.finfo(float).tiny)
    rank = max(1, int((sizes > NEGLIGIBLE * largest).sum(axis=1).max()))
    kept = sizes[:, None, :rank]
    return basis @ (turned[:, :, :rank] * kept), rows[:, :rank]


def _map_slope(ring: CompiledRing, maps: TurnMap, gradient: Channel) -> FloatArray:
    """Return d(map of the element)/d(knob), (n, n)."""
    n = maps.dimensions
    beam = np.repeat(maps.orbit[gradient.element][:, None], 2 * n, axis=1)
    which = np.arange(n)
    beam[which, which] += COORDINATE_STEP
    beam[which, which + n] -= COORDINATE_STEP
    slope = _gradient_slope(ring, gradient, beam)[:n]
    return (slope[:, :n] - slope[:, n:]) / (2 * COORDINATE_STEP)


def _add_own(
    ring: CompiledRing,
    maps: TurnMap,
    knobs: IntArray,
    leaving: FloatArray,
    gradients: list[Channel],
) -> None:
    """Add what changes of an actuator's source by a gradient in the same element."""
    actuators: dict[int, list[tuple[int, Channel, float]]] = {}
    for column, knob in enumerate(knobs.tolist()):
        for channel in ring.channels[knob] if knob < len(ring.channels) else ():
            step = STEPS[ring.components[knob]]
            found = actuators.setdefault(channel.element, [])
            found.append((column, channel, step))
    for row, gradient in enumerate(gradients):
        for column, channel, step in actuators.get(gradient.element, ()):
            start = maps.orbit[gradient.element][:, None]
            present = channel.array[channel.index]
            sides = []
            for sign in (1, -1):
                channel.array[channel.index] = present + sign * channel.gain * step
                sides.append(
                    _gradient_slope(ring, gradient, start)[: maps.dimensions, 0]
                )
            channel.array[channel.index] = present
            leaving[row, :, column] += (sides[0] - sides[1]) / (2 * step)


def _gradient_slope(
    ring: CompiledRing, gradient: Channel, beam: FloatArray
) -> FloatArray:
    """Return d(coordinates at the exit of the element)/d(knob), (6, n)."""
    array, k, element = gradient.array, gradient.index, gradient.element
    step = GRADIENT_STEP / (ring.ring[element].Length or 1.0)
    present = array[k]
    sides = []
    for sign in (1, -1):
        array[k] = present + sign * gradient.gain * step
        sides.append(ring.tracker.beam_through(element, beam))
    array[k] = present
    return (sides[0] - sides[1]) / (2 * step)
