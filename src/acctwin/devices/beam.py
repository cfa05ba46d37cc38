"""What a reading without beam is to wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from acctwin.defaults import BeamDefaults

if TYPE_CHECKING:
    from acctwin.devices.current import Dcct


@dataclass(frozen=True)
class BeamWatch:
    """How plans wait for a lost beam.

    Attributes:
        defaults: Whether, for how long, for which current.
        dcct: Says whether the beam is back; None: it is tried.
    """

    defaults: BeamDefaults
    dcct: Dcct | None
