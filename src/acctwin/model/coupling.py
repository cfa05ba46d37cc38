"""How skew quadrupoles change the orbit response, to first order.

With a skew strength k an element maps what enters it with N(k), N' = dN/dk. An
actuator moves the orbit at its entrance by X; what leaves it changes by N'·X·dk,
which is a source like any other: B·N'·X at the monitors, with B the response of the
monitors to a source at the exit. Where one element is both actuator and skew, its own
source depends on k as well. Exact for thick elements, with radiation and RF, about an
orbit that the skews do not move: that of the design.
"""

from __future__ import annotations

import numpy as np

from acctwin.model.channels import STEPS, Channel
from acctwin.model.compiled import CompiledRing
from acctwin.model.matrices import TurnMap
from acctwin.model.response import Sources, from_sources, moved_at
from acctwin.names import FloatArray, IntArray

#: Half steps of the differences, of an integrated skew strength [1/m] and of every
#: coordinate: small against the nonlinearity of any magnet, large against rounding.
SKEW_STEP, COORDINATE_STEP = 1e-4, 1e-6


def coupling_response(
    ring: CompiledRing,
    maps: TurnMap,
    monitors: IntArray,
    knobs: IntArray,
    sources: Sources,
    skews: IntArray,
) -> FloatArray:
    """Return d(orbit response)/d(skew strength), (2·n_monitors, n_knobs, n_skews).

    Args:
        ring: The compiled ring; strengths are as before afterwards.
        maps: Maps of its present state.
        monitors: Indices of the monitors' elements, (n_monitors,).
        knobs: Indices of the actuators.
        sources: Of the actuators.
        skews: Indices of knobs, each of component a1.
    """
    pairs = [
        (s, channel)
        for s, skew in enumerate(skews.tolist())
        for channel in ring.channels[skew]
    ]
    elements = np.array([channel.element for _, channel in pairs], dtype=np.int64)
    entering = moved_at(ring, maps, sources, knobs, elements).transpose(1, 0, 2)
    change = [_map_slope(ring, maps, channel) for _, channel in pairs]
    leaving = np.array(change) @ entering
    _add_own(ring, maps, knobs, leaving, [channel for _, channel in pairs])
    seen = from_sources(maps, monitors, elements + 1) @ leaving
    result = np.zeros((len(skews), 2 * len(monitors), len(knobs)))
    np.add.at(result, [s for s, _ in pairs], seen)
    return np.ascontiguousarray(result.transpose(1, 2, 0))


def _map_slope(ring: CompiledRing, maps: TurnMap, skew: Channel) -> FloatArray:
    """Return d(map of the element)/d(knob), (n, n)."""
    n = maps.dimensions
    beam = np.repeat(maps.orbit[skew.element][:, None], 2 * n, axis=1)
    which = np.arange(n)
    beam[which, which] += COORDINATE_STEP
    beam[which, which + n] -= COORDINATE_STEP
    slope = _skew_slope(ring, skew, beam)[:n]
    return (slope[:, :n] - slope[:, n:]) / (2 * COORDINATE_STEP)


def _add_own(
    ring: CompiledRing,
    maps: TurnMap,
    knobs: IntArray,
    leaving: FloatArray,
    skews: list[Channel],
) -> None:
    """Add what changes of an actuator's source by a skew in the same element."""
    actuators: dict[int, list[tuple[int, Channel, float]]] = {}
    for column, knob in enumerate(knobs.tolist()):
        for channel in ring.channels[knob] if knob < len(ring.channels) else ():
            step = STEPS[ring.components[knob]]
            found = actuators.setdefault(channel.element, [])
            found.append((column, channel, step))
    for row, skew in enumerate(skews):
        for column, channel, step in actuators.get(skew.element, ()):
            start = maps.orbit[skew.element][:, None]
            present = channel.array[channel.index]
            sides = []
            for sign in (1, -1):
                channel.array[channel.index] = present + sign * channel.gain * step
                sides.append(_skew_slope(ring, skew, start)[: maps.dimensions, 0])
            channel.array[channel.index] = present
            leaving[row, :, column] += (sides[0] - sides[1]) / (2 * step)


def _skew_slope(ring: CompiledRing, skew: Channel, beam: FloatArray) -> FloatArray:
    """Return d(coordinates at the exit of the element)/d(knob), (6, n)."""
    array, k, element = skew.array, skew.index, skew.element
    step = SKEW_STEP / (ring.ring[element].Length or 1.0)
    present = array[k]
    sides = []
    for sign in (1, -1):
        array[k] = present + sign * skew.gain * step
        sides.append(ring.tracker.beam_through(element, beam))
    array[k] = present
    return (sides[0] - sides[1]) / (2 * step)
