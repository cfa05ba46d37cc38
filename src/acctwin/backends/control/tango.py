"""Tango, through PyTango: one proxy for each device, events where there are any.

Calls of PyTango block, so they are made in threads of its own. A write returns when
the device server has taken the value, which may be before the device has it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
import tango  # type: ignore[import-untyped]

from acctwin.backends.control.client import INVALID, Heard, Sample, plain
from acctwin.errors import DeviceError, LinkLost, PutRejected

THREADS = 16
#: How often to ask for an attribute that has no value just then.
READS = 4
#: Time between two readings of attributes that send no events [s].
POLL_S = 0.2

_SEVERITY = {
    tango.AttrQuality.ATTR_VALID: 0,
    tango.AttrQuality.ATTR_CHANGING: 0,
    tango.AttrQuality.ATTR_WARNING: 1,
    tango.AttrQuality.ATTR_ALARM: 2,
    tango.AttrQuality.ATTR_INVALID: INVALID,
}


class TangoClient:
    """Satisfies ``client.Client``."""

    completes = False

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="acctwin tango")
        self._proxies: dict[str, Any] = {}
        self._lock = Lock()
        self._events: list[tuple[Any, int]] = []
        self._polled: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._problems: dict[str, str] = {}

    def watch(self, names: Sequence[str], heard: Heard) -> None:
        """Tell of every value of some names from now on, the present one first."""
        loop = asyncio.get_running_loop()

        def hear(name: str, sample: Sample | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(heard, name, sample)

        for job in (self._subscribe(names, hear), self._poll(heard)):
            task = loop.create_task(job)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def problem(self, name: str) -> str:
        """Return why a name cannot be watched, empty if that is not known."""
        return self._problems.get(name, "")

    async def get(self, name: str) -> Sample:
        """Ask for the value now."""
        try:
            return await self._call(self._read, name)
        except tango.DevFailed as error:
            raise LinkLost(f"tango://{name}: {_words(error)}") from None

    async def put(self, name: str, value: Any) -> None:
        """Hand a value to the device server."""
        try:
            await self._call(self._write, name, value)
        except tango.DevFailed as error:
            raise _failed(name, error) from None
        except TypeError as error:  # PyTango's answer when the server is gone
            raise LinkLost(f"tango://{name}: {error}") from None

    async def close(self) -> None:
        """End every watch and connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        events, self._events = self._events, []
        await asyncio.gather(
            *(self._call(_unsubscribe, *event) for event in events),
            return_exceptions=True,
        )
        await asyncio.to_thread(self._pool.shutdown)
        self._proxies.clear()

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args))

    async def _subscribe(
        self, names: Sequence[str], hear: Callable[[str, Sample | None], None]
    ) -> None:
        await asyncio.gather(*(self._call(self._listen, n, hear) for n in names))

    def _listen(self, name: str, hear: Callable[[str, Sample | None], None]) -> None:
        """Subscribe to the events of an attribute; without events, poll it."""

        def tell(event: Any) -> None:
            hear(name, None if event.err else _sample(event.attr_value))

        try:
            with tango.EnsureOmniThread():
                proxy, attribute = self._proxy(name)
                kind = tango.EventType.CHANGE_EVENT
                identity = proxy.subscribe_event(attribute, kind, tell)
            self._events.append((proxy, identity))
        except tango.DevFailed as error:
            self._problems[name] = _words(error)
            self._polled.append(name)

    async def _poll(self, heard: Heard) -> None:
        """Read what sends no events, also what could not be reached at first."""
        while True:
            for name in tuple(self._polled):
                try:
                    heard(name, await self.get(name))
                except LinkLost:
                    heard(name, None)
            await asyncio.sleep(POLL_S)

    def _proxy(self, name: str) -> tuple[Any, str]:
        """Return the proxy of a name's device, and the attribute."""
        path, mark, fragment = name.partition("#")
        device, _, attribute = path.rpartition("/")
        full = f"tango://{device}{mark}{fragment}" if mark else device
        with self._lock:
            if full not in self._proxies:
                self._proxies[full] = tango.DeviceProxy(full)
            return self._proxies[full], attribute

    def _read(self, name: str) -> Sample:
        proxy, attribute = self._proxy(name)
        for _ in range(READS - 1):
            with _no_value_yet():
                return _sample(proxy.read_attribute(attribute))
        return _sample(proxy.read_attribute(attribute))

    def _write(self, name: str, value: Any) -> None:
        proxy, attribute = self._proxy(name)
        proxy.write_attribute(attribute, value)


@contextlib.contextmanager
def _no_value_yet() -> Iterator[None]:
    """Go on where a server without serialization was asked while it sent an event."""
    try:
        yield
    except tango.DevFailed as error:
        if error.args[0].reason != "API_AttrValueNotSet":
            raise


def _unsubscribe(proxy: Any, identity: int) -> None:
    with contextlib.suppress(tango.DevFailed), tango.EnsureOmniThread():
        proxy.unsubscribe_event(identity)


def _sample(found: Any) -> Sample:
    value = np.nan if found.value is None else plain(found.value)
    return Sample(value, found.time.totime(), _SEVERITY[found.quality])


def _failed(name: str, error: Any) -> DeviceError:
    is_lost = isinstance(error, tango.ConnectionFailed | tango.CommunicationFailed)
    kind = LinkLost if is_lost else PutRejected
    return kind(f"tango://{name}: {_words(error)}")


def _words(error: Any) -> str:
    return error.args[0].desc.splitlines()[0]


CLIENT = TangoClient
