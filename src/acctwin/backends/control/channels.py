"""The addresses that a machine's devices use: watched, so that reading costs nothing.

Every address is watched once, whoever needs it. What was heard last is at hand; what
must not be stale is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from acctwin.backends.control.client import INVALID, Client, Sample, client_of
from acctwin.errors import DeviceError, LinkLost, PutRejected

#: Every put that a control system took: address, old → new.
puts = logging.getLogger("acctwin.puts")

#: Most addresses that a message lists.
MOST_NAMED = 10
#: Time between two questions where nothing tells of changes [s].
POLL_S = 0.05


class Channels:
    """All addresses of a machine in its control system.

    Everything happens in the loop of the RunEngine.

    Args:
        answer_s: How long an answer may take [s].
        lock: Why nothing may be written; empty: it may.
        clients: By protocol; for tests. Default: made when they are needed.

    Attributes:
        losses: How many times it was noticed that the link was lost.
        before: What was heard last of each address when that was noticed; None: the
            link is there, or has been found again.
    """

    def __init__(
        self, answer_s: float, lock: str = "", clients: Mapping[str, Client] = {}
    ) -> None:
        self._answer_s, self._lock = answer_s, lock
        self._clients = dict(clients)
        self._last: dict[str, Sample | None] = {}
        self._observers: dict[str, set[Callable[[], None]]] = {}
        self._puts, self._renewed = 0, dict[str, int]()
        self.losses = 0
        self.before: dict[str, Sample] | None = None

    @property
    def protocols(self) -> tuple[str, ...]:
        """The control systems in use."""
        return tuple(sorted(self._clients))

    async def open(self, users: Mapping[str, str], timeout_s: float) -> None:
        """Watch addresses and wait until each has told its value.

        Args:
            users: Who uses each address, for messages.
            timeout_s: How long none of those that are left may answer [s].

        Raises:
            LinkLost: Some do not answer; the message lists them.
        """
        begun = time.monotonic()
        new = [address for address in users if address not in self._last]
        self._last.update(dict.fromkeys(new))
        by_protocol: dict[str, list[str]] = {}
        for address in new:
            protocol, name = address.split("://", 1)
            by_protocol.setdefault(protocol, []).append(name)
        for protocol, names in by_protocol.items():
            self._client(protocol).watch(names, self._hearer(protocol))
        if not await self._heard_all(new, timeout_s):
            raise LinkLost(self._silent(users, time.monotonic() - begun))

    def last(self, address: str) -> Sample:
        """Return what was heard last.

        Raises:
            LinkLost: It is disconnected.
        """
        found = self._last.get(address)
        if found is None:
            raise LinkLost(f"{address}: not connected")
        return found

    async def get(self, address: str) -> Sample:
        """Ask for the value now.

        Raises:
            LinkLost: There is no answer in time.
        """
        client, name = self._of(address)
        try:
            async with asyncio.timeout(self._answer_s):
                found = await client.get(name)
        except TimeoutError:
            words = f"{address}: no answer within {self._answer_s:g} s"
            raise LinkLost(words) from None
        self._keep(address, found)
        return found

    async def get_all(self, addresses: Iterable[str]) -> list[Sample]:
        """Ask for the values of some addresses at once."""
        return list(await asyncio.gather(*(self.get(one) for one in addresses)))

    async def put(self, address: str, value: Any, timeout_s: float) -> bool:
        """Put a value.

        Returns:
            Whether the device has it; else it may still be on its way there.

        Raises:
            PutRejected: It is refused, or nothing may be written at all.
            LinkLost: There is no answer in time; whether the device has the value is
                not known.
        """
        if self._lock:
            raise PutRejected(f"{address}: {self._lock}; nothing was written")
        client, name = self._of(address)
        self._puts, old = self._puts + 1, self._last.get(address)
        try:
            async with asyncio.timeout(timeout_s):
                await client.put(name, value)
        except TimeoutError:
            raise LinkLost(
                f"{address}: the put was not over within {timeout_s:g} s; whether the "
                "device has the value is not known"
            ) from None
        puts.info("%s: %s → %s", address, _shown(old and old.value), _shown(value))
        return client.completes

    def note_loss(self) -> None:
        """Keep what was heard last: the link is lost."""
        if self.before is None:
            self.losses += 1
            self.before = {a: found for a, found in self._last.items() if found}

    def note_return(self) -> None:
        """Forget what was before: the link is there, and all is as it was."""
        self.before = None

    def observe(
        self, addresses: Iterable[str], callback: Callable[[], None]
    ) -> Callable[[], None]:
        """Call back when an address has a new value; return what ends that."""
        chosen = tuple(addresses)
        for address in chosen:
            self._observers.setdefault(address, set()).add(callback)

        def end() -> None:
            for address in chosen:
                self._observers[address].discard(callback)

        return end

    async def renew(
        self, addresses: Iterable[str], updates: int, update_s: float
    ) -> None:
        """Wait until each address has a value that is newer than this call.

        What is newer is decided by the control system's own time stamps.

        Args:
            addresses: Which.
            updates: How many newer values to wait for; one is enough where nothing
                was put since the last time.
            update_s: How long to wait for each [s]; what has no newer value by then
                is asked for.

        Raises:
            LinkLost: There is no answer.
        """
        chosen = tuple(dict.fromkeys(addresses))
        await self.get_all(chosen)
        is_settled = all(self._renewed.get(a) == self._puts for a in chosen)
        self._renewed.update(dict.fromkeys(chosen, self._puts))
        for _ in range(1 if is_settled else updates):
            seen = {address: self.last(address).timestamp for address in chosen}
            if not await self.wait_newer(seen, update_s):
                await self.get_all(chosen)
                return

    async def wait_newer(
        self, seen: Mapping[str, float], timeout_s: float, *, ask: bool = False
    ) -> bool:
        """Wait until addresses have values with newer time stamps; say whether.

        Args:
            seen: Their time stamps so far.
            timeout_s: How long to wait [s].
            ask: Whether to ask, and not only to wait until told; for valid values.
        """

        def is_late(address: str) -> bool:
            found = self.last(address)
            is_valid = found.severity != INVALID or not ask
            return found.timestamp <= seen[address] or not is_valid

        changed = asyncio.Event()
        end = self.observe(seen, changed.set)
        late = set(seen)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    changed.clear()
                    late = {address for address in late if is_late(address)}
                    if not late:
                        return True
                    if ask:
                        await asyncio.sleep(POLL_S)
                        await self.get_all(late)
                    else:
                        await changed.wait()
        except TimeoutError:
            return False
        finally:
            end()

    async def close(self) -> None:
        """End every watch and connection."""
        clients, self._clients = list(self._clients.values()), {}
        self._last.clear()
        self._observers.clear()
        for client in clients:
            await client.close()

    def _of(self, address: str) -> tuple[Client, str]:
        protocol, name = address.split("://", 1)
        return self._client(protocol), name

    def _client(self, protocol: str) -> Client:
        if protocol not in self._clients:
            self._clients[protocol] = client_of(protocol)
        return self._clients[protocol]

    def _hearer(self, protocol: str) -> Callable[[str, Sample | None], None]:
        def heard(name: str, sample: Sample | None) -> None:
            address = f"{protocol}://{name}"
            if address not in self._last:
                return  # closed
            known = self._last[address]
            if sample and known and sample.timestamp < known.timestamp:
                return  # it was asked for since this was sent
            self._keep(address, sample)

        return heard

    def _keep(self, address: str, sample: Sample | None) -> None:
        if sample is None and self._last.get(address) is not None:
            self.note_loss()
        self._last[address] = sample
        for observer in list(self._observers.get(address, ())):
            observer()

    async def _heard_all(self, addresses: list[str], timeout_s: float) -> bool:
        changed = asyncio.Event()
        end = self.observe(addresses, changed.set)
        late, loop = set(addresses), asyncio.get_running_loop()
        count = len(late)
        try:
            async with asyncio.timeout(timeout_s) as deadline:
                while late := {a for a in late if self._last.get(a) is None}:
                    if len(late) < count:
                        count = len(late)
                        deadline.reschedule(loop.time() + timeout_s)
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            end()
        return True

    def _silent(self, users: Mapping[str, str], waited_s: float) -> str:
        silent = [a for a in users if self._last.get(a) is None]
        lines = [f"  {users[a]}: {a}{self._why(a)}" for a in silent[:MOST_NAMED]]
        if len(silent) > MOST_NAMED:
            lines.append(f"  and {len(silent) - MOST_NAMED} more")
        head = (
            f"{len(silent)} of {len(users)} addresses did not answer within "
            f"{waited_s:.1f} s"
        )
        return "\n".join([f"{head} (watched for a first value):", *lines])

    def _why(self, address: str) -> str:
        client, name = self._of(address)
        problem = client.problem(name)
        return f": {problem}" if problem else ""


def _shown(value: Any) -> str:
    """Return a value for the log; arrays by their ends."""
    if np.ndim(value) == 0:
        return f"{value:.9g}" if isinstance(value, float | int) else str(value)
    return np.array2string(np.asarray(value), threshold=6, precision=9)


def gather_errors(results: Iterable[Any]) -> None:
    """Raise what went wrong in some puts, all in one error.

    Args:
        results: Of ``asyncio.gather(..., return_exceptions=True)``.
    """
    errors = [found for found in results if isinstance(found, BaseException)]
    others = [error for error in errors if not isinstance(error, DeviceError)]
    if others:
        raise others[0]
    if not errors:
        return
    lines = [str(error) for error in errors[:MOST_NAMED]]
    if len(errors) > MOST_NAMED:
        lines.append(f"and {len(errors) - MOST_NAMED} more")
    kinds = {type(error) for error in errors}
    kind: Any = kinds.pop() if len(kinds) == 1 else DeviceError
    raise kind("; ".join(lines))
