"""The channels of each device of the simulated machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ophyd_async.core import SignalBackend

from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.signal import Changes, Port, SimSignalBackend
from acctwin.devices.bounds import Bounds
from acctwin.devices.channel import Channel
from acctwin.names import FloatArray, IntArray


@dataclass(frozen=True)
class SimTransport:
    """The ports and commands of one device; satisfies ``link.Transport``."""

    ports: Mapping[str, Port]
    changes: Changes
    commands: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    limits: Bounds | None = None

    def signal(
        self, channel: Channel, datatype: type[Any] | None
    ) -> SignalBackend[Any]:
        """Return the backend of a signal."""
        return SimSignalBackend(datatype, self.ports[channel.name], self.changes)

    def command(self, channel: Channel) -> Callable[[], Any]:
        """Return the coroutine function behind a command."""
        return self.commands[channel.name]

    def bounds(self, channel: Channel) -> Bounds | None:
        """Return the limits of a channel that can be set."""
        return self.limits if self.ports[channel.name].write else None


def magnets(
    sim: SimMachine,
    address: str,
    knobs: IntArray,
    limits: Bounds,
    *,
    setpoint: str = "strength",
    scalar: bool = False,
) -> SimTransport:
    """Return the channels of one magnet, or of many as arrays; of the RF too."""

    def put(values: FloatArray) -> None:
        sim.put(knobs, values)

    return settable(
        sim.changes,
        {
            setpoint: lambda: sim.read_setpoints(knobs),
            "readback": lambda: sim.read_delivered(knobs),
        },
        put,
        address,
        limits,
        scalar=scalar,
    )


def supplies(
    sim: SimMachine,
    address: str,
    which: IntArray,
    limits: Bounds,
    *,
    scalar: bool = False,
) -> SimTransport:
    """Return the channels of one supply, or of many as arrays."""

    def put(values: FloatArray) -> None:
        sim.put_supplies(which, values)

    return settable(
        sim.changes,
        {
            "current": lambda: sim.read_supplies(which),
            "readback": lambda: sim.read_supplies_delivered(which),
        },
        put,
        address,
        limits,
        scalar=scalar,
    )


def settable(
    changes: Changes,
    reads: Mapping[str, Callable[[], tuple[FloatArray, float]]],
    put: Callable[[FloatArray], None],
    address: str,
    limits: Bounds,
    *,
    scalar: bool,
    scheme: str = "sim",
) -> SimTransport:
    """Return a setpoint, the first of ``reads``, its readback, and whether it moves."""

    def reader(
        read: Callable[[], tuple[FloatArray, float]],
    ) -> Callable[[], Awaitable[tuple[Any, float]]]:
        async def shaped() -> tuple[Any, float]:
            values, stamp = read()
            return (float(values[0]) if scalar else values), stamp

        return shaped

    def write(value: Any) -> None:
        put(np.atleast_1d(np.asarray(value, dtype=np.float64)))

    async def read_moving() -> tuple[Any, float]:
        (wanted, _), (seen, stamp) = (read() for read in reads.values())
        flags = (wanted != seen).astype(np.int64)
        return (int(flags[0]) if scalar else flags), stamp

    setpoint = next(iter(reads))
    ports = {
        name: Port(
            f"{address}/{name}",
            reader(read),
            limits.unit,
            write if name == setpoint else None,
            scheme,
        )
        for name, read in reads.items()
    }
    ports["moving"] = Port(f"{address}/moving", read_moving, scheme=scheme)
    return SimTransport(ports, changes, limits=limits)


def bpms(sim: SimMachine, address: str, monitors: np.ndarray) -> SimTransport:
    """Return the channels of many BPMs as arrays."""

    def plane(axis: int) -> Callable[[], Awaitable[tuple[Any, float]]]:
        async def read() -> tuple[Any, float]:
            sample = await sim.orbit()
            return sample.position[monitors, axis], sample.timestamp

        return read

    async def read_sum() -> tuple[Any, float]:
        current, stamp = await sim.current()
        return np.full(len(monitors), current), stamp

    ports = {
        "x": Port(f"{address}/x", plane(0), "m"),
        "y": Port(f"{address}/y", plane(1), "m"),
        "sum": Port(f"{address}/sum", read_sum, "A"),
    }
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_orbit})


def bpm(sim: SimMachine, address: str, monitor: int) -> SimTransport:
    """Return the channels of one BPM."""

    def plane(axis: int) -> Callable[[], Awaitable[tuple[Any, float]]]:
        async def read() -> tuple[Any, float]:
            sample = await sim.orbit()
            return float(sample.position[monitor, axis]), sample.timestamp

        return read

    ports = {
        "x": Port(f"{address}/x", plane(0), "m"),
        "y": Port(f"{address}/y", plane(1), "m"),
    }
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_orbit})
