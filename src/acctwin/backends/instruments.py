"""From a profile to the instruments of a machine: one of each kind."""

from __future__ import annotations

import numpy as np
from ophyd_async.core import Device

from acctwin.backends.link import LinkConnector
from acctwin.backends.sim import instruments as ports
from acctwin.backends.sim import transport
from acctwin.backends.sim.machine import SimMachine
from acctwin.devices.bpm import Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.emittance import EmittanceMonitor
from acctwin.devices.pinger import Pinger
from acctwin.devices.rf import Rf
from acctwin.devices.setpoint import SettableInfo, bounds_of
from acctwin.devices.status import StatusBoard
from acctwin.devices.tune import TuneMonitor
from acctwin.devices.turns import TurnByTurn
from acctwin.profiles.profile import KickRow, Profile, RfRow, SettingRow


def build_instruments(
    profile: Profile, sim: SimMachine, board: StatusBoard, bpms: Bpms | None
) -> dict[str, Device]:
    """Return the instruments of a profile by name, on the simulated machine.

    Args:
        profile: The checked profile.
        sim: The simulated machine.
        board: Which devices are good.
        bpms: All BPMs, if the machine has any; they take the turn-by-turn records.
    """
    found: dict[str, Device] = {
        "tune": TuneMonitor(LinkConnector(ports.tune(sim, "tune"))),
        "dcct": Dcct(LinkConnector(ports.dcct(sim, "dcct"))),
    }
    if profile.rf is not None:
        found["rf"] = _rf(profile.rf, sim, board)
    if profile.diagnostics.emittance:
        link = ports.emittance(sim, "emittance")
        found["emittance"] = EmittanceMonitor(LinkConnector(link))
    if profile.diagnostics.turns and bpms is not None:
        index = {name: i for i, name in enumerate(sim.layout.monitors)}
        monitors = np.array([index[name] for name in bpms.names], dtype=np.int64)
        link = ports.turns(sim, "turns", monitors)
        found["turns"] = TurnByTurn(LinkConnector(link), bpms, board)
    if profile.pinger is not None:
        kicks = {"pinger_x": profile.pinger.x, "pinger_y": profile.pinger.y}
        for plane, (name, row) in enumerate(kicks.items()):
            if row is not None:
                found[name] = _pinger(name, plane, row, sim, board)
    return found


def _rf(row: RfRow, sim: SimMachine, board: StatusBoard) -> Rf:
    info = _info(row, "Hz")
    knob = np.array([sim.layout.knobs.index("rf")])
    link = transport.magnets(
        sim, row.name, knob, bounds_of([info]), setpoint="frequency", scalar=True
    )
    return Rf(LinkConnector(link), info, board)


def _pinger(
    name: str, plane: int, row: KickRow, sim: SimMachine, board: StatusBoard
) -> Pinger:
    info = _info(row, "rad")
    link = ports.pinger(sim, row.name, plane, bounds_of([info]))
    return Pinger(LinkConnector(link), info, board, name)


def _info(row: SettingRow, unit: str) -> SettableInfo:
    return SettableInfo(row.name, row.low, row.high, row.tolerance, row.delta, unit)
