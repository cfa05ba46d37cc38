"""Bluesky's own plans and tables at the prompt; run by ``acctwin ipython``."""

import bluesky.plan_stubs as bps
import bluesky.plans as bp
from bluesky.callbacks import LiveTable

__all__ = ["LiveTable", "bp", "bps"]
