"""A session that programs beside it use: they ask, it moves and reads, as runs.

One process has the devices; others, such as a graphical optimiser with child processes
of its own, connect to it on this computer. So there is one machine for all of them,
limits are checked, and everything is in the catalogue.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any

from acctwin.devices.family import SettableFamily
from acctwin.devices.ring import Machine
from acctwin.errors import AcctwinError, PlanError
from acctwin.plans.optimisation.observables import observables_of
from acctwin.plans.optimisation.requests import Request, serve_requests, where
from acctwin.session.session import Session

log = logging.getLogger(__name__)

#: A run of requests ends when nothing came for so long [s].
IDLE_S = 20.0
#: Between two looks at whether it is all over [s].
LOOK_S = 0.2

KEY_BYTES = 32


class Broker:
    """Answers programs of the same user on this computer.

    Args:
        session: An open session.
        asked_by: Who asks: the plan name of the runs.
        idle_s: A run ends when nothing came for so long [s].

    Attributes:
        address: Host and port.
        key: What a client has to know, in hexadecimal digits.
    """

    def __init__(self, session: Session, asked_by: str, idle_s: float = IDLE_S) -> None:
        self._session, self._asked_by, self._idle_s = session, asked_by, idle_s
        secret = secrets.token_bytes(KEY_BYTES)
        self._listener = Listener(("127.0.0.1", 0), authkey=secret)
        self.address, self.key = self._listener.address, secret.hex()
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._is_over = False
        threading.Thread(target=self._accept, name="broker", daemon=True).start()

    def serve(self, goes_on: Callable[[], bool]) -> None:
        """Answer until the time has come; in the main thread, for Ctrl-C.

        Args:
            goes_on: Asked every now and then.
        """
        waiting: Request | None = None
        while goes_on():
            request, waiting = waiting or self._next(LOOK_S), None
            if request is not None:
                waiting = self._answer(request, goes_on)

    def close(self) -> None:
        """Refuse everybody from now on."""
        self._is_over = True
        self._listener.close()
        while (request := self._next(0.0)) is not None:
            request.answer.set_exception(PlanError("the session has ended"))

    def _answer(self, request: Request, goes_on: Callable[[], bool]) -> Request | None:
        """Answer a request and those after it; return one for another run."""
        machine = self._session.machine
        try:
            if request.kind == "where":
                found = self._session.run(where(machine, request.names))
                request.answer.set_result(found)
                return None
            plan = serve_requests(
                machine,
                request,
                self._next,
                asked_by=self._asked_by,
                idle_s=self._idle_s,
                goes_on=goes_on,
            )
            return self._session.run(plan)
        except AcctwinError as error:
            log.warning("a request ended its run: %s", error)
            if not request.answer.done():
                request.answer.set_exception(error)
            return None
        finally:
            if request.kind != "where" and not request.answer.done():
                request.answer.set_exception(PlanError("the run was ended"))

    def _next(self, wait_s: float) -> Request | None:
        try:
            return self._requests.get(timeout=wait_s)
        except queue.Empty:
            return None

    def _accept(self) -> None:
        while not self._is_over:
            try:
                client = self._listener.accept()
            except (OSError, EOFError, AuthenticationError) as error:
                if not self._is_over:
                    log.warning("a client was refused: %s", error)
                continue
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: Connection) -> None:
        """Answer one client until it hangs up."""
        with client:
            while True:
                try:
                    kind, what = client.recv()
                except (EOFError, OSError):
                    return
                try:
                    reply = ("ok", self._ask(kind, what))
                except Exception as error:  # whatever it is, the client is told
                    if not isinstance(error, AcctwinError):
                        log.exception("a request could not be answered")
                    reply = ("error", f"{type(error).__name__}: {error}")
                client.send(reply)

    def _ask(self, kind: str, what: Any) -> Any:
        if kind == "describe":
            return describe(self._session.machine)
        if self._is_over:
            raise PlanError("the session has ended")
        if kind == "set":
            request = Request("set", values=what)
        elif kind in ("read", "where"):
            request = Request(kind, names=tuple(what))
        else:
            raise PlanError(f"nobody knows what {kind!r} is")
        self._requests.put(request)
        return request.answer.result()


def describe(machine: Machine) -> dict[str, Any]:
    """Return what can be set and observed.

    Returns:
        ``machine``: its name; ``variables``: lower and upper limit of each good device
        that can be set; ``units`` of them; ``observables``: names.
    """
    variables = dict[str, list[float]]()
    units = dict[str, str]()
    single = [machine.rf] if machine.has("rf") else []
    families = [f for f in machine.families.values() if isinstance(f, SettableFamily)]
    members = [device for family in families for device in family]
    for device in (*members, *single):
        if device.is_good:
            variables[device.info.name] = [float(limit) for limit in device.limits]
            units[device.info.name] = device.bounds.unit
    return {
        "machine": machine.title,
        "variables": variables,
        "units": units,
        "observables": list(observables_of(machine)),
    }
