"""What the queue's process tells its worker, as variables of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from acctwin.errors import PlanError
from acctwin.names import Mode
from acctwin.session.queue.folder import QueueConfig

PREFIX = "ACCTWIN_QUEUE_"


def environment(config: QueueConfig) -> dict[str, str]:
    """Return the variables that say which session the worker opens."""
    values = {
        "PROFILE": config.profile,
        "MODE": config.mode,
        "SEED": None if config.seed is None else str(config.seed),
        "CATALOG": config.catalog,
        "SITE": config.site,
    }
    return {PREFIX + name: value or "" for name, value in values.items()}


def session_options(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the arguments of :func:`acctwin.open_session` that the variables give.

    Raises:
        PlanError: No profile is named, or the mode or the seed makes no sense.
    """
    given = {
        name: environ.get(PREFIX + name) or None
        for name in ("PROFILE", "MODE", "SEED", "CATALOG", "SITE")
    }
    if given["PROFILE"] is None:
        raise PlanError(
            f"{PREFIX}PROFILE does not say which machine this is; start the queue with "
            "`acctwin queue start PROFILE`"
        )
    mode, seed, site = given["MODE"] or "physics", given["SEED"], given["SITE"]
    if mode not in get_args(Mode) or mode == "replay":
        raise PlanError(f"{PREFIX}MODE is 'physics' or 'hardware', not {mode!r}")
    if seed is not None and not seed.isdecimal():
        raise PlanError(f"{PREFIX}SEED is a whole number, not {seed!r}")
    return {
        "profile": given["PROFILE"],
        "mode": mode,
        "seed": None if seed is None else int(seed),
        "catalog": given["CATALOG"],
        "site": None if site is None else Path(site),
    }
