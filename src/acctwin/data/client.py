"""Clients of a catalogue of runs: Tiled's and databroker's."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from acctwin.errors import DataError


def split_url(url: str) -> tuple[str, str | None]:
    """Return a Tiled URL without its API key, and the key if it has one."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    key = query.get("api_key", [None])[0]
    return urlunsplit(parts._replace(query="", fragment="")), key


def open_catalog(url: str, api_key: str | None) -> Any:
    """Return the Tiled client of the catalogue of runs at a URL.

    Raises:
        DataError: There is something else at the URL.
        httpx.TransportError: Nobody answers there.
    """
    from tiled.client import from_uri

    client = from_uri(url, api_key=api_key)
    if any(spec.name == "CatalogOfBlueskyRuns" for spec in client.specs):
        return _with_own_classes(client)
    raise DataError(
        f"{url} is not a catalogue of Bluesky runs: its root has the specs "
        f"{[spec.name for spec in client.specs]}. Give the URL of the container "
        "that has the spec CatalogOfBlueskyRuns, such as …/api/v1/metadata/raw."
    )


def open_broker(catalog: Any) -> Any:
    """Return databroker's view of a catalogue: ``db[-1].table()``, ``db(...)``."""
    from databroker.v1 import Broker

    return Broker(_with_own_classes(catalog))


def without_streaming(catalog: Any) -> Any:
    """Return the catalogue for writing to a server that streams to nobody.

    Tiled's writer ends the stream of each array and each table with a request of its
    own. A server without a cache for streams, such as that of a folder, has nothing to
    end.
    """

    def quiet(kind: type) -> type:
        return type(kind.__name__, (kind,), {"close_stream": lambda self: None})

    shared = catalog.structure_clients
    changed = {family: quiet(shared[family]) for family in ("array", "table")}
    return _with_own_classes(catalog, **changed)


def _with_own_classes(catalog: Any, **classes: type) -> Any:
    """Return the catalogue with a table of client classes of its own.

    databroker asks for runs of an older kind by writing into that table, which is
    one for the whole process: every other catalogue would change with it.

    Args:
        catalog: A Tiled client.
        classes: Classes that are different in it, by structure family.
    """
    from tiled.utils import OneShotCachedMap

    shared = catalog.structure_clients
    own = {key: lambda key=key: shared[key] for key in shared}
    own |= {key: lambda kind=kind: kind for key, kind in classes.items()}
    return catalog.new_variation(structure_clients=OneShotCachedMap(own))
