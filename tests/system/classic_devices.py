"""Classic ophyd classes over the process variables of a served machine."""

from __future__ import annotations

from ophyd import Component, Device, EpicsSignal, EpicsSignalRO, PVPositionerIsClose


class Coil(PVPositionerIsClose):
    """A power supply in the way of a motor: a move is over when it is there."""

    setpoint = Component(EpicsSignal, ":SP")
    readback = Component(EpicsSignalRO, ":RB")
    atol, rtol = 0.005, 0.0


class Station(Device):
    """A device of which one signal is set and another one is read."""

    current = Component(EpicsSignal, ":SP")
    delivered = Component(EpicsSignalRO, ":RB", auto_monitor=True)
