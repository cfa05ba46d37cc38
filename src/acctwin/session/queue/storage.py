"""The queue's built-in storage: what a Redis server would be, in this process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


def free_port(usual: int = 0) -> int:
    """Return a free port of loopback: the usual one, or any when it is taken."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the manager does
        try:
            one.bind(("127.0.0.1", usual))
        except OSError:
            return free_port()
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
