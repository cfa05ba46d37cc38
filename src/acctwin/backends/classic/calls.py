"""Calls of classic ophyd, which block, from a loop that must not be blocked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def call(job: Callable[[], T]) -> T:
    """Do something that may block, and wait for it.

    In a thread of its own that ends with the process: classic ophyd can wait for a
    control system that is away for as long as it likes, and a pool of threads would
    then be full, and be waited for at the end.

    Args:
        job: What to do.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            found = job()
        except BaseException as error:
            _tell(loop, done, done.set_exception, error)
        else:
            _tell(loop, done, done.set_result, found)

    threading.Thread(target=work, name="classic-ophyd", daemon=True).start()
    return await done


async def finished(begin: Callable[[Callable[[Any], None]], None]) -> Any:
    """Begin something that calls back when it is over; return what it says.

    Args:
        begin: Begins it; may block. It is given the function to call at the end, from
            any thread.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    await call(lambda: begin(lambda found: _tell(loop, done, done.set_result, found)))
    return await done


def _tell(
    loop: asyncio.AbstractEventLoop,
    done: asyncio.Future[Any],
    tell: Callable[[Any], None],
    found: Any,
) -> None:
    """Tell a future from another thread, unless nobody waits for it any more."""

    def in_loop() -> None:
        if not done.done():
            tell(found)

    if not loop.is_closed():
        loop.call_soon_threadsafe(in_loop)
