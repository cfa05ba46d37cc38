"""The Tango device of the simulation itself: its life, and faults as commands."""

from __future__ import annotations

import time
from typing import Any, Protocol

from acctwin.errors import DeviceError
from acctwin.servers.hub import Hub

#: Commands that take the name of a device, and the faults they put in.
FAULTS = {
    "Trip": "trip",
    "Stick": "stick",
    "Repair": "repair",
    "FreezeBpm": "freeze_bpm",
}


class Served(Protocol):
    """What the device asks the server."""

    hub: Hub
    id: str
    read_only: bool

    def put_fault(self, fault: str, name: str) -> bool:
        """Put in a fault."""
        ...

    def drop_beam(self, dropped: bool) -> None:
        """Drop the beam, or let it be injected again."""
        ...

    @property
    def simulated_time(self) -> float:
        """The machine's own time [s since the epoch]."""
        ...


def simulation_class(tango: Any, served: Served) -> Any:
    """Return the class of the device; it has no setting of its own."""
    begun = time.monotonic()
    attribute, command = tango.server.attribute, tango.server.command

    def init_device(self: Any) -> None:
        tango.server.Device.init_device(self)
        self.set_state(tango.DevState.ON)

    readers: dict[str, tuple[type, Any]] = {
        "Heartbeat": (int, lambda _: int(2.0 * (time.monotonic() - begun))),
        "SimulatedTime": (float, lambda _: served.simulated_time),
        "Server": (str, lambda _: served.id),
        "Beam": (str, lambda _: served.hub.beam),
        "Message": (str, lambda _: served.hub.faults.message),
    }
    body: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": "The life of a served machine, and its faults.",
        "init_device": init_device,
    }
    for name, (dtype, read) in readers.items():
        body[name] = attribute(dtype=dtype, fget=read)
    for name, fault in FAULTS.items():
        body[name] = command(_fault(served, name, fault), dtype_in=str)
    body["DropBeam"] = command(_drop(served), dtype_in=bool)
    return type("Simulation", (tango.server.Device,), body)


def _fault(served: Served, name: str, fault: str) -> Any:
    def put_in(self: Any, device: str) -> None:
        _check_writable(served)
        if not served.put_fault(fault, device):
            raise DeviceError(served.hub.faults.message)

    put_in.__name__ = name
    return put_in


def _drop(served: Served) -> Any:
    def drop(self: Any, dropped: bool) -> None:
        _check_writable(served)
        served.drop_beam(dropped)

    drop.__name__ = "DropBeam"
    return drop


def _check_writable(served: Served) -> None:
    if served.read_only:
        raise DeviceError("this server is read-only: it takes no faults")
