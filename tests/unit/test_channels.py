"""Knobs as array writes, on single elements and against pyAT's own tracking."""

from __future__ import annotations

from typing import get_args

import at
import numpy as np
import pytest

from acctwin.errors import EngineError
from acctwin.model.channels import (
    PLACES,
    STEPS,
    carries,
    check_writes,
    open_channels,
)
from acctwin.names import COMPONENT_UNITS, Component

ENERGY = 1.5e9


def test_every_component_has_a_place_a_step_and_units() -> None:
    components = set(get_args(Component))
    assert components == set(PLACES) == set(STEPS) == set(COMPONENT_UNITS)


@pytest.mark.parametrize(
    ("element", "able"),
    [
        (at.Quadrupole("Q", 0.3, 1.0), "hkick vkick angle b1 b2 b3 a1"),
        (at.Sextupole("S", 0.2, 1.0), "hkick vkick angle b1 b2 b3 a1"),
        (at.Dipole("B", 1.0, 0.1, 0.5), "hkick vkick angle b1 b2 b3 a1"),
        (at.Corrector("C", 0.0, [0, 0]), "hkick vkick"),
        (at.ThinMultipole("T", [0, 0], [0, 1.0]), "angle b1 b2 b3 a1"),
        (at.Drift("D", 1.0), ""),
        (at.Monitor("M"), ""),
    ],
)
def test_what_an_element_carries(element: at.Element, able: str) -> None:
    found = [c for c in PLACES if carries(element, c, ENERGY)]
    # A thin multipole may take kicks in one version of pyAT and not in another.
    kicks = {"hkick", "vkick"} if type(element) is at.ThinMultipole else set()
    assert set(found) - kicks == set(able.split())


def test_many_knobs_of_one_element() -> None:
    ring = at.Lattice([at.Sextupole("S", 0.2, 30.0)], energy=ENERGY)
    components: list[Component] = ["hkick", "vkick", "a1", "b2", "b3"]
    channels, values = open_channels(ring, [[0]] * 5, components)
    assert values.tolist() == [0.0, 0.0, 0.0, 30.0, 0.0]
    for (channel,), value in zip(channels, (1e-4, 2e-4, 0.1, 25.0, 7.0), strict=True):
        channel.array[channel.index] = value
    sextupole = ring[0]
    assert sextupole.KickAngle.tolist() == [1e-4, 2e-4]
    assert sextupole.PolynomA[1] == 0.1
    assert sextupole.PolynomB[2:4].tolist() == [25.0, 7.0]
    assert sextupole.MaxOrder == 3


def test_pyat_sees_every_write() -> None:
    ring = at.Lattice(
        [
            at.Quadrupole("Q", 0.3, 1.0),
            at.Sextupole("S", 0.2, 1.0),
            at.Dipole("B", 1.0, 0.1, 0.5),
            at.Corrector("C", 0.0, [0, 0]),
        ],
        energy=ENERGY,
    )
    members = [[0], [1], [1], [2], [3]]
    components: list[Component] = ["b1", "hkick", "a1", "angle", "vkick"]
    channels, _ = open_channels(ring, members, components)
    checked = check_writes(ring, channels, components)
    assert all(channel.is_seen for found in checked for channel in found)


def test_an_element_that_cannot_is_named() -> None:
    ring = at.Lattice([at.Drift("D", 1.0), at.Monitor("M")], energy=ENERGY)
    with pytest.raises(EngineError, match="'D' .*Drift.* cannot carry 'b1'"):
        open_channels(ring, [[0]], ["b1"])
    channels, _ = open_channels(ring, [[1]], ["hkick"])
    with pytest.raises(EngineError, match="'M' .*Monitor.* cannot carry 'hkick'"):
        check_writes(ring, channels, ["hkick"])


def test_a_bend_is_set_by_its_whole_angle() -> None:
    """Two unlike slices bend a beam of another angle as one bend of that angle."""
    slices = [at.Dipole("B", 1.0, 0.1), at.Dipole("B", 0.5, 0.02)]
    ring = at.Lattice(slices, energy=ENERGY)
    ((first, second),), values = open_channels(ring, [[0, 1]], ["angle"])
    assert values[0] == pytest.approx(0.12)
    for channel in (first, second):
        channel.array[channel.index] = channel.base + channel.gain * 1.2e-5
    deflection = ring.track(np.zeros(6))[0][1, 0, 0, 0]
    assert deflection == pytest.approx(-1.2e-5, rel=1e-2)  # more angle: to -x
    share = first.gain * 1.0, second.gain * 0.5
    assert share == pytest.approx((0.1 / 0.12, 0.02 / 0.12))


def test_slices_share_a_kick_and_keep_their_own_gradients() -> None:
    ring = at.Lattice(
        [at.Quadrupole("Q", 0.1, 1.0), at.Quadrupole("Q", 0.1, 1.2)], energy=ENERGY
    )
    channels, values = open_channels(ring, [[0, 1], [0, 1]], ["hkick", "b1"])
    assert values == pytest.approx([0.0, 1.1])
    assert [c.gain for c in channels[0]] == [0.5, 0.5]
    assert [(c.base, c.gain) for c in channels[1]] == [(1.0, 1.0), (1.2, 1.0)]
