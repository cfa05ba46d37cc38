"""The Tiled server of a store, in a thread.

Importing Tiled's server takes 5 to 20 s of processor time, so this module is
only used in a process of its own (`acctwin.data.service`, ``acctwin data serve``)
and imports Tiled when the server is started.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from acctwin.data.folders import FileLock, StoreFolder, make_private, write_json
from acctwin.errors import DataError

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


class TiledServer:
    """Serves one store over HTTP from a thread of this process.

    The caller must hold the store's `owner_lock`: two servers on one folder
    would spoil it.

    Attributes:
        uri: Address, known once the server was started.
    """

    def __init__(
        self,
        folder: StoreFolder,
        *,
        host: str = LOOPBACK,
        port: int | None = None,
        database: str | None = None,
    ) -> None:
        """Prepare a server.

        Args:
            folder: The store.
            host: Address to listen on.
            port: Port to listen on; without one, the port of the server before
                if it is free (its clients then go on), else any free one.
            database: Address of a PostgreSQL database; files if not given.
        """
        self._folder, self._database = folder, database
        self._host, self._port = host, port
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self.uri = ""

    @property
    def is_running(self) -> bool:
        """Whether the server's thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, timeout_s: float = 60.0) -> None:
        """Start serving and write ``server.json``; return when requests are served.

        Raises:
            DataError: The port is taken or the server did not come up.
        """
        listener = self._bind()
        import uvicorn

        from acctwin.data.app import build_app

        config = uvicorn.Config(
            build_app(self._folder, self._database),
            loop="asyncio",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="tiled", daemon=True
        )
        self._thread.start()
        self.uri = f"http://{self._host}:{listener.getsockname()[1]}"
        self._wait_until_served(timeout_s)
        write_json(self._folder.server_file, {"uri": self.uri, "pid": os.getpid()})
        log.info("Tiled serves %s at %s", self._folder.root, self.uri)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop serving."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout_s)

    def _bind(self) -> socket.socket:
        """Return a listening socket on the wanted port, the last one, or any."""
        last = urlsplit(self._folder.server().get("uri", "")).port
        ports = [self._port] if self._port is not None else [last or 0, 0]
        for port in ports:
            # asyncio sets TCP_NODELAY only where the protocol is named; without it
            # every answer is 40 ms late.
            listener = socket.socket(
                socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
            )
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self._host, port))
            except OSError as error:
                listener.close()
                log.info("port %s of %s: %s", port, self._host, error)
                continue
            return listener
        raise DataError(
            f"cannot listen on {self._host} port {self._port}: it is taken or not "
            "allowed. Choose another port."
        )

    def _wait_until_served(self, timeout_s: float) -> None:
        import httpx

        pause = threading.Event()
        deadline = time.monotonic() + timeout_s
        with httpx.Client(timeout=2.0, trust_env=False) as client:
            while self.is_running and time.monotonic() < deadline:
                pause.wait(0.05)
                try:
                    if client.get(f"{self.uri}/healthz").is_success:
                        return
                except httpx.TransportError:
                    continue
        raise DataError(
            f"the Tiled server of {self._folder.root} did not come up within "
            f"{timeout_s:g} s; its log is beside the journal"
        )


def serve(
    root: Path,
    ended: threading.Event,
    *,
    host: str = LOOPBACK,
    port: int | None = None,
    api_key: str | None = None,
    database: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Serve a store from this process until `ended` is set.

    Args:
        root: Folder of the store; made if there is none.
        ended: Set it to end the server.
        host: Address to listen on; anything but loopback is open to the network.
        port: Port to listen on, any free one if not given.
        api_key: Key that clients must give; made up and kept if not given.
        database: Address of a PostgreSQL database; files if not given.
        tell: Called with the server's address when it can be used.

    Raises:
        DataError: Another process serves this store, the port is taken, or the
            database cannot be used.
    """
    folder = StoreFolder(make_private(root).resolve())
    lock = FileLock(folder.owner_lock)
    if not lock.acquire():
        raise DataError(
            f"the store {folder.root} is already served at "
            f"{folder.server().get('uri', 'an address not known yet')} by process "
            f"{folder.server().get('pid', 'unknown')}: use that server, or end it"
        )
    server = TiledServer(folder, host=host, port=port, database=database)
    try:
        if api_key is not None:
            folder.set_api_key(api_key)
        server.start()
        if tell is not None:
            tell(server.uri)
        while server.is_running and not ended.wait(0.5):
            pass
    finally:
        server.stop()
        lock.release()
