"""Badger on the devices of a session: its folder, and its process."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from acctwin.errors import MissingExtra
from acctwin.session.broker import Broker
from acctwin.session.broker_client import ADDRESS, KEY
from acctwin.session.session import Session

FOLDERS = {
    "BADGER_PLUGIN_ROOT": "plugins",
    "BADGER_TEMPLATE_ROOT": "templates",
    "BADGER_LOGBOOK_ROOT": "logbook",
    "BADGER_ARCHIVE_ROOT": "archive",
    "BADGER_LOG_DIRECTORY": "logs",
}
#: How the plan of Badger's runs is called.
ASKED_BY = "badger"


def write_folder(root: Path, machine: str) -> Path:
    """Write the plug-ins that Badger finds, and its settings.

    Archived routines and templates of earlier times stay.

    Args:
        root: The folder.
        machine: Name of the profile.

    Returns:
        The file of the settings.
    """
    for name in FOLDERS.values():
        (root / name).mkdir(parents=True, exist_ok=True)
    plugins = root / FOLDERS["BADGER_PLUGIN_ROOT"]
    parts = {
        plugins / "interfaces" / "acctwin": ("Interface", {}),
        plugins / "environments" / f"acctwin_{machine}": (
            "Environment",
            {"interface": ["acctwin"], "description": f"{machine}, through acctwin"},
        ),
    }
    for folder, (kind, more) in parts.items():
        folder.mkdir(parents=True, exist_ok=True)
        source = f"from acctwin.session.badger_plugin import {kind} as {kind}\n"
        (folder / "__init__.py").write_text(source)
        words = {"name": folder.name, "version": "1", "dependencies": [], **more}
        (folder / "configs.yaml").write_text(json.dumps(words))  # JSON is YAML
    settings = root / "config.yaml"
    if not settings.exists():
        found = {
            key: {"value": str(root / name), "is_path": True}
            for key, name in FOLDERS.items()
        }
        settings.write_text(json.dumps(found))
    return settings


def start(session: Session, root: Path, command: Sequence[str] | None = None) -> int:
    """Start Badger on the devices of a session, and answer it until it ends.

    Args:
        session: An open session.
        root: Badger's folder.
        command: What is started instead of Badger's window; it finds the same
            environment variables and ``BADGER_CONFIG_PATH``.

    Returns:
        Exit code.

    Raises:
        MissingExtra: Badger is not installed.
    """
    if not _has_badger():
        raise MissingExtra("badger-opt", "badger")
    settings = write_folder(root, session.profile.name)
    broker = Broker(session, ASKED_BY)
    host, port = broker.address
    given = {
        ADDRESS: f"{host}:{port}",
        KEY: broker.key,
        "BADGER_CONFIG_PATH": str(settings),
    }
    window = [sys.executable, "-m", "badger", "-g", "-cf", str(settings)]
    # A group of its own: Badger keeps processes in reserve that outlive it.
    child = subprocess.Popen(
        [*(command or window)], env={**os.environ, **given}, start_new_session=True
    )
    try:
        broker.serve(lambda: child.poll() is None)
    finally:
        broker.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        child.wait()
    return child.returncode


def _has_badger() -> bool:
    try:
        return importlib.util.find_spec("badger") is not None
    except ValueError:  # it is there, and is nothing
        return False
