"""EPICS Channel Access, through aioca.

An exception of aioca (``CANothing``) is false, so whoever asks ``if error:`` takes a
failed put for a good one. None of them leaves this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from aioca import (
    FORMAT_TIME,
    CANothing,
    Subscription,
    caget,
    camonitor,
    caput,
)
from epicscorelibs.ca.cadef import CAException, Disconnected

from acctwin.backends.control.client import Heard, Sample, plain, severity_of
from acctwin.errors import DeviceError, LinkLost, PutRejected


class ChannelAccess:
    """Satisfies ``client.Client``."""

    completes = True

    def __init__(self) -> None:
        self._watches: list[Subscription] = []

    def watch(self, names: Sequence[str], heard: Heard) -> None:
        """Tell of every value of some names from now on, the present one first."""

        def hear(value: Any, name: str) -> None:
            heard(name, _sample(value) if value.ok else None)

        self._watches += [
            camonitor(
                name,
                partial(hear, name=name),
                format=FORMAT_TIME,
                all_updates=True,
                notify_disconnect=True,
            )
            for name in names
        ]

    def problem(self, name: str) -> str:
        """Return nothing: who does not answer does not say why."""
        return ""

    async def get(self, name: str) -> Sample:
        """Ask for the value now."""
        try:
            found: Any = await caget(name, format=FORMAT_TIME, timeout=None)
        except (CANothing, CAException) as error:
            raise LinkLost(f"ca://{name}: {error}") from None
        except Disconnected:
            raise LinkLost(f"ca://{name}: disconnected") from None
        return _sample(found)

    async def put(self, name: str, value: Any) -> None:
        """Put a value and wait until it has been processed."""
        try:
            await caput(name, value, wait=True, timeout=None)
        except (CANothing, CAException) as error:
            raise _failed(name, str(error)) from None
        except Disconnected:
            raise LinkLost(f"ca://{name}: disconnected") from None

    async def close(self) -> None:
        """End every watch.

        Connections belong to the process: aioca ends them with it, not before, since
        another session may be using them.
        """
        for watch in self._watches:
            watch.close()
        self._watches = []


def _failed(name: str, words: str) -> DeviceError:
    is_lost = "isconnect" in words or "imeout" in words
    return (LinkLost if is_lost else PutRejected)(f"ca://{name}: {words}")


def _sample(value: Any) -> Sample:
    return Sample(plain(value), float(value.timestamp), severity_of(value.severity))


CLIENT = ChannelAccess
