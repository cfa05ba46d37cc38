"""From a profile, and where its devices are, to devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from acctwin.backends.instruments import build_instruments
from acctwin.backends.link import Links
from acctwin.backends.members import build_members
from acctwin.backends.supply_group import SupplyGroup
from acctwin.devices.beam import BeamWatch
from acctwin.devices.bpm import Bpm, BpmInfo, Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.family import Family
from acctwin.devices.linked import Linked
from acctwin.devices.magnet import Magnet, MagnetFamily, MagnetInfo
from acctwin.devices.ring import Design, Machine, Runs
from acctwin.devices.sealed import Sealed
from acctwin.devices.setpoint import Settable, bounds_of
from acctwin.devices.status import StatusBoard
from acctwin.names import BPMS, FloatArray, IntArray
from acctwin.profiles.profile import MagnetRow, Profile


def build_machine(
    profile: Profile, links: Links, design: Design, runs: Runs
) -> Machine:
    """Return the devices of a profile.

    Args:
        profile: The checked profile.
        links: Ties the devices to the plant that they are on; its layout gives the
            positions.
        design: The design model that plans may ask.
        runs: Where plans find earlier runs.
    """
    return _Builder(profile, links).machine(design, runs)


class _Builder:
    """Builds each device once, families on top of them."""

    def __init__(self, profile: Profile, links: Links) -> None:
        self.profile, self.links = profile, links
        self.layout = links.plant.layout
        rows = (*profile.magnets, *profile.bpms, *profile.supplies)
        good = {row.name: row.status for row in rows}
        pinger = profile.pinger
        planes = (pinger.x, pinger.y) if pinger else ()
        others = (profile.rf, *planes, *profile.members)
        good.update({row.name: True for row in others if row})
        needs = {
            row.name: tuple(feed.supply for feed in row.feeds)
            for row in profile.magnets
        }
        self.board = StatusBoard(good, needs)
        self.supplies = SupplyGroup(profile, links, self.board)
        self.magnets = {
            row.name: self._magnet(i, row) for i, row in enumerate(profile.magnets)
        }
        self.bpms = {row.name: self._bpm(i) for i, row in enumerate(profile.bpms)}

    def machine(self, design: Design, runs: Runs) -> Machine:
        families: dict[str, Family[Any]] = {
            name: self._family(name, members)
            for name, members in self.profile.families().items()
        }
        bpms = families.get(BPMS)
        instruments = build_instruments(
            self.profile,
            self.links,
            self.board,
            bpms if isinstance(bpms, Bpms) else None,
        )
        if self.supplies.members:
            instruments["supplies"] = self.supplies.family(
                "supplies", list(self.supplies.members)
            )
        machine = Machine(
            title=self.profile.name,
            families=families,
            elements={**self.magnets, **self.bpms, **self.supplies.members},
            instruments=instruments,
            members=build_members(self.profile, self.links, self.board),
            status=self.board,
            defaults=self.profile.defaults,
            design=design,
            runs=runs,
        )
        watch = self._beam_watch(instruments.get("dcct"))
        for device in machine.everything():
            if isinstance(device, Linked):
                device.beam = watch
            if isinstance(device, Settable):
                device.wait_as(self.profile.defaults.waits)
        for device in (machine, *machine.everything()):
            if isinstance(device, Sealed):
                device.seal()
        return machine

    def _beam_watch(self, dcct: Any) -> BeamWatch:
        has_dcct = isinstance(dcct, Dcct)
        return BeamWatch(self.profile.defaults.beam, dcct if has_dcct else None)

    def _magnet(self, index: int, row: MagnetRow) -> Magnet:
        info = MagnetInfo(
            name=row.name,
            low=row.low,
            high=row.high,
            tolerance=row.tolerance,
            delta=row.delta,
            unit=row.unit,
            component=row.component,
            s=float(self.layout.knob_s[index]),
        )
        knob, limits = np.array([index]), bounds_of([info])
        link = self.links.connector(
            lambda plant: plant.magnets(row.name, knob, limits, scalar=True)
        )
        behind = self.supplies.of([row.name])
        return Magnet(link, info, self.board, tuple(behind.values()))

    def _bpm(self, index: int) -> Bpm:
        name = self.profile.bpms[index].name
        info = BpmInfo(name, float(self.layout.monitor_s[index]))
        link = self.links.connector(lambda plant: plant.bpm(name, index))
        return Bpm(link, info, self.board)

    def _family(self, name: str, members: Sequence[str]) -> Family[Any]:
        if members[0] in self.bpms:
            return self._bpm_family(name, members)
        layout = self.layout
        knobs = _in_s_order(members, layout.knobs, layout.knob_s)
        ordered = {layout.knobs[k]: self.magnets[layout.knobs[k]] for k in knobs}
        bounds = bounds_of([magnet.info for magnet in ordered.values()])
        link = self.links.connector(lambda plant: plant.magnets(name, knobs, bounds))
        behind = list(self.supplies.of(ordered))
        supplies = self.supplies.family(f"{name}_supplies", behind) if behind else None
        return MagnetFamily(link, name, ordered, bounds, self.board, supplies)

    def _bpm_family(self, name: str, members: Sequence[str]) -> Bpms:
        layout = self.layout
        chosen = _in_s_order(members, layout.monitors, layout.monitor_s)
        ordered = {layout.monitors[i]: self.bpms[layout.monitors[i]] for i in chosen}
        link = self.links.connector(
            lambda plant: plant.bpms(name, chosen, lambda: self.board.of(ordered))
        )
        return Bpms(link, name, ordered, self.board)


def _in_s_order(
    members: Sequence[str], known: tuple[str, ...], s: FloatArray
) -> IntArray:
    index = {name: i for i, name in enumerate(known)}
    chosen = np.array([index[name] for name in members], dtype=np.int64)
    return chosen[np.argsort(s[chosen], kind="stable")]
