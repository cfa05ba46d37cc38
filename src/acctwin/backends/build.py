"""From a profile and a simulated machine to devices."""

from __future__ import annotations

from typing import Any

import numpy as np
from ophyd_async.core import Device

from acctwin.backends.link import LinkConnector
from acctwin.backends.sim import transport
from acctwin.backends.sim.machine import SimMachine
from acctwin.devices.bounds import Bounds
from acctwin.devices.bpm import Bpm, BpmInfo, Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.family import Family
from acctwin.devices.magnet import Magnet, MagnetFamily, MagnetInfo, common_unit
from acctwin.devices.rf import Rf, RfInfo
from acctwin.devices.ring import Design, Machine, Runs
from acctwin.devices.setpoint import one
from acctwin.devices.status import StatusBoard
from acctwin.devices.tune import TuneMonitor
from acctwin.names import FloatArray
from acctwin.profiles.profile import Profile


def build_machine(
    profile: Profile, sim: SimMachine, design: Design, runs: Runs
) -> Machine:
    """Return the devices of a profile, on the simulated machine.

    Args:
        profile: The checked profile.
        sim: The simulated machine; its layout gives the positions.
        design: The design model that plans may ask.
        runs: Where plans find earlier runs.
    """
    rows = (*profile.magnets, *profile.bpms)
    board = StatusBoard({row.name: row.status for row in rows})
    magnets = _magnets(profile, sim, board)
    monitors = _bpms(profile, sim, board)
    families: dict[str, Family[Any]] = {}
    for name, members in profile.families().items():
        if members[0] in monitors:
            families[name] = _bpm_family(name, members, monitors, sim, board)
        else:
            families[name] = _magnet_family(name, members, magnets, sim, board)
    return Machine(
        title=profile.name,
        families=families,
        elements={**magnets, **monitors},
        instruments=_instruments(profile, sim),
        status=board,
        defaults=profile.defaults,
        design=design,
        runs=runs,
    )


def _magnets(
    profile: Profile, sim: SimMachine, board: StatusBoard
) -> dict[str, Magnet]:
    found: dict[str, Magnet] = {}
    for i, row in enumerate(profile.magnets):
        limits = one(row.name, row.low, row.high, row.tolerance, row.unit)
        link = transport.supplies(sim, row.name, np.array([i]), limits, scalar=True)
        info = MagnetInfo(
            row.name,
            row.component,
            row.unit,
            row.low,
            row.high,
            row.tolerance,
            row.delta,
            float(sim.layout.knob_s[i]),
        )
        found[row.name] = Magnet(LinkConnector(link), info, board)
    return found


def _bpms(profile: Profile, sim: SimMachine, board: StatusBoard) -> dict[str, Bpm]:
    return {
        row.name: Bpm(
            LinkConnector(transport.bpm(sim, row.name, i)),
            BpmInfo(row.name, float(sim.layout.monitor_s[i])),
            board,
        )
        for i, row in enumerate(profile.bpms)
    }


def _magnet_family(
    name: str,
    members: tuple[str, ...],
    magnets: dict[str, Magnet],
    sim: SimMachine,
    board: StatusBoard,
) -> MagnetFamily:
    knobs = _in_s_order(members, sim.layout.knobs, sim.layout.knob_s)
    ordered = {sim.layout.knobs[k]: magnets[sim.layout.knobs[k]] for k in knobs}
    infos = [magnet.info for magnet in ordered.values()]
    limits = Bounds(
        tuple(ordered),
        np.array([info.low for info in infos]),
        np.array([info.high for info in infos]),
        np.array([info.tolerance for info in infos]),
        common_unit(infos),
    )
    link = transport.supplies(sim, name, knobs, limits)
    return MagnetFamily(LinkConnector(link), name, ordered, limits, board)


def _bpm_family(
    name: str,
    members: tuple[str, ...],
    monitors: dict[str, Bpm],
    sim: SimMachine,
    board: StatusBoard,
) -> Bpms:
    chosen = _in_s_order(members, sim.layout.monitors, sim.layout.monitor_s)
    ordered = {sim.layout.monitors[i]: monitors[sim.layout.monitors[i]] for i in chosen}
    return Bpms(LinkConnector(transport.bpms(sim, name, chosen)), name, ordered, board)


def _instruments(profile: Profile, sim: SimMachine) -> dict[str, Device]:
    found: dict[str, Device] = {
        "tune": TuneMonitor(LinkConnector(transport.tune(sim, "tune"))),
        "dcct": Dcct(LinkConnector(transport.dcct(sim, "dcct"))),
    }
    row = profile.rf
    if row is not None:
        limits = one(row.name, row.low, row.high, row.tolerance, "Hz")
        knob = np.array([sim.layout.knobs.index("rf")])
        link = transport.supplies(
            sim, row.name, knob, limits, setpoint="frequency", scalar=True
        )
        info = RfInfo(row.name, row.low, row.high, row.tolerance, row.delta)
        found["rf"] = Rf(LinkConnector(link), info)
    return found


def _in_s_order(
    members: tuple[str, ...], known: tuple[str, ...], s: FloatArray
) -> np.ndarray:
    index = {name: i for i, name in enumerate(known)}
    chosen = np.array([index[name] for name in members])
    return chosen[np.argsort(s[chosen], kind="stable")]
