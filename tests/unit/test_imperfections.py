from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acctwin.defaults import Defaults
from acctwin.model.imperfections import draw
from acctwin.profiles.imperfections import BpmSpread, Imperfections, MagnetSpread
from acctwin.profiles.profile import (
    BpmRow,
    ElementRef,
    LatticeSource,
    MagnetRow,
    Origin,
    Profile,
)

WHERE = Origin("table.csv", 1)


def magnet(name: str, family: str, element: str, index: int = 0) -> MagnetRow:
    component = "hkick" if family == "hcm" else "b1"
    return MagnetRow(
        name,
        (family,),
        ElementRef(element, index),
        component,
        "rad",
        -1,
        1,
        1e-6,
        1e-5,
        True,
        WHERE,
    )


def bpm(name: str) -> BpmRow:
    return BpmRow(name, ("bpms",), ElementRef("BPM", int(name[1:])), True, WHERE)


def profile(
    magnets: Sequence[MagnetRow] | None = None,
    bpms: Sequence[str] = ("B0", "B1", "B2"),
    cut: float = 2.0,
) -> Profile:
    many = [magnet(f"Q{i}", "quadrupoles", "Q", i) for i in range(400)]
    return Profile(
        name="toy",
        description="",
        path=Path("toy.yaml"),
        operational_mode="design",
        lattice=LatticeSource("code:fodo"),
        magnets=tuple(many if magnets is None else magnets),
        bpms=tuple(bpm(name) for name in bpms),
        rf=None,
        beam_current_a=0.2,
        imperfections=Imperfections(
            magnets=(
                MagnetSpread(("quadrupoles",), 1e-5, 2e-5, 1e-4, 1e-3),
                MagnetSpread(("hcm",), scale=0.02),
            ),
            bpms=BpmSpread(3e-5, 0.01, 1e-3, 1e-6),
            tune_noise=1e-5,
            current_noise_a=1e-6,
            cut=cut,
        ),
        defaults=Defaults(),
        hash="",
    )


def test_no_seed_is_ideal_and_silent() -> None:
    errors = draw(profile(), None)
    assert errors.misalignments == ()
    assert np.all(errors.scale == 1.0) and np.all(errors.bpm_gain == 1.0)
    assert not np.any(errors.bpm_roll) and not np.any(errors.bpm_offset)
    assert errors.bpm_noise == errors.tune_noise == errors.current_noise_a == 0.0


def test_same_seed_same_machine() -> None:
    one, two, other = (draw(profile(), seed) for seed in (7, 7, 8))
    assert one.misalignments == two.misalignments != other.misalignments
    assert np.array_equal(one.bpm_gain, two.bpm_gain)
    assert not np.any(one.scale == other.scale)


def test_spread_is_what_the_profile_says() -> None:
    errors = draw(profile(), 1)
    dx = np.array([m.dx for m in errors.misalignments])
    dy = np.array([m.dy for m in errors.misalignments])
    # A normal distribution that is cut at two sigma has an rms of 0.88 sigma.
    assert dx.std() == pytest.approx(0.88e-5, rel=0.1)
    assert dy.std() == pytest.approx(1.76e-5, rel=0.1)
    assert errors.scale.std() == pytest.approx(0.88e-3, rel=0.1)
    assert errors.scale.mean() == pytest.approx(1.0, abs=2e-4)
    assert np.abs(dx).max() <= 2e-5
    assert np.abs(np.corrcoef(dx, dy)[0, 1]) < 0.2
    # Drawn again, not clipped: nothing piles up at the cut.
    assert np.count_nonzero(np.isclose(np.abs(dx), 2e-5, rtol=1e-6)) == 0
    assert errors.bpm_noise == 1e-6


def test_other_devices_change_nothing() -> None:
    few, many = draw(profile(bpms=["B0"]), 3), draw(profile(bpms=["B2", "B0"]), 3)
    assert few.misalignments == many.misalignments
    assert np.array_equal(few.scale, many.scale)
    assert np.array_equal(few.bpm_offset[0], many.bpm_offset[1])
    assert few.bpm_roll[0] == many.bpm_roll[1]
    less = replace(profile(), magnets=profile().magnets[5:])
    assert draw(less, 3).misalignments == few.misalignments[5:]


def test_rows_of_one_magnet_move_together() -> None:
    rows = [
        magnet("COIL", "hcm", "S"),
        magnet("MAGNET", "quadrupoles", "S"),
        magnet("OTHER", "hcm", "C"),
    ]
    errors = draw(profile(rows), 1)
    assert [m.element for m in errors.misalignments] == [ElementRef("S", 0)]
    assert len(set(errors.scale)) == 3


def test_kinds_are_independent() -> None:
    errors = draw(profile(), 1)
    assert len({*errors.bpm_gain.ravel() - 1}) == 6
    assert not np.any(errors.bpm_gain[:, 0] - 1 == errors.bpm_offset[:, 0] * 1e-2)
