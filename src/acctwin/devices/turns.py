"""Turn-by-turn data: where each BPM saw the beam, turn after turn, after one kick."""

from __future__ import annotations

from typing import Annotated as A

import numpy as np
from ophyd_async.core import (
    DeviceConnector,
    SignalR,
    SignalRW,
)
from ophyd_async.core import StandardReadableFormat as Format

from acctwin.devices.bpm import Bpm, Bpms
from acctwin.devices.channel import Channel
from acctwin.devices.family import Family
from acctwin.devices.monitor import Triggered
from acctwin.devices.status import StatusBoard


class TurnByTurn(Triggered, Family[Bpm]):
    """The turn-by-turn records of all BPMs, in the order of ``machine.bpms``.

    A trigger fires the pinger with the amplitudes it is set to, and records. Within
    one stream of a run all records have the same length: set ``count`` before.

    Attributes:
        x: Horizontal positions [m], (n_turns, n_bpms).
        y: Vertical positions [m], (n_turns, n_bpms).
        count: How many turns the next record has.
        acquire: Fires the pinger and records.
    """

    x: A[SignalR[np.ndarray], Channel("x", "m"), Format.UNCACHED_SIGNAL]
    y: A[SignalR[np.ndarray], Channel("y", "m"), Format.UNCACHED_SIGNAL]
    count: A[SignalRW[int], Channel("count"), Format.CONFIG_SIGNAL]

    def __init__(
        self,
        connector: DeviceConnector,
        bpms: Bpms,
        board: StatusBoard,
        name: str = "turns",
    ) -> None:
        self._adopt({member: bpms[member] for member in bpms.names}, bpms.s, board)
        super().__init__(name=name, connector=connector)
