"""Pieces of plans: a run with a result, one reading, one move, a pure question."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import bluesky.plan_stubs as bps
from bluesky.preprocessors import contingency_wrapper
from bluesky.utils import (
    FailedStatus,
    Msg,
    MsgGenerator,
    RequestAbort,
    RequestStop,
)

from acctwin.errors import AcctwinError, BeamLost
from acctwin.plans.beam import watch_of, with_beam

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Data key → value of one event.
Reading = Mapping[str, Any]


def in_run(
    body: Callable[[str], MsgGenerator[T]], metadata: Mapping[str, Any]
) -> MsgGenerator[T]:
    """Open a run around a plan, close it with the truth, return the plan's result.

    After a pause the plan goes on where it was and nothing is measured twice: what
    the plan has seen is what is stored.

    Args:
        body: Given the run's uid, returns the plan.
        metadata: For the start document.
    """
    uid = yield from bps.open_run(dict(metadata))
    yield Msg("rewindable", None, False)

    def failed(error: Exception) -> MsgGenerator[None]:
        yield Msg("rewindable", None, True)
        try:
            if isinstance(error, RequestAbort | RequestStop):
                yield from bps.close_run(exit_status=error.exit_status)
            else:
                reason = f"{type(error).__name__}: {error}"
                yield from bps.close_run(exit_status="fail", reason=reason)
        except AcctwinError as late:
            # The RunEngine closes the run; the first error says more than this one.
            log.warning("the state at the end was not recorded: %s", late)

    def done() -> MsgGenerator[None]:
        yield Msg("rewindable", None, True)
        yield from bps.close_run()

    return (
        yield from contingency_wrapper(body(uid), except_plan=failed, else_plan=done)
    )


def take(
    devices: Sequence[Any], stream: str = "primary", *, waits: bool = True
) -> MsgGenerator[Reading]:
    """Trigger, read and save some devices as one event; return the values.

    Args:
        devices: What is read.
        stream: Of the event.
        waits: Whether a lost beam is waited for where the profile says so.
    """
    readings = yield from take_stamped(devices, stream, waits=waits)
    return {key: item["value"] for key, item in readings.items()}


def take_stamped(
    devices: Sequence[Any], stream: str = "primary", *, waits: bool = True
) -> MsgGenerator[Mapping[str, Mapping[str, Any]]]:
    """Do as :func:`take`; return ``value`` and ``timestamp`` [s] of each data key."""
    watch = watch_of(devices) if waits else None
    return (yield from with_beam(watch, partial(_event, devices, stream)))


def _event(
    devices: Sequence[Any], stream: str
) -> MsgGenerator[Mapping[str, Mapping[str, Any]]]:
    yield from trigger([device for device in devices if hasattr(device, "trigger")])
    readings: dict[str, Mapping[str, Any]] = {}
    try:
        yield Msg("create", None, name=stream)
        for device in devices:
            readings.update((yield Msg("read", device)))
    except Exception:
        yield Msg("drop")
        raise
    yield Msg("save")
    return readings


def trigger(devices: Sequence[Any]) -> MsgGenerator[None]:
    """Have some devices take a reading, and wait for all of them."""
    group, statuses = uuid.uuid4().hex, list[Any]()
    for device in devices:
        statuses.append((yield Msg("trigger", device, group=group)))
    if not statuses:
        return
    try:
        yield from wait_for(group)
    except BeamLost:
        yield from _let_finish(group, statuses)
        raise


def move(settings: Iterable[tuple[Any, Any]]) -> MsgGenerator[None]:
    """Set many devices at once and wait for all of them.

    Linear in the number of devices, where ``bluesky.plan_stubs.mv`` is cubic. When
    the plan is stopped here, what is under way is let finish first: a move that is
    still going on would race with the one that puts the device back.
    """
    group, statuses = uuid.uuid4().hex, list[Any]()
    try:
        for device, value in settings:
            statuses.append((yield Msg("set", device, value, group=group)))
        yield from wait_for(group)
    except Exception:
        yield from _let_finish(group, statuses)
        raise


def wait_for(group: str) -> MsgGenerator[None]:
    """Wait for a group of statuses; raise what went wrong, not that something did."""
    try:
        yield Msg("wait", None, group=group)
    except FailedStatus as error:
        if isinstance(error.__cause__, AcctwinError):
            raise error.__cause__ from error
        raise


def _let_finish(group: str, statuses: Sequence[Any]) -> MsgGenerator[None]:
    """Wait until nothing of a group is pending, whether it fails or not.

    A status whose set was answered with an exception is known to the RunEngine by
    its group alone; a group that was being waited for, by its statuses alone. The
    RunEngine throws each late failure into the plan, once, at some message.
    """
    for _ in range(len(statuses) + 2):
        pending = [status for status in statuses if not status.done]
        try:
            yield Msg("wait", None, group=group)
            if pending:
                yield Msg("wait_for", None, [_finished(status) for status in pending])
            yield Msg("null")
        except FailedStatus as late:
            log.warning("another operation failed while a plan was stopped: %s", late)
        else:
            return


def _finished(status: Any) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        status.add_callback(lambda _: loop.call_soon_threadsafe(done.set))
        await done.wait()

    return wait


def setpoints(devices: Sequence[Any]) -> MsgGenerator[list[Any]]:
    """Return where some devices are set to."""
    found: list[Any] = []
    for device in devices:
        location = yield Msg("locate", device, squeeze=True)
        found.append(location["setpoint"])
    return found


def ask(question: Callable[[], T]) -> MsgGenerator[T]:
    """Answer a question that takes its time, without holding up the RunEngine."""
    answer: list[T] = []

    async def answered() -> None:
        answer.append(await asyncio.to_thread(question))

    def wait() -> Awaitable[None]:
        return answered()

    (task,) = yield Msg("wait_for", None, [wait])
    error = task.exception()
    if error is not None:
        raise error
    return answer[0]
