"""A control system in a dictionary, with a toy machine's addresses and every fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from toy import N_BPM, ToyEngine, engine_design, powered_profile

from acctwin.backends.build import build_machine
from acctwin.backends.control.channels import Channels
from acctwin.backends.control.client import INVALID, Sample
from acctwin.backends.control.plant import ControlPlant
from acctwin.backends.link import Links
from acctwin.defaults import Defaults, WaitDefaults
from acctwin.devices.ring import Machine
from acctwin.errors import LinkLost, PutRejected
from acctwin.profiles.control import Control
from acctwin.profiles.profile import Profile

X, Y, DCCT = "toy:BPM:X", "toy:BPM:Y", "toy:DCCT"


@dataclass
class ToyControl:
    """Satisfies ``client.Client``: what is put in a setpoint is in its readback.

    Attributes:
        completes: A put returns when the device has it.
        puts: Names and values, in order.
        refused: Names that take nothing.
        clamped: Names that take nothing above a value.
        ignored: Names whose puts are lost, without a word.
        hung: Names that never answer.
        mute: Whether changes are told; gets always answer.
    """

    completes: bool = True
    puts: list[tuple[str, Any]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    clamped: dict[str, float] = field(default_factory=dict)
    ignored: set[str] = field(default_factory=set)
    hung: set[str] = field(default_factory=set)
    mute: bool = False
    delay_s: float = 0.0
    samples: dict[str, Sample] = field(default_factory=dict)
    watchers: dict[str, Callable[[str, Sample | None], None]] = field(
        default_factory=dict
    )
    time: float = 1000.0

    def __post_init__(self) -> None:
        for name in ("PS0a", "PS0b", "PS1", "PS23"):
            self.samples |= {f"{name}:{c}": Sample(0.0, 1.0, 0) for c in ("SP", "RB")}
        for c in ("SP", "RB"):
            self.samples[f"T:RF:{c}"] = Sample(500e6, 1.0, 0)
        for name in (X, Y, "toy:BPM:SUM"):
            self.samples[name] = Sample(np.zeros(N_BPM), 1.0, 0)
        for name, value in {"QX": 0.2, "QY": 0.3, "QS": 0.01}.items():
            self.samples[f"toy:TUNE:{name}"] = Sample(value, 1.0, 0)
        self.samples[DCCT] = Sample(0.2, 1.0, 0)

    def set(self, name: str, value: Any, severity: int = 0) -> None:
        """Give an address a new value."""
        self.time += 1.0
        self.samples[name] = Sample(value, self.time, severity)
        if name in self.watchers and not self.mute:
            self.watchers[name](name, self.samples[name])

    def drop(self, name: str) -> None:
        """Disconnect an address."""
        self.hung.add(name)
        self.watchers[name](name, None)

    def drop_beam(self) -> None:
        """Lose the beam, as a control system shows it."""
        for name in (X, Y):
            self.set(name, np.full(N_BPM, np.nan), INVALID)
        self.set(DCCT, 0.0)

    def watch(self, names: Sequence[str], heard: Any) -> None:
        for name in names:
            self.watchers[name] = heard
            if name in self.samples and name not in self.hung:
                heard(name, self.samples[name])

    def problem(self, name: str) -> str:
        return "no such thing" if name not in self.samples else ""

    async def get(self, name: str) -> Sample:
        await self._answer(name)
        if name not in self.samples:
            raise LinkLost(f"ca://{name}: unknown")
        return self.samples[name]

    async def put(self, name: str, value: Any) -> None:
        self.puts.append((name, value))
        await self._answer(name)
        if name in self.refused:
            raise PutRejected(f"ca://{name}: write access denied")
        if name in self.ignored:
            return
        value = min(value, self.clamped.get(name, value))
        if self.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay_s, self._take, name, value)
        else:
            self._take(name, value)

    async def close(self) -> None:
        self.watchers.clear()

    def _take(self, name: str, value: Any) -> None:
        self.set(name, value)
        if name.endswith(":SP"):
            self.set(name.replace(":SP", ":RB"), value)

    async def _answer(self, name: str) -> None:
        await asyncio.sleep(0)
        if name in self.hung:
            await asyncio.sleep(60)


def control_profile(**control: Any) -> Profile:
    """Return the toy with supplies, on Channel Access, quick to give up."""
    waits = WaitDefaults(timeout_s=0.3)
    names = {(k, c): None for k in ("supply",) for c in ("moving",)}
    options: dict[str, Any] = {"update_s": 0.05, "names": names, **control}
    return replace(
        powered_profile(),
        control=Control(**options),
        defaults=replace(Defaults(), waits=waits),
    )


def control_plant(client: ToyControl, **control: Any) -> ControlPlant:
    """Return a plant on a toy control system; answers within 0.1 s."""
    profile = control_profile(**control)
    lock = "profile toy says read_only" if control.get("read_only") else ""
    channels = Channels(0.1, lock, {"ca": client})
    return ControlPlant(profile, ToyEngine().layout, channels)


async def control_machine(
    client: ToyControl, **control: Any
) -> tuple[Machine, ControlPlant]:
    """Return connected devices on a toy control system."""
    plant = control_plant(client, **control)
    machine = build_machine(
        control_profile(**control), Links(plant), engine_design(ToyEngine()), Any
    )
    await plant.connect(1.0)
    await machine.connect()
    return machine, plant
