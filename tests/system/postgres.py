"""A PostgreSQL server of its own on a free port of loopback, for one test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_processes import free_port


def programs() -> Path:
    """Return the folder of PostgreSQL's programs; skip the test if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if which := shutil.which("initdb"):
        found.append(Path(which))
    if not found:
        pytest.skip("no PostgreSQL server is installed: no initdb")
    return found[-1].parent


@contextmanager
def database() -> Iterator[str]:
    """Run a server; gives the address of an empty database that its user owns."""
    bin_, port = programs(), free_port()
    # Not in pytest's folder: PostgreSQL refuses root, nobody cannot enter there.
    root = Path(tempfile.mkdtemp(prefix="acctwin-pg-"))
    as_user: dict[str, int] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        shutil.chown(root, "nobody")

    def call(program: str, *args: str) -> None:
        subprocess.run(
            [bin_ / program, *args],
            check=True,
            cwd=root,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            **as_user,
        )

    data = str(root / "data")
    try:
        secret = root / "secret"
        secret.write_text("p@ss/word")
        secret.chmod(0o644)
        call("initdb", "-D", data, "-A", "scram-sha-256", "-U", "acctwin",
             "--pwfile", str(secret), "-E", "UTF8")  # fmt: skip
        options = f"-h 127.0.0.1 -p {port} -k {root} -F"
        call(
            "pg_ctl", "-D", data, "-o", options, "-l", str(root / "log"), "-w", "start"
        )
        yield f"postgresql://acctwin:p%40ss%2Fword@127.0.0.1:{port}/postgres"
    finally:
        if Path(data, "postmaster.pid").exists():
            call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(root)
