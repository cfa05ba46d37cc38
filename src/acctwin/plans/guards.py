"""What keeps the machine safe: checks before a move, restoring after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

from bluesky.preprocessors import contingency_wrapper
from bluesky.utils import MsgGenerator

from acctwin.devices.ring import Machine
from acctwin.errors import DeviceError, LimitError, PlanError, RestoreError
from acctwin.plans.stubs import Reading, move, setpoints

T = TypeVar("T")

#: Puts devices back to what each was set to; raises RestoreError where it cannot.
PutBack: TypeAlias = Callable[[Sequence[tuple[Any, Any]]], MsgGenerator[None]]


def require(machine: Machine, names: Iterable[str], purpose: str) -> None:
    """Refuse in a sentence what this machine cannot do.

    Raises:
        PlanError: A family or instrument that the machine does not have.
    """
    missing = [name for name in names if not machine.has(name)]
    if missing:
        raise PlanError(f"{machine.title} has no {' and no '.join(missing)}: {purpose}")


def check_moves(moves: Iterable[tuple[Any, Any]]) -> None:
    """Check where devices are to go, all of them, before any of them moves.

    Raises:
        LimitError: Every move that is not allowed.
    """
    complaints: list[str] = []
    for device, value in moves:
        try:
            device.bounds.check(value)
        except LimitError as error:
            complaints.append(str(error))
    if complaints:
        shown = "\n".join(complaints[:5])
        more = len(complaints) - 5
        raise LimitError(shown + (f"\nand {more} more" if more > 0 else ""))


def check_arrived(devices: Iterable[Any], event: Reading) -> None:
    """Check in an event that devices are where they are told to be.

    A supply that trips while another one is moved is found by this.

    Raises:
        DeviceError: A readback that is not within tolerance of its setpoint, or a
            device that says that it is moving.
    """
    for device in devices:
        missing = device.missing_in(event)
        if missing:
            raise DeviceError(f"{device.name} is not where it is set to: {missing}")


def restoring(
    devices: Sequence[Any], body: Callable[[], MsgGenerator[T]]
) -> MsgGenerator[T]:
    """Run a plan, then put the devices back where they were, whatever happened."""
    before = yield from setpoints(devices)
    pairs = list(zip(devices, before, strict=True))
    result = yield from _restoring(pairs, body)
    yield from restore(pairs)
    return result


def restoring_on_failure(
    devices: Sequence[Any],
    body: Callable[[], MsgGenerator[T]],
    *,
    stays_after: type[Exception] | tuple[()] = (),
) -> MsgGenerator[T]:
    """Run a plan whose purpose is to move; put the devices back only if it fails.

    Args:
        devices: What is put back.
        body: The plan.
        stays_after: What is no failure: the devices stay where they are.
    """
    before = yield from setpoints(devices)
    pairs = list(zip(devices, before, strict=True))
    return (yield from _restoring(pairs, body, stays_after))


def _restoring(
    pairs: Sequence[tuple[Any, Any]],
    body: Callable[[], MsgGenerator[T]],
    stays_after: type[Exception] | tuple[()] = (),
) -> MsgGenerator[T]:
    def failed(error: Exception) -> MsgGenerator[None]:
        if isinstance(error, stays_after):
            return
        try:
            yield from restore(pairs)
        except RestoreError as late:
            words = f"{type(error).__name__}: {error}"
            raise RestoreError(f"{late}; this came after {words}") from error

    return (yield from contingency_wrapper(body(), except_plan=failed))


def restore(pairs: Sequence[tuple[Any, Any]]) -> MsgGenerator[None]:
    """Set devices to what they were, each on its own so that one cannot stop others.

    Raises:
        RestoreError: Those that could not be put back, with the reason for each.
    """
    failures: list[str] = []
    for device, value in pairs:
        try:
            yield from move([(device, value)])
        except Exception as error:
            failures.append(f"{device.name}: {type(error).__name__}: {error}")
    if failures:
        raise RestoreError("could not be put back: " + "; ".join(failures))
