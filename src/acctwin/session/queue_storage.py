"""The queue's built-in storage: what a Redis server would be, in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


def free_port() -> int:
    """Return a free port of loopback."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def storage(address: str) -> Iterator[None]:
    """Serve what a Redis server would, in this process; it keeps nothing."""
    from fakeredis import TcpFakeServer

    host, port = address.split(":")
    server = TcpFakeServer((host, int(port)), server_type="redis")
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
