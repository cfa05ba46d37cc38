"""A run whose moves and readings are asked for from outside, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from bluesky.preprocessors import contingency_wrapper
from bluesky.utils import Msg, MsgGenerator, plan

from acctwin.devices.ring import Machine
from acctwin.devices.setpoint import SingleSettable
from acctwin.errors import AcctwinError, PlanError, UnknownName
from acctwin.plans.guards import check_moves, restore, restoring_on_failure
from acctwin.plans.optimisation.observables import Observable, observables_of
from acctwin.plans.stubs import ask, in_run, move, setpoints, take
from acctwin.plans.targets import find

#: Between two looks at what was asked for; Ctrl-C waits no longer [s].
LOOK_S = 0.2


@dataclass
class Request:
    """Something that is asked for.

    Attributes:
        kind: ``"set"``: move devices; ``"read"``: take an event; ``"where"``: ask for
            setpoints.
        values: Of ``"set"``: setpoint of each device, by name.
        names: Of ``"read"``: observables; of ``"where"``: devices.
        answer: Their values, by name; of ``"set"``: None.
    """

    kind: Literal["set", "read", "where"]
    values: Mapping[str, float] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    answer: Future[Any] = field(default_factory=Future)


#: Waits so long [s] for a request; None: there was none.
Inbox = Callable[[float], Request | None]


@dataclass
class _Served:
    """What a run has to do with."""

    machine: Machine
    known: Mapping[str, Observable]
    moved: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    read: frozenset[str] | None = None

    def fits(self, request: Request) -> bool:
        """Tell whether a request can be answered in this run.

        The events of a run have the same devices in them.
        """
        if self.read is None or request.kind == "where":
            return True
        if request.kind == "set":
            return set(request.values) <= set(self.moved)
        return self.monitors(request) == self.read

    def monitors(self, request: Request) -> frozenset[str]:
        """Return the monitors that a request needs.

        Raises:
            UnknownName: There is no such observable.
        """
        for name in request.names:
            if name not in self.known:
                raise UnknownName("observable", name, self.known)
        return frozenset(self.known[name].device.name for name in request.names)


@plan
def serve_requests(
    machine: Machine,
    first: Request,
    inbox: Inbox,
    *,
    asked_by: str,
    idle_s: float,
    goes_on: Callable[[], bool],
) -> MsgGenerator[Request | None]:
    """Answer requests in one run, until none comes for some time.

    Everything is checked against the limits before it moves; what is wrong is the
    answer of the request and not the end. Devices stay where they were set; when the
    run is aborted or fails, they go back to where they were before it.

    Args:
        machine: The machine.
        first: What is asked first.
        inbox: Where more comes from.
        asked_by: Who asks, for the start document.
        idle_s: It ends when nothing came for so long [s].
        goes_on: It ends when this is false.

    Returns:
        A request that needs another run, since its events have other devices in them.
    """
    served = _Served(machine, observables_of(machine))

    def failed(error: Exception) -> MsgGenerator[None]:
        yield from restore(list(served.moved.values()))

    def body(uid: str) -> MsgGenerator[Request | None]:
        serving = _serve(served, first, inbox, idle_s, goes_on)
        return (yield from contingency_wrapper(serving, except_plan=failed))

    metadata = {"plan_name": asked_by, "plan_args": {"idle_s": idle_s}}
    return (yield from in_run(body, metadata))


def _serve(
    served: _Served,
    first: Request,
    inbox: Inbox,
    idle_s: float,
    goes_on: Callable[[], bool],
) -> MsgGenerator[Request | None]:
    request: Request | None = first
    last = time.monotonic()
    while True:
        yield Msg("checkpoint")
        if request is not None:
            is_mine = yield from _answer(served, request)
            if not is_mine:
                return request
            last = time.monotonic()
        if time.monotonic() - last > idle_s or not goes_on():
            return None
        request = yield from ask(lambda: inbox(LOOK_S))


def _answer(served: _Served, request: Request) -> MsgGenerator[bool]:
    """Answer a request; False: it does not belong in this run."""
    try:
        if not served.fits(request):
            return False
        found = yield from _HOW[request.kind](served, request)
    except AcctwinError as error:
        request.answer.set_exception(error)
    except Exception as error:
        request.answer.set_exception(PlanError(f"the run has ended: {error}"))
        raise
    else:
        request.answer.set_result(found)
    return True


def _set(served: _Served, request: Request) -> MsgGenerator[None]:
    devices = _devices(served.machine, request.values)
    moves = list(zip(devices, request.values.values(), strict=True))
    check_moves(moves)
    before = yield from setpoints(devices)
    for name, device, value in zip(request.values, devices, before, strict=True):
        served.moved.setdefault(name, (device, value))
    yield from restoring_on_failure(devices, lambda: move(moves))


def _read(served: _Served, request: Request) -> MsgGenerator[dict[str, float]]:
    if not request.names:
        raise PlanError("nothing to be read was named")
    served.read = served.monitors(request)
    chosen = {served.known[name].device for name in request.names}
    ordered = sorted(chosen, key=lambda device: device.name)
    readings = yield from take([*ordered, *(d for d, _ in served.moved.values())])
    return {name: served.known[name].of(readings) for name in request.names}


def where(machine: Machine, names: Iterable[str]) -> MsgGenerator[dict[str, float]]:
    """Return the setpoints of devices, by name."""
    devices = _devices(machine, names)
    return dict(zip(names, (yield from setpoints(devices)), strict=True))


def _where(served: _Served, request: Request) -> MsgGenerator[dict[str, float]]:
    return (yield from where(served.machine, request.names))


def _devices(machine: Machine, names: Iterable[str]) -> list[Any]:
    found: list[Any] = []
    for name in names:
        device = find(machine, name)
        if not isinstance(device, SingleSettable):
            raise PlanError(f"{name} is not one device that can be set")
        found.append(device)
    return found


_HOW = {"set": _set, "read": _read, "where": _where}
