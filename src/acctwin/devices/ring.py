"""A machine: its families and devices by name, and what plans may ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ophyd_async.core import DEFAULT_TIMEOUT as CONNECT_TIMEOUT_S
from ophyd_async.core import Device, DeviceMock, StandardReadable

from acctwin.analysis.loco.gains import Linear
from acctwin.analysis.optics import LocalOptics
from acctwin.defaults import Defaults
from acctwin.devices.bpm import Bpms
from acctwin.devices.current import Dcct
from acctwin.devices.emittance import EmittanceMonitor
from acctwin.devices.family import Family
from acctwin.devices.injection import InjectionMonitor
from acctwin.devices.lifetime import LifetimeMonitor
from acctwin.devices.magnet import MagnetFamily
from acctwin.devices.member import ReadableMember, SettableMember
from acctwin.devices.pinger import Pinger
from acctwin.devices.rf import Rf
from acctwin.devices.sealed import Sealed
from acctwin.devices.setpoint import Settable
from acctwin.devices.status import StatusBoard
from acctwin.devices.supply import SupplyFamily
from acctwin.devices.tune import TuneMonitor
from acctwin.devices.turns import TurnByTurn
from acctwin.errors import UnknownName
from acctwin.names import BPMS, MAGNET_FAMILIES, FloatArray


class Design(Protocol):
    """What a plan may ask of the design model, which knows no errors."""

    def orbit_response(
        self, monitors: Sequence[str], actuators: Sequence[str]
    ) -> FloatArray:
        """Return d(x at the monitors, then y)/d(actuator), (2·n_mon, n_act)."""
        ...

    def place_response(
        self, places: Sequence[str], actuators: Sequence[str]
    ) -> FloatArray:
        """Return d(x, px, y, py at the places)/d(actuator), (4, n_places, n_act).

        A place is a monitor, or the entrance of a magnet.
        """
        ...

    def optics(self, places: Sequence[str]) -> LocalOptics:
        """Return the optics at monitors, or averaged along magnets, by name."""
        ...

    def beta_with(
        self, monitors: Sequence[str], knobs: Sequence[str], values: FloatArray
    ) -> FloatArray:
        """Return β with some magnets set differently [m], (n_monitors, 2)."""
        ...

    def linear_with(
        self,
        monitors: Sequence[str],
        actuators: Sequence[str],
        knobs: Sequence[str],
        values: FloatArray,
    ) -> Linear:
        """Return responses with some magnets set differently, without gains."""
        ...

    def tunes(self) -> FloatArray:
        """Return qx, qy with integer part, and qs (0 without RF), (3,)."""
        ...

    def chromaticity(self) -> FloatArray:
        """Return dQ/dδ in x and y, (2,)."""
        ...

    def slip_factor(self) -> float:
        """Return η = αc − 1/γ²: δ = −(Δf/f)/η."""
        ...

    def circumference(self) -> float:
        """Return the length of the design orbit [m]."""
        ...

    def tune_response(self, magnets: Sequence[str]) -> FloatArray:
        """Return dQ/d(strength) of quadrupoles in x and y, (2, n)."""
        ...

    def chromaticity_response(self, magnets: Sequence[str]) -> FloatArray:
        """Return d(dQ/dδ)/d(strength) of sextupoles in x and y, (2, n)."""
        ...

    def coupling_response(
        self,
        monitors: Sequence[str],
        actuators: Sequence[str],
        skews: Sequence[str],
    ) -> FloatArray:
        """Return d(orbit response)/d(skew strength), (2·n_mon, n_act, n_skew)."""
        ...

    def setpoints(self, knobs: Sequence[str]) -> FloatArray:
        """Return the design's strength of some magnets, or ``"rf"`` [Hz], (n,)."""
        ...


class Runs(Protocol):
    """Where a plan finds an earlier run."""

    def run(self, key: str | int) -> Any:
        """Return the run with this uid, prefix or index."""
        ...


class References(Protocol):
    """Which runs are the references ("golden" values) of this machine.

    Attributes:
        operational_mode: The optics mode that they are for.
        is_frozen: Whether they cannot be changed from here.
    """

    operational_mode: str
    is_frozen: bool

    def current(self, kind: str) -> str | None:
        """Return the uid of the reference of a kind, None when there is none."""
        ...

    def history(self, kind: str) -> Sequence[Any]:
        """Return all changes of the reference of a kind, oldest first."""
        ...


class NoReferences:
    """The references of a machine that is not in a session: there are none."""

    operational_mode = ""
    is_frozen = False

    def current(self, kind: str) -> str | None:
        """Return None."""
        return None

    def history(self, kind: str) -> Sequence[Any]:
        """Return nothing."""
        return ()


class Machine(Sealed):
    """The devices of one machine.

    ``machine.hcm`` is a family, ``machine["QF1A"]`` any family or device by its
    profile name. Families that this machine does not have raise an
    :class:`AttributeError` that says which ones it has.

    Attributes:
        hcm, vcm, quadrupoles, sextupoles, skew_quadrupoles, octupoles, bends:
            Magnet families, where the machine has them.
        supplies: All power supplies, where the profile has them.
        bpms: All beam position monitors.
        rf: The RF frequency, where there is RF.
        tune: The tune monitor.
        dcct: The beam current monitor.
        emittance: The emittance monitor, where there is one.
        injection: The injection efficiency, where it is measured.
        lifetime: The beam's lifetime, where the control system has it.
        turns: The turn-by-turn records of the BPMs, where they take any.
        pinger_x, pinger_y: The kick of a turn-by-turn record, where there is one.
        members: Devices beside the families, by name: ``machine.members["scraper"]``.
        status: Which devices are good.
        defaults: What plans do when they are not told.
        design: The design model, for predictions.
        runs: Earlier runs.
        references: Which of them are references; none until a session says so.
    """

    _child_name_separator = "_"
    hcm: MagnetFamily
    vcm: MagnetFamily
    quadrupoles: MagnetFamily
    sextupoles: MagnetFamily
    skew_quadrupoles: MagnetFamily
    octupoles: MagnetFamily
    bends: MagnetFamily
    supplies: SupplyFamily
    bpms: Bpms
    rf: Rf
    tune: TuneMonitor
    dcct: Dcct
    emittance: EmittanceMonitor
    injection: InjectionMonitor
    lifetime: LifetimeMonitor
    turns: TurnByTurn
    pinger_x: Pinger
    pinger_y: Pinger

    def __init__(
        self,
        *,
        title: str,
        families: Mapping[str, Family[Any]],
        elements: Mapping[str, Device],
        instruments: Mapping[str, Device],
        status: StatusBoard,
        defaults: Defaults,
        design: Design,
        runs: Runs,
        members: Mapping[str, SettableMember | ReadableMember] = {},
    ) -> None:
        self.title = title
        self.families = dict(families)
        self.members = dict(members)
        self.elements = dict(elements)
        self.status = status
        self.defaults = defaults
        self.design = design
        self.runs = runs
        self.references: References = NoReferences()
        super().__init__()
        for name in (*MAGNET_FAMILIES, BPMS):
            if name in families:
                setattr(self, name, families[name])
        for name, device in instruments.items():
            setattr(self, name, device)

    def __getitem__(self, name: str) -> Any:
        children = dict(self.children())
        for there in (self.families, self.elements, self.members, children):
            if name in there:
                return there[name]
        known = [*self.families, *children, *self.members, *self.elements]
        raise UnknownName(f"family or device of {self.title}", name, known)

    def __contains__(self, name: object) -> bool:
        there = (self.families, self.elements, self.members)
        return any(name in devices for devices in there)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "families" not in self.__dict__:
            raise AttributeError(name)
        has = ", ".join(dict(self.children()))
        raise AttributeError(f"{self.title} has no {name!r}; it has: {has}")

    def has(self, name: str) -> bool:
        """Tell whether the machine has this family or instrument."""
        return name in self.families or name in dict(self.children())

    def mark_bad(self, *names: str) -> None:
        """Leave these devices out of every default from now on."""
        self.status.mark(names, good=False)

    def mark_good(self, *names: str) -> None:
        """Use these devices again."""
        self.status.mark(names, good=True)

    def setpoints(self) -> tuple[Settable, ...]:
        """Return what must be recorded to know the machine's state.

        The standard magnet families and the RF, each device once.
        """
        names = (*MAGNET_FAMILIES, "rf")
        return tuple(getattr(self, name) for name in names if self.has(name))

    def baseline(self) -> tuple[Settable, ...]:
        """Return what every run records at its start and end: setpoints, currents.

        Members too, those that are there.
        """
        supplies = (self.supplies,) if self.has("supplies") else ()
        there = [member for member in self.members.values() if member.is_there]
        settable = [member for member in there if isinstance(member, Settable)]
        return (*self.setpoints(), *supplies, *settable)

    def recorded(self) -> tuple[StandardReadable, ...]:
        """Return the baseline, and the members that are only read."""
        members = self.members.values()
        only_read = [m for m in members if isinstance(m, ReadableMember) and m.is_there]
        return (*self.baseline(), *only_read)

    def everything(self) -> list[Device]:
        """Return every family, device, supply and instrument, each once."""
        families = self.families.values()
        behind = [getattr(family, "supplies", None) for family in families]
        devices = (
            *dict(self.children()).values(),
            *families,
            *(supplies for supplies in behind if supplies is not None),
            *self.elements.values(),
            *self.members.values(),
        )
        return list({id(device): device for device in devices}.values())

    async def connect(
        self,
        mock: bool | DeviceMock[Any] = False,
        timeout: float = CONNECT_TIMEOUT_S,
        force_reconnect: bool = False,
    ) -> None:
        """Connect every family, device and instrument."""
        await asyncio.gather(
            *(
                device.connect(mock, timeout, force_reconnect)
                for device in self.everything()
            )
        )
