"""The child process that holds an engine: ``python -m acctwin.model.worker``.

It reads requests from standard input and writes replies to standard output, each a
pickle behind its length. It ends when standard input does, so that it never
outlives its parent, however the parent ended.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
import traceback
from typing import IO, Any

from acctwin.errors import AcctwinError, EngineError

HEADER = struct.Struct("<Q")


def write_message(stream: IO[bytes], message: object) -> None:
    """Write one message: eight bytes of length, then the pickle."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(HEADER.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_message(stream: IO[bytes]) -> Any:
    """Read one message.

    Raises:
        EOFError: The other side is gone.
    """
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        raise EOFError
    (size,) = HEADER.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Build the engine that the first message specifies, then answer requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the session
    requests, replies = _take_streams()
    try:
        spec = read_message(requests)
        engine = _attempt(_build, spec)
        while True:
            method, args = read_message(requests)
            if isinstance(engine, BaseException):
                write_message(replies, engine)
            else:
                write_message(replies, _attempt(_call, engine, method, args))
    except (EOFError, BrokenPipeError):
        return


def _take_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Keep standard output for replies; what is printed goes to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, replies


def _build(spec: Any) -> Any:
    from acctwin.model.at_engine import AtEngine

    return AtEngine(spec)


def _call(engine: Any, method: str, args: tuple[Any, ...]) -> Any:
    if method.startswith("_") or not hasattr(engine, method):
        raise EngineError(f"the engine has no method {method!r}")
    member = getattr(engine, method)
    return member(*args) if callable(member) else member


def _attempt(function: Any, *args: Any) -> Any:
    """Return what a function returns, or the exception that should travel."""
    try:
        return function(*args)
    except AcctwinError as error:
        return error
    except Exception as error:
        where = "".join(traceback.format_exception(error))
        return EngineError(f"{type(error).__name__} in the engine process:\n{where}")


if __name__ == "__main__":
    main()
    sys.exit(0)
