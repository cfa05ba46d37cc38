"""The channels of the simulated machine's instruments: one of each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from acctwin.backends.sim.machine import SimMachine
from acctwin.backends.sim.signal import Port
from acctwin.backends.sim.transport import SimTransport, settable
from acctwin.devices.bounds import Bounds
from acctwin.devices.emittance import UNIT
from acctwin.names import FloatArray, IntArray


def tune(sim: SimMachine, address: str) -> SimTransport:
    """Return the channels of the tune monitor."""
    ports = _components(address, ("qx", "qy", "qs"), "1", sim.tunes)
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_tunes})


def emittance(sim: SimMachine, address: str) -> SimTransport:
    """Return the channels of the emittance monitor."""
    ports = _components(address, ("ex", "ey"), UNIT, sim.emittances)
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_emittances})


def injection(sim: SimMachine, address: str) -> SimTransport:
    """Return the channels of the injection monitor."""
    ports = {"efficiency": Port(f"{address}/efficiency", sim.injection, "1")}
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_injection})


def lifetime(sim: SimMachine, address: str) -> SimTransport:
    """Return the channels of the lifetime monitor."""
    ports = {"value": Port(f"{address}/value", sim.lifetime.read, "s")}
    return SimTransport(ports, sim.changes, {"acquire": sim.lifetime.acquire})


def dcct(sim: SimMachine, address: str) -> SimTransport:
    """Return the channels of the beam current monitor."""
    ports = {"current": Port(f"{address}/current", sim.current, "A")}
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_current})


def pinger(sim: SimMachine, address: str, plane: int, limits: Bounds) -> SimTransport:
    """Return the channels of one plane of the pinger: 0 horizontal, 1 vertical."""

    def read() -> tuple[FloatArray, float]:
        return sim.turns.kick[plane : plane + 1].copy(), sim.turns.kick_stamp

    def put(values: FloatArray) -> None:
        sim.turns.put_kick(plane, float(values[0]))

    reads = {"kick": read, "readback": read}
    return settable(sim.changes, reads, put, address, limits, scalar=True)


def turns(sim: SimMachine, address: str, monitors: IntArray) -> SimTransport:
    """Return the channels of the turn-by-turn records."""

    def plane(axis: int) -> Callable[[], Awaitable[tuple[Any, float]]]:
        async def read() -> tuple[Any, float]:
            record, stamp = sim.turns.read()
            return np.ascontiguousarray(record[:, monitors, axis]), stamp

        return read

    async def read_count() -> tuple[Any, float]:
        return sim.turns.count, sim.turns.kick_stamp

    ports = {
        "x": Port(f"{address}/x", plane(0), "m"),
        "y": Port(f"{address}/y", plane(1), "m"),
        "count": Port(f"{address}/count", read_count, None, sim.turns.put_count),
    }
    return SimTransport(ports, sim.changes, {"acquire": sim.acquire_turns})


def _components(
    address: str,
    names: tuple[str, ...],
    units: str,
    read_all: Callable[[], Awaitable[tuple[FloatArray, float]]],
) -> dict[str, Port]:
    """Return a port for each component of a reading."""

    def component(index: int) -> Callable[[], Awaitable[tuple[Any, float]]]:
        async def read() -> tuple[Any, float]:
            values, stamp = await read_all()
            return float(values[index]), stamp

        return read

    return {
        name: Port(f"{address}/{name}", component(i), units)
        for i, name in enumerate(names)
    }
