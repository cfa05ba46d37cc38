"""EPICS PV Access, through p4p."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from p4p.client.asyncio import Context, Disconnected, RemoteError

from acctwin.backends.control.client import Heard, Sample, plain, severity_of
from acctwin.errors import LinkLost, PutRejected

REQUEST = "field(value,alarm,timeStamp)"


class PvAccess:
    """Satisfies ``client.Client``."""

    completes = True

    def __init__(self) -> None:
        self._context: Any = Context("pva", nt=False)
        self._watches: list[Any] = []

    def watch(self, names: Sequence[str], heard: Heard) -> None:
        """Tell of every value of some names from now on, the present one first."""

        async def hear(value: Any, *, name: str) -> None:
            heard(name, None if isinstance(value, Exception) else _sample(value))

        self._watches += [
            self._context.monitor(
                name, partial(hear, name=name), request=REQUEST, notify_disconnect=True
            )
            for name in names
        ]

    def problem(self, name: str) -> str:
        """Return nothing: who does not answer does not say why."""
        return ""

    async def get(self, name: str) -> Sample:
        """Ask for the value now."""
        try:
            return _sample(await self._context.get(name, request=REQUEST))
        except (Disconnected, RemoteError) as error:
            raise LinkLost(f"pva://{name}: {_words(error)}") from None

    async def put(self, name: str, value: Any) -> None:
        """Put a value and wait until it has been processed."""
        try:
            await self._context.put(name, {"value": value}, wait=True)
        except Disconnected as error:
            raise LinkLost(f"pva://{name}: {_words(error)}") from None
        except RemoteError as error:
            raise PutRejected(f"pva://{name}: {_words(error)}") from None

    async def close(self) -> None:
        """End every watch and connection."""
        for watch in self._watches:
            watch.close()
        for watch in self._watches:
            await watch.wait_closed()
        self._watches = []
        self._context.close()


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _sample(found: Any) -> Sample:
    stamp, value = found["timeStamp"], found["value"]
    if hasattr(value, "get") and not isinstance(value, str):
        value = value["index"]  # an enumeration
    time = stamp["secondsPastEpoch"] + 1e-9 * stamp["nanoseconds"]
    return Sample(plain(value), time, severity_of(found["alarm"]["severity"]))


CLIENT = PvAccess
