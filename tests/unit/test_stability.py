from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import block_diag

from acctwin.errors import BeamLost
from acctwin.model.stability import check_stable


def rotation(tune: float, damping: float = 1.0) -> np.ndarray:
    angle = 2 * np.pi * tune
    cos, sin = np.cos(angle), np.sin(angle)
    return damping * np.array([[cos, sin], [-sin, cos]])


GROWING = np.diag([1.5, 1 / 1.5])


def test_damped_and_undamped_motion_is_stable() -> None:
    check_stable(block_diag(rotation(0.21), rotation(0.31)))
    check_stable(block_diag(rotation(0.21, 0.999), rotation(0.31), rotation(0.01)))


@pytest.mark.parametrize(
    ("blocks", "plane"),
    [
        ((GROWING, rotation(0.3)), "horizontal"),
        ((rotation(0.3), GROWING), "vertical"),
        ((rotation(0.3), rotation(0.2), GROWING), "longitudinal"),
    ],
)
def test_the_growing_plane_is_named(blocks: tuple[np.ndarray, ...], plane: str) -> None:
    words = rf"{plane} motion grows by a factor 1\.5 .*\|trace\| = 2\.167"
    with pytest.raises(BeamLost, match=words):
        check_stable(block_diag(*blocks))


def test_antidamping_is_unstable() -> None:
    with pytest.raises(BeamLost, match="vertical motion grows by a factor 1.001"):
        check_stable(block_diag(rotation(0.3), rotation(0.2, 1.001)))
