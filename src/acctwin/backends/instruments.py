"""From a profile to the instruments of a machine: one of each kind."""

from __future__ import annotations

import numpy as np
from ophyd_async.core import Device

from acctwin.backends.link import Links
from acctwin.devices.bpm import Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.emittance import EmittanceMonitor
from acctwin.devices.injection import InjectionMonitor
from acctwin.devices.lifetime import LifetimeMonitor
from acctwin.devices.pinger import Pinger
from acctwin.devices.rf import Rf
from acctwin.devices.setpoint import SettableInfo, bounds_of
from acctwin.devices.status import StatusBoard
from acctwin.devices.tune import TuneMonitor
from acctwin.devices.turns import TurnByTurn
from acctwin.profiles.profile import KickRow, Profile, RfRow, SettingRow


def build_instruments(
    profile: Profile, links: Links, board: StatusBoard, bpms: Bpms | None
) -> dict[str, Device]:
    """Return the instruments of a profile by name.

    Args:
        profile: The checked profile.
        links: Where devices are.
        board: Which devices are good.
        bpms: All BPMs, if the machine has any; they take the turn-by-turn records.
    """
    found: dict[str, Device] = {
        "tune": TuneMonitor(links.connector(lambda plant: plant.tune("tune")), "tune"),
        "dcct": Dcct(links.connector(lambda plant: plant.dcct("dcct")), "dcct"),
    }
    if profile.rf is not None:
        found["rf"] = _rf(profile.rf, links, board)
    found |= _monitors(profile, links)
    if profile.diagnostics.turns and bpms is not None:
        index = {name: i for i, name in enumerate(links.plant.layout.monitors)}
        monitors = np.array([index[name] for name in bpms.names], dtype=np.int64)
        link = links.connector(lambda plant: plant.turns("turns", monitors))
        found["turns"] = TurnByTurn(link, bpms, board)
    if profile.pinger is not None:
        kicks = {"pinger_x": profile.pinger.x, "pinger_y": profile.pinger.y}
        for plane, (name, row) in enumerate(kicks.items()):
            if row is not None:
                found[name] = _pinger(name, plane, row, links, board)
    return found


def _monitors(profile: Profile, links: Links) -> dict[str, Device]:
    """Return the instruments that not every machine has."""
    found: dict[str, Device] = {}
    if profile.diagnostics.emittance:
        link = links.connector(lambda plant: plant.emittance("emittance"))
        found["emittance"] = EmittanceMonitor(link, "emittance")
    if profile.injection is not None:
        link = links.connector(lambda plant: plant.injection("injection"))
        found["injection"] = InjectionMonitor(link, "injection")
    if profile.diagnostics.lifetime:
        link = links.connector(lambda plant: plant.lifetime("lifetime"))
        found["lifetime"] = LifetimeMonitor(link, "lifetime")
    return found


def _rf(row: RfRow, links: Links, board: StatusBoard) -> Rf:
    info = _info(row, "Hz")
    limits = bounds_of([info])
    link = links.connector(lambda plant: plant.rf(row.name, limits))
    return Rf(link, info, board)


def _pinger(
    name: str, plane: int, row: KickRow, links: Links, board: StatusBoard
) -> Pinger:
    info = _info(row, "rad")
    limits = bounds_of([info])
    link = links.connector(lambda plant: plant.pinger(row.name, plane, limits))
    return Pinger(link, info, board, name)


def _info(row: SettingRow, unit: str) -> SettableInfo:
    return SettableInfo(row.name, row.low, row.high, row.tolerance, row.delta, unit)
