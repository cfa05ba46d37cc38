"""The link to the machine is lost: wait, put back what differs, and go on.

A machine that comes back may have been started anew, with the values that it starts
with. So whatever is done goes through :meth:`Outages.over`: nothing is done on a
machine that is not set as it was before the link was lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from acctwin.backends.control.channels import MOST_NAMED, Channels
from acctwin.backends.control.client import Sample
from acctwin.errors import AcctwinError, DeviceError, LinkLost

log = logging.getLogger(__name__)

#: How often something is done again though everything answers.
TRIES = 3
#: Time between two questions whether an address answers again [s].
ASK_S = 0.5
#: Time between two lines in the log while nothing answers [s].
TELL_S = 10.0

T = TypeVar("T")


class Restorable(Protocol):
    """What was set, and can be put back."""

    async def put_back(self, before: Mapping[str, Sample]) -> list[str]:
        """Set all as it was before; return in words what differed."""
        ...


class Outages:
    """Times when the machine is not there.

    Everything happens in the loop of the RunEngine, but for :meth:`allow`.

    Args:
        channels: Where addresses are watched.
        addresses: Returns all addresses of the machine.
        settings: Returns everything that can be set.
        wait_s: How long to wait [s]; 0: a lost link is an error at once.
        updates: New values of each monitor to wait for when it is back.
        update_s: Longest time between two of them [s].
    """

    def __init__(
        self,
        channels: Channels,
        addresses: Callable[[], Sequence[str]],
        settings: Callable[[], Sequence[Restorable]],
        *,
        wait_s: float,
        updates: int,
        update_s: float,
    ) -> None:
        self._channels, self._addresses, self._settings = channels, addresses, settings
        self._wait_s, self._updates, self._update_s = wait_s, updates, update_s
        self._is_allowed = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._return: asyncio.Task[bool] | None = None

    def allow(self, allowed: bool) -> None:
        """Say whether to wait from now on; from any thread.

        Who waits when it is no longer allowed gets a LinkLost. When it is allowed,
        the machine is taken as it is then.
        """
        self._is_allowed = allowed
        if allowed:
            self._channels.note_return()
        elif self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._end)

    async def over(self, job: Callable[[], Awaitable[T]]) -> T:
        """Do something; if the link is lost meanwhile, wait and do it again.

        Raises:
            LinkLost: The machine did not come back in time, or not as it was.
        """
        tries = TRIES
        while self._is_patient:
            if self._channels.before is not None:
                await self._back("the link was lost")
            losses = self._channels.losses
            try:
                found = await job()
            except (AcctwinError, TimeoutError) as error:
                is_missed = losses != self._channels.losses
                is_lost = is_missed or isinstance(error, LinkLost)
                if not (tries and is_lost and self._is_patient):
                    raise
                tries -= not await self._after(error, is_missed)
            else:
                if losses == self._channels.losses:
                    return found
        return await job()

    async def close(self) -> None:
        """End what waits."""
        self._is_allowed = False
        self._end()
        if self._return is not None:
            await asyncio.gather(self._return, return_exceptions=True)

    @property
    def is_waiting(self) -> bool:
        """Whether the machine is away, and waited for."""
        return self._return is not None and not self._return.done()

    @property
    def _is_patient(self) -> bool:
        return self._is_allowed and self._wait_s > 0.0

    def _end(self) -> None:
        if self._return is not None:
            self._return.cancel()

    async def _after(self, error: Exception, is_missed: bool) -> bool:
        """Wait until what failed can be done again; say whether the link was lost."""
        if is_missed and self._channels.before is None:
            return True  # and has been found again, meanwhile
        return await self._back(str(error))

    async def _back(self, words: str) -> bool:
        """Wait until the machine is there, as it was; all wait for the same.

        Returns:
            Whether it had been away.
        """
        self._channels.note_loss()
        self._loop = asyncio.get_running_loop()
        if self._return is None or self._return.done():
            self._return = self._loop.create_task(self._bring_back(words))
            self._return.add_done_callback(_retrieve)
        return await asyncio.shield(self._return)

    async def _bring_back(self, words: str) -> bool:
        try:
            return await self._wait_and_put_back(words)
        except asyncio.CancelledError:
            if self._is_allowed:
                raise
            raise LinkLost(f"{words}; the waiting was ended") from None
        except LinkLost:
            self._is_allowed = False  # nor does the restoring wait
            raise

    async def _wait_and_put_back(self, words: str) -> bool:
        loop, silent = asyncio.get_running_loop(), Silent(self._wait_s, words)
        begun = loop.time()
        try:
            async with asyncio.timeout(self._wait_s):
                while True:
                    await self._answering(silent)
                    try:
                        changed = await self._put_back()
                        break
                    except NotAsBefore:
                        raise
                    except LinkLost as error:
                        silent.note([str(error)])
        except TimeoutError:
            raise LinkLost(
                f"{words}; the machine did not come back within {self._wait_s:g} s: "
                f"no answer from {silent}"
            ) from None
        self._channels.note_return()
        if silent.names or changed:
            _tell_return(loop.time() - begun, changed)
        return bool(silent.names or changed)

    async def _answering(self, silent: Silent) -> None:
        """Wait until every address answers."""
        addresses = list(self._addresses())
        asked = addresses
        while names := await self._no_answer(asked):
            if asked is addresses:
                silent.note(names)
            silent.tell()
            await asyncio.sleep(ASK_S)
            asked = names[:1]
        if asked is not addresses:
            await self._answering(silent)

    async def _no_answer(self, addresses: Sequence[str]) -> list[str]:
        questions = (self._channels.get(address) for address in addresses)
        found = await asyncio.gather(*questions, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, DeviceError):
                raise one
        pairs = zip(addresses, found, strict=True)
        return [address for address, one in pairs if isinstance(one, DeviceError)]

    async def _put_back(self) -> list[str]:
        """Set all as it was before, and wait for readings of that machine.

        Raises:
            LinkLost: That cannot be done; the message lists what differs.
        """
        before, changed = self._channels.before or {}, list[str]()
        failures: list[str] = []
        for setting in self._settings():
            try:
                changed += await setting.put_back(before)
            except LinkLost:
                raise
            except DeviceError as error:
                failures.append(str(error))
        if failures:
            raise NotAsBefore(
                "the machine answers again, but its settings are not those from "
                "before the link was lost, and cannot be put back: "
                f"{'; '.join(failures)}"
            )
        for _ in range(self._updates):
            await self._channels.renew(self._addresses(), 1, self._update_s)
        return changed


class NotAsBefore(LinkLost):
    """The machine came back with other settings."""


class Silent:
    """Addresses that do not answer, and when that was last said.

    Args:
        wait_s: How long they are waited for [s].
        why: What was noticed first.
    """

    def __init__(self, wait_s: float, why: str) -> None:
        self._wait_s, self._why, self.names = wait_s, why, list[str]()
        self._begun = time.monotonic()
        self._told: float | None = None

    def note(self, names: list[str]) -> None:
        """Remember which do not answer now."""
        self.names = names

    def tell(self) -> None:
        """Say what is waited for: at once, then every ten seconds."""
        now = time.monotonic()
        if self._told is None:
            log.warning(
                "%s; paused for up to %g s, until the machine is back: no answer from "
                "%s",
                *(self._why, self._wait_s, self),
            )
        elif now - self._told < TELL_S:
            return
        else:
            log.warning("still no answer from %s, %.0f s", self, now - self._begun)
        self._told = now

    def __str__(self) -> str:
        more = len(self.names) - 1
        first = self.names[0] if self.names else "nobody"
        return f"{first} and {more} more" if more > 0 else first


def _tell_return(seconds: float, changed: list[str]) -> None:
    shown = "; ".join(changed[:MOST_NAMED])
    more = len(changed) - MOST_NAMED
    words = f": {shown}{f'; and {more} more' if more > 0 else ''}" if changed else ""
    log.warning(
        "the machine answers again after %.1f s; %d settings were not as before and "
        "have been put back%s",
        *(seconds, len(changed), words),
    )


def _retrieve(task: asyncio.Task[bool]) -> None:
    """Take note of an error that nobody may wait for any more."""
    if not task.cancelled() and task.exception() is not None:
        log.debug("waiting for the machine ended: %s", task.exception())
