"""Tiled's web application for one store, and the databases it keeps runs in.

In files: the catalogue in SQLite, tables in DuckDB, because SQLite turns NaN into
NULL. At a facility: catalogue and tables in PostgreSQL. Arrays are zarr files in
the store's folder either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from acctwin.data.folders import StoreFolder, make_private, read_json, write_json
from acctwin.errors import DataError

POSTGRESQL = ("postgresql://", "postgres://")


def build_app(folder: StoreFolder, database: str | None = None) -> Any:
    """Return Tiled's ASGI application for a store.

    Args:
        folder: The store.
        database: ``postgresql://user:password@host/name``; files if not given.

    Raises:
        DataError: The database cannot be used, or the store has its runs elsewhere.
    """
    check_database(folder, database)
    from bluesky_tiled_plugins.exporters import json_seq_exporter
    from tiled.catalog import from_uri
    from tiled.config import Authentication
    from tiled.media_type_registration import default_serialization_registry
    from tiled.server.app import build_app as build_tiled_app

    root = make_private(folder.tiled.resolve())
    arrays = make_private(folder.arrays.resolve())
    if database is None:
        catalogue, tables = _files(root)
    else:
        catalogue = tables = _postgresql(database)
        write_json(folder.database_file, {"database": without_password(database)})
    # Without it the clients' run.documents() is answered with 406.
    default_serialization_registry.register(
        "BlueskyRun", "application/json-seq", json_seq_exporter
    )
    catalog = from_uri(
        catalogue,
        writable_storage=[str(arrays), tables],
        specs=[{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
    )
    authentication = Authentication(
        single_user_api_key=folder.api_key(), allow_anonymous_access=False
    )
    return build_tiled_app(catalog, authentication=authentication)


def check_database(folder: StoreFolder, database: str | None) -> None:
    """Check that a store's runs are where its server is going to look for them.

    Raises:
        DataError: They are elsewhere, or the address is not one of PostgreSQL.
    """
    if database is not None and not database.startswith(POSTGRESQL):
        raise DataError(
            f"the database {without_password(database)!r} is not one of PostgreSQL: "
            "give postgresql://user:password@host:port/name"
        )
    found = read_json(folder.database_file).get("database")
    wanted = without_password(database)
    if found == wanted and not (wanted and folder.catalogue_file.exists()):
        return
    if found is None and not folder.catalogue_file.exists():
        return
    raise DataError(
        f"the runs of {folder.root} are in {found or 'its own files'}, not in "
        f"{wanted or 'files'}: serve it "
        + (f"with --database {found}" if found else "without --database")
        + ", or choose another folder"
    )


def without_password(database: str | None) -> str | None:
    """Return the address of a database without its password."""
    if database is None or "@" not in database:
        return database
    parts = urlsplit(database)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}@{host}"))


def _files(root: Path) -> tuple[str, str]:
    """Return the addresses of catalogue and tables in files, made if new.

    The catalogue is made here because ``init_if_not_exists`` would start a second
    Python that imports all of Tiled again.
    """
    from sqlalchemy.ext.asyncio import AsyncEngine
    from tiled.catalog.core import initialize_database

    path = root / "catalog.db"
    if not path.exists():
        scratch = path.with_suffix(".new")
        scratch.unlink(missing_ok=True)

        async def create(engine: AsyncEngine) -> None:
            await initialize_database(engine)

        _with_engine(f"sqlite:///{scratch}", create)
        _stamp(f"sqlite:///{scratch}")
        scratch.rename(path)
    return f"sqlite:///{path}", f"duckdb:///{root / 'tables.duckdb'}"


def _postgresql(database: str) -> str:
    """Return the address of a PostgreSQL database with the tables of a catalogue.

    Raises:
        DataError: It cannot be reached, or is of another version of Tiled.
    """
    from asyncpg import PostgresError
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.ext.asyncio import AsyncEngine
    from tiled.alembic_utils import DatabaseUpgradeNeeded, UninitializedDatabase
    from tiled.catalog.core import check_catalog_database, initialize_database

    uri = database.replace("postgres://", "postgresql://", 1)

    async def create(engine: AsyncEngine) -> bool:
        try:
            await check_catalog_database(engine)
        except UninitializedDatabase:
            await initialize_database(engine)
            return True
        return False

    try:
        if _with_engine(uri, create):
            _stamp(uri)
    except DatabaseUpgradeNeeded as error:
        raise DataError(
            f"{without_password(uri)} was made by another version of Tiled: back it "
            f"up and run `tiled catalog upgrade-database` ({error})"
        ) from error
    except (OSError, PostgresError, SQLAlchemyError) as error:
        raise DataError(
            f"the database {without_password(uri)} cannot be used: {error}. It must "
            "exist, and its user must own it."
        ) from error
    return uri


def _with_engine(uri: str, work: Any) -> Any:
    """Return what a coroutine returns that is given a database engine."""
    from sqlalchemy.ext.asyncio import create_async_engine
    from tiled.utils import ensure_specified_sql_driver

    async def run() -> Any:
        engine = create_async_engine(ensure_specified_sql_driver(uri))
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    job: Coroutine[Any, Any, Any] = run()
    return asyncio.run(job)


def _stamp(uri: str) -> None:
    """Note in a database which version of Tiled's tables it has."""
    from tiled.alembic_utils import stamp_head
    from tiled.catalog.alembic_constants import ALEMBIC_DIR, ALEMBIC_INI_TEMPLATE_PATH
    from tiled.utils import ensure_specified_sql_driver

    stamp_head(
        Path(ALEMBIC_INI_TEMPLATE_PATH),
        Path(ALEMBIC_DIR),
        ensure_specified_sql_driver(uri),
    )
