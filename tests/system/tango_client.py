"""Client of a served machine over Tango: PyTango, as any user has it."""

from __future__ import annotations

import time

import tango
from served import answer

DEVICES: dict[str, tango.DeviceProxy] = {}
SEEN: dict[str, list[float]] = {}


def device(name: str) -> tango.DeviceProxy:
    if name not in DEVICES:
        DEVICES[name] = tango.DeviceProxy(name)
    return DEVICES[name]


def read(name: str, attribute: str):
    return device(name).read_attribute(attribute).value


def quality(name: str, attribute: str) -> str:
    return str(device(name).read_attribute(attribute).quality)


def write(name: str, attribute: str, value) -> None:
    device(name).write_attribute(attribute, value)


def command(name: str, what: str, value) -> None:
    device(name).command_inout(what, value)


def config(name: str, attribute: str) -> dict:
    found = device(name).get_attribute_config(attribute)
    keys = ("unit", "format", "min_value", "max_value", "writable", "max_dim_x")
    return {key: str(getattr(found, key)) for key in keys}


def subscribe(name: str, attribute: str) -> None:
    key = f"{name} {attribute}"
    if key in SEEN:
        SEEN[key].clear()
        return
    SEEN[key] = []

    def note(event) -> None:
        if not event.err and event.attr_value.value is not None:
            SEEN[key].append(float(event.attr_value.value))

    device(name).subscribe_event(attribute, tango.EventType.CHANGE_EVENT, note)


def wait_for(name: str, attribute: str, value: float, timeout: float = 5.0) -> float:
    """Wait for an event with a value; return how long it took [s]."""
    begun = time.monotonic()
    seen = SEEN[f"{name} {attribute}"]
    while not any(abs(found - value) < 1e-9 for found in seen):
        if time.monotonic() > begun + timeout:
            raise TimeoutError(f"{name}/{attribute}: {value} did not come; {seen}")
        tango.DeviceProxy(name).ping()
    return time.monotonic() - begun


answer(globals())
