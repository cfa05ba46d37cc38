"""Waiting for a beam that was lost while a plan was reading."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import bluesky.plan_stubs as bps
from bluesky.utils import FailedStatus, Msg, MsgGenerator

from acctwin.devices.beam import BeamWatch
from acctwin.errors import BeamLost

log = logging.getLogger(__name__)

#: Time between two looks whether the beam is back [s].
LOOK_S = 1.0
#: Time between two lines in the log [s].
TELL_S = 10.0

T = TypeVar("T")


def watch_of(devices: Sequence[Any]) -> BeamWatch | None:
    """Return how to wait for the beam that some devices see; None: not at all."""
    found = (getattr(device, "beam", None) for device in devices)
    watch = next((one for one in found if isinstance(one, BeamWatch)), None)
    return watch if watch is not None and watch.defaults.lost == "wait" else None


def with_beam(
    watch: BeamWatch | None, reading: Callable[[], MsgGenerator[T]]
) -> MsgGenerator[T]:
    """Take a reading; when there is no beam, wait for it and take it anew.

    Nothing is moved. A beam that cannot come back, since a setting of the plan itself
    keeps it away, is waited for as long as any other.

    Args:
        watch: How to wait; None: a lost beam is an error at once.
        reading: Returns the plan of a whole reading.

    Raises:
        BeamLost: It did not come back in time.
    """
    begun: float | None = None
    while True:
        try:
            found = yield from reading()
        except BeamLost as error:
            if watch is None:
                raise
            if begun is None:
                begun = time.monotonic()
                words = "%s; paused for up to %g s, until the beam is back"
                log.warning(words, error, watch.defaults.wait_s)
            yield from _until_back(watch, begun, error)
        else:
            if begun is not None:
                passed = time.monotonic() - begun
                log.warning("the beam is back after %.0f s; read again", passed)
            return found


def _until_back(watch: BeamWatch, begun: float, error: BeamLost) -> MsgGenerator[None]:
    wait_s, told = watch.defaults.wait_s, time.monotonic()
    while True:
        now = time.monotonic()
        if now - begun > wait_s:
            raise BeamLost(f"the beam did not come back within {wait_s:g} s: {error}")
        if now - told >= TELL_S:
            log.warning("still no beam, %.0f s", now - begun)
            told = now
        yield from bps.sleep(min(LOOK_S, wait_s))
        yield Msg("checkpoint")
        if (yield from _is_there(watch)):
            return


def _is_there(watch: BeamWatch) -> MsgGenerator[bool]:
    """Look at the current; without a monitor, say yes: it is tried."""
    if watch.dcct is None:
        return True
    dcct, group = watch.dcct, uuid.uuid4().hex
    try:
        yield Msg("trigger", dcct, group=group)
        yield Msg("wait", None, group=group)
        reading = yield Msg("read", dcct)
    except BeamLost:
        return False
    except FailedStatus as failed:
        if isinstance(failed.__cause__, BeamLost):
            return False
        raise
    current = reading[dcct.current.name]["value"]
    return current > 0.0 and current >= watch.defaults.minimum_a
