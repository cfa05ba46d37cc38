"""The other side of a broker: a program that uses a session in another process."""

from __future__ import annotations

import os
from multiprocessing.connection import Client, Connection
from typing import Any

from acctwin.errors import AcctwinError, PlanError

#: Environment variables with the address of the broker, and its key.
ADDRESS, KEY = "ACCTWIN_BROKER", "ACCTWIN_BROKER_KEY"


class Remote:
    """The session, from another process; each process has a connection of its own."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._process = 0

    def ask(self, kind: str, what: Any = None) -> Any:
        """Ask the session.

        Args:
            kind: ``"describe"``, ``"set"``, ``"read"`` or ``"where"``.
            what: Setpoints by name, or names.

        Raises:
            PlanError: There is no session.
            AcctwinError: What the session says.
        """
        connection = self._connected()
        try:
            connection.send((kind, what))
            status, answer = connection.recv()
        except (EOFError, OSError) as error:
            raise PlanError(
                "the session of acctwin has ended: start `acctwin badger` again"
            ) from error
        if status == "error":
            raise AcctwinError(answer)
        return answer

    def _connected(self) -> Connection:
        if self._connection is None or self._process != os.getpid():
            if ADDRESS not in os.environ:
                raise PlanError("Badger has no session: start it with `acctwin badger`")
            host, port = os.environ[ADDRESS].rsplit(":", 1)
            key = bytes.fromhex(os.environ[KEY])
            self._connection = Client((host, int(port)), authkey=key)
            self._process = os.getpid()
        return self._connection
