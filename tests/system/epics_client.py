"""Client of a served machine over EPICS: pyepics and p4p, as any user has them."""

from __future__ import annotations

import time

import epicscorelibs.path.pyepics  # noqa: F401  first: one libca for both

# isort: split
import epics
from p4p.client.thread import Context
from served import answer

CONTEXT = Context("pva")
CHANNELS: dict[str, epics.PV] = {}
SEEN: dict[str, list[tuple[float, float]]] = {}


def pv(name: str) -> epics.PV:
    if name not in CHANNELS:
        CHANNELS[name] = epics.PV(name, form="ctrl", auto_monitor=False)
        if not CHANNELS[name].wait_for_connection(5):
            raise ConnectionError(name)
    return CHANNELS[name]


def caget(name: str, as_string: bool = False):
    return pv(name).get(use_monitor=False, as_string=as_string, timeout=5)


def caput(name: str, value) -> bool:
    """Put and wait for the completion; whether the server took it."""
    return pv(name).put(value, wait=True, timeout=20) == 1


def caput_all(values: dict) -> float:
    """Put many at once; return how long it took until all were over [s]."""
    begun = time.monotonic()
    channels = [pv(name) for name in values]
    for channel, value in zip(channels, values.values(), strict=True):
        channel.put(value, use_complete=True)
    while not all(channel.put_complete for channel in channels):
        if time.monotonic() > begun + 30:
            raise TimeoutError("puts")
        epics.ca.poll(0.001, 0.01)
    return time.monotonic() - begun


def control(name: str) -> dict:
    channel = pv(name)
    channel.get_ctrlvars()
    channel.get(use_monitor=False)
    keys = ("units", "precision", "lower_ctrl_limit", "upper_ctrl_limit")
    keys += ("severity", "status", "write_access")
    return {key: getattr(channel, key) for key in keys}


def monitor(name: str) -> None:
    SEEN[name] = []
    channel = epics.PV(name, auto_monitor=True)
    channel.wait_for_connection(5)
    channel.add_callback(lambda value, **_: SEEN[name].append((time.time(), value)))
    CHANNELS["monitor " + name] = channel


def seen(name: str) -> list:
    return SEEN[name]


def pvget(name: str):
    value = CONTEXT.get(name, timeout=5)
    return value.tolist() if hasattr(value, "tolist") else float(value)


def pvget_table(name: str) -> dict:
    table = CONTEXT.get(name, timeout=5, request=None)
    value = getattr(table, "value", table)
    if isinstance(table, list):  # rows of a table
        return {key: [row[key] for row in table] for key in table[0]}
    return {key: list(value[key]) for key in value}


def pvput(name: str, value: float) -> None:
    CONTEXT.put(name, value, timeout=20, wait=True)


answer(globals())
