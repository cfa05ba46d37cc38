"""The beam current monitor."""

from __future__ import annotations

from typing import Annotated as A

from ophyd_async.core import DeviceConnector, SignalR, StandardReadable
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.channel import Channel


class Dcct(StandardReadable):
    """Direct-current transformer.

    Attributes:
        current: Stored beam current [A]; 0 when the beam is lost.
    """

    _child_name_separator = "_"
    current: A[SignalR[float], Channel("current", "A"), Format.HINTED_UNCACHED_SIGNAL]

    def __init__(self, connector: DeviceConnector, name: str = "dcct") -> None:
        super().__init__(name=name, connector=connector)
