"""What every start document says about the session that made the run."""

from __future__ import annotations

import getpass
from importlib.metadata import version
from typing import Any

from acctwin.model.engine import Layout
from acctwin.names import Mode
from acctwin.profiles.profile import Profile

_PACKAGES = (
    "accelerator-toolbox",
    "bluesky",
    "ophyd-async",
    "tiled",
    "bluesky-tiled-plugins",
    "numpy",
    "scipy",
)


def session_metadata(
    profile: Profile,
    layout: Layout,
    *,
    mode: Mode,
    backends: tuple[str, ...],
    operator: str | None,
    seed: int | None,
) -> dict[str, Any]:
    """Return the part of a start document that is the same for all runs.

    Args:
        profile: The machine's profile.
        layout: The design model's.
        mode: ``"physics"``, ``"hardware"`` or ``"replay"``.
        backends: Where devices are.
        operator: Who runs it; None: the user of this computer.
        seed: Of the simulated machine's imperfections.
    """
    return {
        "profile": profile.name,
        "profile_hash": profile.hash,
        "operational_mode": profile.operational_mode,
        "mode": mode,
        "backends": list(backends),
        "lattice_hash": layout.lattice_hash,
        "energy": layout.energy,
        "units": "physics",
        "operator": operator or getpass.getuser(),
        "seed": seed,
        "acctwin_version": version("acctwin"),
        "versions_of": {name: version(name) for name in _PACKAGES},
    }
